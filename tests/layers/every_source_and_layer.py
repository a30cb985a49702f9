"""Every source and every data layer, on the same photos: the lists that the tests of the promises run over."""

import itertools
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Tuple

import caffe
import cv2
import h5py
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.sources.records import Record

BAD = (3, 17)  # the records that cannot be read in the sources that have such

#: name -> how it is opened.
SOURCES: Dict[str, Dict[str, Any]] = {
    "CSV": {"source_type": "CSV", "source": "list.csv"},
    "LMDB": {"source_type": "LMDB", "source": "lmdb"},
    "LMDB of pixels": {"source_type": "LMDB", "source": "pixels"},
    "BCF": {"source_type": "BCF", "source": "photos.bcf", "labels": "photos.bcf.labels.npy"},
    "BCF in memory": {
        "source_type": "BCF", "source": "photos.bcf", "labels": "photos.bcf.labels.npy", "bcf_mode": "MEM",
    },
    "HDF5": {"source_type": "HDF5", "source": "photos.h5"},
    "HDF5 of arrays": {
        "source_type": "HDF5", "source": "list_of_arrays.txt", "datasets": {"data": "X", "label": "group/y"},
    },
    "decoded": {"source_type": "LMDB", "source": "lmdb", "compressed": False},
    "CSV of 16 bits": {"source_type": "CSV", "source": "deep.csv", "color": "any"},
}  # fmt: skip

#: name -> how one of images and maps is opened.
MAP_SOURCES: Dict[str, Dict[str, Any]] = {
    "LMDB and maps": {"source_type": "LMDB", "source": "lmdb", "maps": "maps"},
    "CSV with maps": {"source_type": "CSV", "source": "maps.csv"},
    "HDF5 with maps": {
        "source_type": "HDF5", "source": "maps.h5", "datasets": {"data": "photos/X", "label": "maps", "sample_weight": "w"}, "weights": True,
    },
}  # fmt: skip

#: Sources in which some records can be unreadable: numbers in an array always are some image.
FALLIBLE = [name for name in SOURCES if name != "HDF5 of arrays"]
FALLIBLE_WITH_MAPS = ["LMDB and maps", "CSV with maps"]

TRIPLET = ("anchor", "positive", "negative")
SETS = {"labels": "sets.txt"}  # several labels a photo

