"""A source of twelve records with all that options of data layers name, and nets on it that resume."""

import json

import caffe
import cv2
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum
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
    "ImageMapDataLayer": (["data", "label"], {"source": "maps.csv", "crop_size": 8}),
    "SiameseDataLayer": (["data", "data_p", "sim"], {}),
    "TripletDataLayer": (["anchor", "positive", "negative"], {}),
}


def write_small_source(folder):
    """A source as CSV and as LMDB, and the files that options name, each twice."""
    image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    for record in range(SIZE):
        (folder / str(record)).write_bytes(image)  # so that numbers are names too
    rows = "".join(f"{record},{record % 3}\n" for record in range(SIZE))
    maps = "".join(f"{record},{(record + 1) % SIZE}\n" for record in range(SIZE))
    lists = {
        "list.csv": rows,
        "moved.csv": rows,
        "headed.csv": f"name,label\n{rows}",
        "maps.csv": maps,
        "moved_maps.csv": maps,
    }
    for name, text in lists.items():
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
    write_lmdb(str(folder / "maps"), (Datum(image, 0, 3, encoded=True) for record in range(SIZE)))
    np.save(str(folder / "weights.npy"), np.ones(SIZE))
    np.save(str(folder / "mean.npy"), np.zeros((3, 8, 8)))
    (folder / "samplers_of_a_user.py").write_text(SAMPLERS)
    (folder / "transform_of_a_user.py").write_text("def same(image, rng): return image\n")


def resuming_net(folder, layer, **options):
    """A net of such a layer that resumes."""
    tops, own = LAYERS[layer]
    if options.get("stacked"):
        tops = ["data", *tops[len(tops) - (layer == "SiameseDataLayer") :]]
    values = {"source": "list.csv", "batch_size": 6, "resume": True, **own, **options}
    if values.get("type") == "PK":
        del values["batch_size"]
    return caffe.Net(write(python_layer(layer, [], tops, values, more=FROZEN), folder), caffe.TRAIN)
