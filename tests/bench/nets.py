"""Nets on the photos, and programs that run them."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Sequence

import caffe

from tests.bench.photos import pairs, photos

BATCH, SIZE = 64, 256
MEAN = (104.0, 117.0, 123.0)

OURS = """
layer {{ name: "train_data"  type: "Python"  {tops}
  python_param {{ module: "caffe_pylayers"  layer: "{layer}"  param_str: "{options}" }} }}
"""
STOCK = """
layer {{ name: "train_data"  type: "ImageData"  top: "data"  top: "label"
  transform_param {{ mean_value: 104  mean_value: 117  mean_value: 123 }}
  image_data_param {{ source: "{source}"  root_folder: "{root}/"  batch_size: 64  new_height: 256  new_width: 256 }} }}
"""


@functools.lru_cache(maxsize=None)
def photo_folder() -> Path:
    """The photos and their list, made once a run."""
    holder = tempfile.TemporaryDirectory(prefix="caffe_pylayers_bench_")
    _keep.append(holder)
    photos(Path(holder.name))
    return Path(holder.name)


@functools.lru_cache(maxsize=None)
def pair_folder() -> Path:
    """Photos with label maps and their list, made once a run."""
    return pairs(photo_folder()).parent


_keep: List[object] = []


def ours(layer: str = "ImageDataLayer", tops: Sequence[str] = ("data", "label"), **options: object) -> str:
    """A net of one of our layers on the photos."""
    folder = photo_folder()
    options = {
        "source": str(folder / "list.txt"), "root": str(folder), "batch_size": BATCH, "resize": SIZE,
        "mean_value": list(MEAN), "shuffle": True, **options,
    }  # fmt: skip
    return OURS.format(layer=layer, tops="  ".join(f'top: "{top}"' for top in tops), options=options)


def stock() -> str:
    """A net of stock ImageData on the same."""
    folder = photo_folder()
    return STOCK.format(source=folder / "list.txt", root=folder)


def net_of(text: str) -> caffe.Net:
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        return caffe.Net(file.name, caffe.TRAIN)


#: A program that prints how many images per second a net feeds, after the six batches that were made ahead. Arguments:
#: net, batches to count, rank, ranks.
FEED = """
import sys, time, caffe
path, num_batches, rank, ranks = sys.argv[1], *map(int, sys.argv[2:])
if ranks > 1:
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
net = caffe.Net(path, caffe.TRAIN)
images = sum(len(blob.data) for blob in net.blobs.values() if blob.data.ndim == 4)
for _ in range(6):
    net.forward()
start = time.perf_counter()
for _ in range(num_batches):
    net.forward()
print(num_batches * images / (time.perf_counter() - start))
"""


def fed(prototxt: str, num_batches: int = 20, ranks: int = 1) -> float:
    """Images a second, of all ranks together.

    In fresh processes, as a training run is one: with memory that others gave back decoding is faster.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(prototxt)
        file.flush()
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", FEED, file.name, str(num_batches), str(rank), str(ranks)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for rank in range(ranks)
        ]
        return sum(float(run.communicate()[0]) for run in runs)
