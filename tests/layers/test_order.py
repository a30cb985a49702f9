"""A position in the stream means something under the options that say which records a batch has: another of them is told."""

import json

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import python_layer, write

SIZE = 12
FROZEN = "param { lr_mult: 0  decay_mult: 0 }"
SAMPLERS = """
import numpy as np

class Singles:
    arity = 1
    def __init__(self, labels, options): self.shape = options.batch_size, self.arity
    def batch(self, number): return np.zeros(self.shape, int)

class OtherSingles(Singles): pass
class Pairs(Singles): arity = 2
class OtherPairs(Pairs): pass
class Triplets(Singles): arity = 3
class OtherTriplets(Triplets): pass
"""

#: Layer -> its tops, and the options that all of its cases have.
LAYERS = {
    "ImageDataLayer": (["data"], {}),
    "MultiLabelDataLayer": (["data", "label"], {"multilabel": True, "label_dim": 5}),
    "SiameseDataLayer": (["data", "data_p", "sim"], {}),
    "TripletDataLayer": (["anchor", "positive", "negative"], {}),
}
SETS = {"labels": "sets/labels.txt"}
HARD = {"type": "HARD", "m": "graph.json", "n": 2}


def told(sampler, **others):
    """Option -> options before and after, of those that say which records a batch has."""
    return {
        "source_type": ({}, {"source_type": "LMDB", "source": "lmdb"}),
        "batch_size": ({}, {"batch_size": 5}),
        "seed": ({}, {"seed": 1}),
        "stream": ({}, {"stream": 1}),
        "iter_size": ({}, {"iter_size": 2}),
        "sampler": ({"sampler": f"samplers_of_a_user:{sampler}"}, {"sampler": f"samplers_of_a_user:Other{sampler}"}),
        **others,
    }


def of_images():
    pk = {"type": "PK", "classes_per_batch": 2, "samples_per_class": 3}
    return told(
        "Singles",
        type=({}, {"type": "BALANCED"}),
        shuffle=({}, {"shuffle": True}),
        classes_per_batch=(pk, {"classes_per_batch": 3}),
        samples_per_class=(pk, {"samples_per_class": 2}),
        labels=(SETS, {"labels": "sets/other.txt"}),
        label_format=(SETS, {"label_format": "indicator", "labels": "indicators/labels.txt"}),
    )


def of_comparisons(sampler, listed):
    sets = {"type": "RANDOM_MULTILABEL", **SETS}
    return told(
        sampler,
        type=({}, {"type": "RANDOM_MULTILABEL"}),
        k=(HARD, {"k": 3}),
        n=(HARD, {"n": 4}),
        m=(HARD, {"m": "other_graph.json"}),
        names=(HARD, {"names": "key"}),
        unlabelled=({}, {"unlabelled": "negative"}),
        labels=(sets, {"labels": "sets/other.txt"}),
        label_format=(sets, {"label_format": "indicator", "labels": "indicators/labels.txt"}),
        **{listed: ({listed: f"{listed}.csv"}, {listed: f"other_{listed}.csv"})},
    )


TOLD = {
    "ImageDataLayer": of_images(),
    "MultiLabelDataLayer": of_images(),
    "SiameseDataLayer": of_comparisons("Pairs", "pairs"),
    "TripletDataLayer": of_comparisons("Triplets", "triplets"),
}