#: name -> layer, tops, options beside the source.
LAYERS: Dict[str, Tuple[str, Tuple[str, ...], Dict[str, Any]]] = {
    "images": ("ImageDataLayer", ("data", "label", "weight"), {"shuffle": True, "sample_weights": "weights.npy"}),
    "images in grey": ("ImageDataLayer", ("data", "label"), {"shuffle": True, "color": False, "mean_value": 70, "scale": 0.1}),
    "images augmented": (
        "ImageDataLayer", ("data", "label"),
        {
            "shuffle": True,
            "augment": {
                "brightness": 0.4, "contrast": 0.4, "saturation": {"range": 0.4, "p": 0.5}, "hue": 0.1, "gray": 0.2,
                "resized_crop": {"p": 0.5}, "rotate": 15, "blur": {}, "erase": {"value": "noise"},
            },
        },
    ),
    "images in order": ("ImageDataLayer", ("data", "label"), {}),
    "images BALANCED": ("ImageDataLayer", ("data", "label"), {"type": "BALANCED"}),
    "images PK": (
        "ImageDataLayer", ("data", "label"),
        {"type": "PK", "classes_per_batch": 3, "samples_per_class": 2, "batch_size": 6},
    ),
    "images of sources": (
        "ImageDataLayer", ("data", "label", "domain"),
        {
            "sources": [{"weight": 2}, {"source_type": "CSV", "source": "list.csv", "weight": 1}],
            "shuffle": True, "domain": True, "augment": {"brightness": 0.4},
        },
    ),
    "images of sources by counts": (
        "ImageDataLayer", ("data", "label", "weight"),
        {
            "sources": [{}, {"source_type": "HDF5", "source": "photos.h5"}],
            "per_batch": [3, 2], "sample_weights": "weights.npy", "compressed": False,
        },
    ),
    "images of a sampler": ("ImageDataLayer", ("data", "label"), {"sampler": "sampler_of_a_user:Backwards"}),
    "multilabel": ("MultiLabelDataLayer", ("data", "label"), {"shuffle": True, "multilabel": True, **SETS}),
    "pairs": ("SiameseDataLayer", ("data", "data_p", "sim"), {}),
    "pairs MULTILABEL": ("SiameseDataLayer", ("data", "data_p", "sim"), {"type": "RANDOM_MULTILABEL", **SETS}),
    "pairs HARD": (
        "SiameseDataLayer", ("data", "data_p", "sim", "label", "label_p"), {"type": "HARD", "m": "graph.json", "n": 4},
    ),
    "pairs of a list": ("SiameseDataLayer", ("data", "data_p", "sim"), {"pairs": "pairs.csv"}),
    "pairs graded": ("SiameseDataLayer", ("data", "data_p", "sim"), {"pairs": "graded.csv", "graded": True}),
    "pairs stacked": ("SiameseDataLayer", ("data", "sim", "label"), {"stacked": True}),
    "triplets": ("TripletDataLayer", TRIPLET, {}),
    "triplets MULTILABEL": ("TripletDataLayer", (*TRIPLET, "margin"), {"type": "RANDOM_MULTILABEL", **SETS}),
    "triplets HARD_MULTILABEL": (
        "TripletDataLayer", (*TRIPLET, "margin"), {"type": "HARD_MULTILABEL", "k": 3, "n": 4, **SETS},
    ),
    "triplets HARD": ("TripletDataLayer", TRIPLET, {"type": "HARD", "m": "graph.json", "k": 3}),
    "triplets of a list": ("TripletDataLayer", TRIPLET, {"triplets": "triplets.csv"}),
    "triplets stacked": (
        "TripletDataLayer", ("data", "margin", "label"), {"stacked": True, "type": "RANDOM_MULTILABEL", **SETS},
    ),
}  # fmt: skip


#: The same of images with maps.
MAP_LAYERS: Dict[str, Tuple[str, Tuple[str, ...], Dict[str, Any]]] = {
    "maps": ("ImageMapDataLayer", ("data", "label", "dim"), {"shuffle": True, "scales": [0.7, 1, 1.6], "crop_size": [30, 18]}),
    "maps augmented": (
        "ImageMapDataLayer", ("data", "label", "dim"),
        {
            "crop_size": [30, 18], "mean_value": 90,
            "augment": {"rotate": 15, "translate": 0.1, "resized_crop": {"p": 0.5}, "brightness": 0.4, "erase": {"value": "noise"}},
        },
    ),
    "maps in order": (
        "ImageMapDataLayer", ("data", "label"), {"like": "DenseImageData", "mean_value": [1, 2, 3], "label_map": {1: 255}},
    ),
    "maps of their own sizes": (
        "ImageMapDataLayer", ("data", "label", "dim"),
        {"batch_size": 1, "resize": {"short": 20}, "scales": [0.7, 1, 1.6], "mirror": True, "shuffle": True, "max_pixels": 50_000},
    ),
}  # fmt: skip
LAYERS.update(MAP_LAYERS)


def in_turns(cases: Iterable[Any], *values: Any) -> List[Any]:
    """Each case (a tuple) with one of the values behind, one after the other."""
    return [(*case, value) for case, value in zip(cases, itertools.cycle(values))]


OTHER_SOURCES = in_turns(([source] for source in SOURCES if source != "LMDB"), "images", "triplets")

