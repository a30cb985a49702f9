"""Real files for the data tests."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List

import cv2
import numpy as np
import pytest

from caffe_pylayers import config
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.convert.convert import Origin
from caffe_pylayers.data import samplers
from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.data.sources import Record, Source
from caffe_pylayers.data.sources.csv import write_csv
from caffe_pylayers.data.sources.lmdb import write_lmdb


@dataclass
class Photos:
    """A folder of JPEGs of unlike sizes in five classes, a list of them, and an LMDB of the same bytes."""

    folder: Path
    names: List[str]
    labels: np.ndarray

    @property
    def csv(self) -> str:
        return str(self.folder / "list.csv")

    @property
    def lmdb(self) -> str:
        return str(self.folder / "lmdb")

    def bytes_of(self, record: int) -> bytes:
        return (self.folder / self.names[record]).read_bytes()

    def decoded(self, record: int) -> np.ndarray:
        return cv2.imread(str(self.folder / self.names[record]), cv2.IMREAD_COLOR)


def plan_of(layer: str, source: Source, **values: Any) -> Callable[[int], Batch]:
    """The plan of a layer with these options, in TRAIN."""
    options = config.validate(layer, {"source": source.path, **values})
    make = samplers.images if layer == "ImageDataLayer" else samplers.triplets
    return make(source, options, training=True, ranks=1).batch


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Photos:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    labels = np.arange(37) % 5
    names = []
    for number in range(len(labels)):
        size = (int(rng.integers(60, 90)), int(rng.integers(50, 80)))
        image = cv2.resize(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8), size)
        names.append(f"photo {number}.jpg")
        cv2.imwrite(str(folder / names[-1]), image)
    photos = Photos(folder, names, labels)
    lines = [f"{name},{label}" for name, label in zip(names, labels)]
    Path(photos.csv).write_text("\n".join(lines) + "\n")
    records = (Datum(photos.bytes_of(number), int(label), 3, encoded=True) for number, label in enumerate(labels))
    assert write_lmdb(photos.lmdb, records) == len(labels)
    assert sorted(os.listdir(photos.lmdb)) == ["data.mdb"]
    return photos


@pytest.fixture(scope="session")
def several(photos, tmp_path_factory):
    """Encoded images with names, weights, and one to three labels each."""
    folder = tmp_path_factory.mktemp("several")
    labels = [tuple(range(number % 3, 2 * (number % 3) + 1)) for number in range(37)]
    records = [
        Record(photos.bytes_of(number), labels[number], number / 4, f"class {number % 5}/{name}")
        for number, name in enumerate(photos.names)
    ]
    write_csv(f"{folder}/list.csv", records, f"{folder}/images")
    return Origin("CSV", f"{folder}/list.csv", root=f"{folder}/images", header=True)