#: Options that do not say which records a batch has: data may be moved, and images be made otherwise.
SILENT = {
    "source": "moved.csv", "root": ".", "missing": "skip", "bcf_mode": "MEM", "label_order": "key", "resize": 6, "crop_size": 4,
    "mirror": True, "mean_file": "mean.npy", "mean_value": 3, "scale": 0.5, "color": False, "transform": "transform_of_a_user:same",
    "compressed": False, "decode": "fast", "max_pixels": 1000, "prefetch": 1, "workers": 2, "timeout": 9, "restart_every": 3,
    "on_error": "skip",
}  # fmt: skip
SILENT_OF = {
    "ImageDataLayer": {"sample_weights": "weights.npy"},
    "MultiLabelDataLayer": {"sample_weights": "weights.npy", "multilabel": False, "label_dim": 6},
    "SiameseDataLayer": {"shuffle": True, "stacked": True},
    "TripletDataLayer": {"shuffle": True, "stacked": True},
}
CASES = [(layer, option) for layer in LAYERS for option in TOLD[layer]]
SILENT_CASES = [(layer, option) for layer in LAYERS for option in {**SILENT, **SILENT_OF[layer]}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A source as CSV and as LMDB, and the files that options name, each twice."""
    folder = tmp_path_factory.mktemp("order")
    image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    for record in range(SIZE):
        (folder / str(record)).write_bytes(image)  # so that numbers are names too
    rows = "".join(f"{record},{record % 3}\n" for record in range(SIZE))
    for name, text in {"list.csv": rows, "moved.csv": rows, "headed.csv": f"name,label\n{rows}"}.items():
        (folder / name).write_text(text)
    write_lmdb(str(folder / "lmdb"), (Datum(image, record % 3, 3, encoded=True) for record in range(SIZE)))
    for place, text in {"sets": "0 1\n1 2\n2\n3\n", "indicators": "1 1 0 0\n0 1 1 0\n0 0 1 0\n0 0 0 1\n"}.items():
        (folder / place).mkdir()
        for name in ("labels.txt", "other.txt"):
            (folder / place / name).write_text(text * (SIZE // 4))
    graph = {str(one): {str(other): 0.5 for other in range(SIZE) if other != one} for one in range(SIZE)}
    for other in ("", "other_"):
        (folder / f"{other}graph.json").write_text(json.dumps(graph))
        (folder / f"{other}pairs.csv").write_text("".join(f"{record},{record // 2}\n" for record in range(SIZE)))
        (folder / f"{other}triplets.csv").write_text("".join(f"{r},{r // 2},{r // 3}\n" for r in range(SIZE)))
    np.save(str(folder / "weights.npy"), np.ones(SIZE))
    np.save(str(folder / "mean.npy"), np.zeros((3, 8, 8)))
    (folder / "samplers_of_a_user.py").write_text(SAMPLERS)
    (folder / "transform_of_a_user.py").write_text("def same(image, rng): return image\n")
    return folder


@pytest.fixture
def net(folder, monkeypatch):
    """A function: layer, options -> a net of such a layer that resumes."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))

    def make(layer, **options):
        tops, own = LAYERS[layer]
        if options.get("stacked"):
            tops = ["data", *tops[len(tops) - (layer == "SiameseDataLayer") :]]
        values = {"source": "list.csv", "batch_size": 6, "resume": True, **own, **options}
        if values.get("type") == "PK":
            del values["batch_size"]
        return caffe.Net(write(python_layer(layer, [], tops, values, more=FROZEN), folder), caffe.TRAIN)

    return make


def restore(net, layer, before, after):
    """Take a snapshot after two batches, and go on in a net with other options."""
    first = net(layer, **before)
    for _ in range(2):
        first.forward()
    first.save("net.caffemodel")
    second = net(layer, **{**before, **after})
    second.copy_from("net.caffemodel")
    second.forward()
    return second


@pytest.mark.parametrize(("layer", "option"), CASES)
def test_another_order_is_told(layer, option, net, caplog):
    before, after = TOLD[layer][option]
    restore(net, layer, before, {})
    assert "other options" not in caplog.text
    restore(net, layer, before, after)
    assert (
        f"{layer}: the snapshot was taken with other options or another source; going on at batch 2 of" in caplog.text
    )


@pytest.mark.parametrize(("layer", "option"), SILENT_CASES)
def test_the_same_order_is_not_told(layer, option, net, caplog):
    restore(net, layer, {}, {option: {**SILENT, **SILENT_OF[layer]}[option]})
    assert "other options" not in caplog.text


def test_another_list_of_the_same_records_is_not_told(net, caplog):
    restore(net, "ImageDataLayer", {"source": "list.csv"}, {"source": "headed.csv", "header": True})
    assert "other options" not in caplog.text


@pytest.mark.parametrize("layer", LAYERS)
def test_every_option_is_here(layer):
    elsewhere = {"resume", "header"}
    assert {*TOLD[layer], *SILENT, *SILENT_OF[layer], *elsewhere} == set(SCHEMAS[layer].model_fields)


#: Everything that a layer can have in its order, other than by default.
_EVERYWHERE = {"seed": 3, "stream": 4, "iter_size": 2}
HASHES = [
    ("ImageDataLayer", {}, (10330863, 15002299)),
    (
        "ImageDataLayer",
        {"type": "PK", "classes_per_batch": 3, "samples_per_class": 2, **_EVERYWHERE},
        (1238612, 7685741),
    ),
    ("ImageDataLayer", {"shuffle": True, "source_type": "LMDB", "source": "lmdb", **SETS}, (3434474, 5042)),
    ("ImageDataLayer", {"sampler": "samplers_of_a_user:Singles"}, (6261990, 1463308)),
    (
        "MultiLabelDataLayer",
        {"labels": "indicators/labels.txt", "label_format": "indicator", **_EVERYWHERE},
        (15854026, 10689999),
    ),
    ("SiameseDataLayer", {"pairs": "pairs.csv", "names": "key", **_EVERYWHERE}, (11480775, 3493711)),
    (
        "SiameseDataLayer",
        {**HARD, "k": 4, "unlabelled": "negative", "names": "key", **_EVERYWHERE},
        (12761623, 9835964),
    ),
    ("TripletDataLayer", {}, (14179866, 4447896)),
    ("TripletDataLayer", {"triplets": "triplets.csv"}, (2607073, 14342022)),
    (
        "TripletDataLayer",
        {"type": "HARD_MULTILABEL", "n": 3, "k": 4, "unlabelled": "negative", **SETS},
        (11876588, 2397995),
    ),
]


@pytest.mark.parametrize(("layer", "options", "hashed"), HASHES)
def test_snapshots_of_older_versions_are_known(layer, options, hashed, net):
    """What stands beside the count in the blob, as version 0.1.0 wrote it."""
    (blobs,) = net(layer, **options).params.values()
    assert tuple(blobs[0].data[2:]) == hashed