#: Every layer on one source, and every source under some layer: what a source does is the same under all.
MAP_CASES = in_turns(([source] for source in MAP_SOURCES), *MAP_LAYERS)
CASES = [*(("LMDB", layer) for layer in LAYERS if layer not in MAP_LAYERS), *OTHER_SOURCES, *MAP_CASES]

#: For what takes long: every source, and each way to plan a batch.
FEW_CASES = [
    *(("LMDB", layer) for layer in ("images PK", "pairs MULTILABEL", "triplets HARD")),
    *OTHER_SOURCES,
    *MAP_CASES,
]

SAMPLER = """
import numpy as np

class Backwards:
    def __init__(self, labels, options):
        self.size, self.batch_size = len(labels), options.batch_size

    def batch(self, number):
        return -(number * self.batch_size + np.arange(self.batch_size)[:, None]) % self.size
"""


def write_all(folder: Path, photos: Any, bad: Tuple[int, ...] = ()) -> None:
    """Write the photos as every source, and the lists that layers take; records in `bad` are no images."""
    labels = photos.labels.tolist()
    images = [b"no image at all" if record in bad else photos.bytes_of(record) for record in range(len(labels))]
    (folder / "images").mkdir()
    write_maps(folder, photos, bad)
    small = [cv2.resize(photos.decoded(record), (26, 28)) for record in range(len(labels))]
    deep = [images[record] if record in bad else deep_png(image) for record, image in enumerate(small)]
    for name, suffix, files in (("list", "jpg", images), ("deep", "png", deep)):
        lines = []
        for record, (image, label) in enumerate(zip(files, labels)):
            (folder / "images" / f"{record}.{suffix}").write_bytes(image)
            lines.append(f"{folder / 'images' / f'{record}.{suffix}'},{label}\n")
        (folder / f"{name}.csv").write_text("".join(lines))
    write_lmdb(str(folder / "lmdb"), (Datum(image, label, 3, encoded=True) for image, label in zip(images, labels)))
    write_lmdb(str(folder / "pixels"), pixels(small, labels, bad))
    write_bcf(str(folder / "photos.bcf"), (Record(image, (label,)) for image, label in zip(images, labels)))
    write_hdf5(str(folder / "photos.h5"), (Record(image, (label,)) for image, label in zip(images, labels)))
    arrays = [Record(image, (label,)) for image, label in zip(small, labels)]
    write_hdf5(str(folder / "first.h5"), arrays[:20])
    write_hdf5(str(folder / "second.h5"), arrays[20:])
    for name in ("first.h5", "second.h5"):
        with h5py.File(folder / name, "a") as file:
            file.move("data", "X")
            file.move("label", "group/y")
    (folder / "list_of_arrays.txt").write_text(f"{folder / 'first.h5'}\n{folder / 'second.h5'}\n")
    np.save(str(folder / "weights.npy"), np.linspace(0, 2, len(labels)))
    (folder / "sets.txt").write_text("".join(f"{label}:{5 + record % 3}\n" for record, label in enumerate(labels)))
    (folder / "graph.json").write_text(json.dumps(neighbours(len(labels))))
    (folder / "pairs.csv").write_text("".join(f"{record},{record * 7 % 37}\n" for record in range(1, 37)))
    (folder / "graded.csv").write_text(
        "".join(f"{record},{record * 7 % 37},{record / 36}\n" for record in range(1, 37))
    )
    (folder / "triplets.csv").write_text(
        "".join(f"{record},{(record + 5) % 35},{record + 1}\n" for record in range(35))
    )
    (folder / "sampler_of_a_user.py").write_text(SAMPLER)


