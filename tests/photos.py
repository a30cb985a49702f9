"""Real files for the tests of data."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import List

import cv2
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb


@dataclass
class Photos:
    """A folder of JPEGs of different sizes in five classes, a list of them, and an LMDB of the same bytes."""

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


def write_photos(folder: Path) -> Photos:
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