def write_maps(folder: Path, photos: Any, bad: Tuple[int, ...] = ()) -> None:
    """Write a map of each photo, of its brightness in steps, as LMDB and as files in a list; those in `bad` are none."""
    (folder / "maps of files").mkdir()
    maps, lines = [], []
    for record in range(len(photos.labels)):
        encoded = cv2.imencode(".png", photos.decoded(record)[:, :, 1] // 60)[1].tobytes()
        maps.append(Datum(b"no map" if record in bad else encoded, 0, encoded=True))
        (folder / "maps of files" / f"{record}.png").write_bytes(maps[-1].data)
        lines.append(f"{folder / 'images' / f'{record}.jpg'},{folder / 'maps of files' / f'{record}.png'}\n")
    write_lmdb(str(folder / "maps"), maps)
    whole = [cv2.resize(photos.decoded(record), (26, 28)) for record in range(len(photos.labels))]
    with h5py.File(folder / "maps.h5", "w") as file:
        file["photos/X"] = np.stack(whole).transpose(0, 3, 1, 2)
        file["maps"] = (np.stack(whole)[..., 1] // 60).astype(np.int64)
        file["w"] = np.stack(whole)[:, None, :, :, 2] / 255
    (folder / "maps.csv").write_text("".join(lines))


def deep_png(image: np.ndarray) -> bytes:
    """A photo as a PNG of 16 bits and four channels."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_BGR2BGRA).astype(np.uint16) * 200)[1].tobytes()


def pixels(images: List[np.ndarray], labels: List[int], bad: Tuple[int, ...]) -> Iterator[Datum]:
    """Raw Datums; those in `bad` have fewer bytes than their shape says."""
    for record, (image, label) in enumerate(zip(images, labels)):
        data = image.transpose(2, 0, 1).tobytes()
        yield Datum(data[:-100] if record in bad else data, label, 3, *image.shape[:2])


def neighbours(size: int) -> Dict[str, Dict[str, float]]:
    """A graph in which records are similar that lie near each other in the source."""
    return {
        str(one): {str(other): 1 / (1 + abs(one - other)) for other in range(size) if 0 < abs(one - other) < 9}
        for one in range(size)
    }


def options_of(folder: Path, source: str, layer: str, **more: Any) -> Dict[str, Any]:
    options = {"batch_size": 5, "resize": [24, 20], **{**SOURCES, **MAP_SOURCES}[source], **LAYERS[layer][2], **more}
    if "sources" in options:  # those that name none have the one that is asked for
        own = options.pop("source")
        options["sources"] = [{**part, "source": str(folder / part.get("source", own))} for part in options["sources"]]
    for name in ("source", "labels", "sample_weights", "m", "pairs", "triplets", "maps"):
        if name in options:
            options[name] = str(folder / options[name])
    return options


def layer_text(folder: Path, source: str, layer: str, **more: Any) -> str:
    """The prototxt of a layer of `LAYERS` on a source of `SOURCES`."""
    kind, tops, _ = LAYERS[layer]
    if MAP_SOURCES.get(source, {}).get("weights"):
        tops = (*tops[:2], "weight", *tops[2:])
    options = options_of(folder, source, layer, **more)
    frozen = "param { lr_mult: 0  decay_mult: 0 }" if options.get("resume") else ""
    return (
        f'layer {{ name: "train_data"  type: "Python"  {" ".join(f"top: {json.dumps(top)}" for top in tops)}  {frozen} '
        f'python_param {{ module: "caffe_pylayers"  layer: "{kind}"  param_str: {json.dumps(repr(options))} }} }}\n'
    )


def net_of(folder: Path, source: str, layer: str, phase: int = caffe.TRAIN, **more: Any) -> caffe.Net:
    path = folder / "net.prototxt"
    path.write_text(layer_text(folder, source, layer, **more))
    return caffe.Net(str(path), phase)


def tops_of(net: caffe.Net) -> Tuple[bytes, ...]:
    """What the layer fed last."""
    return tuple(blob.data.tobytes() for blob in net.blobs.values())


def stream_of(net: caffe.Net, num_batches: int) -> List[Tuple[bytes, ...]]:
    batches = []
    for _ in range(num_batches):
        net.forward()
        batches.append(tops_of(net))
    return batches
