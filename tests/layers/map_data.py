"""Images with label maps, as files: an image is painted from its map, so that the two can be compared wherever they go."""

from pathlib import Path
from typing import Any, List, Sequence

import caffe
import cv2
import numpy as np

from tests.caffe_nets import python_layer, write

#: Blue, green, red of each label.
COLOURS = np.array([[20, 200, 90], [240, 30, 160], [70, 120, 10], [180, 250, 220], [5, 60, 250]], np.uint8)


def label_map(seed: int, height: int, width: int) -> np.ndarray:
    """A map of a few large patches, uint8 (height, width)."""
    patches = np.random.RandomState(seed).randint(0, len(COLOURS), (4, 5)).astype(np.uint8)
    return cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST)


def painted(labels: np.ndarray) -> np.ndarray:
    return COLOURS[labels]


def write_pairs(folder: Path, sizes: Sequence[Sequence[int]]) -> List[np.ndarray]:
    """Write images, their maps and list.txt; returns the maps."""
    maps = [label_map(number, *size) for number, size in enumerate(sizes)]
    lines = []
    for number, labels in enumerate(maps):
        cv2.imwrite(str(folder / f"{number}.png"), painted(labels))
        cv2.imwrite(str(folder / f"{number}_labels.png"), labels)
        lines.append(f"{number}.png {number}_labels.png\n")
    (folder / "list.txt").write_text("".join(lines))
    return maps


def net_of(folder: Path, tops: str = "data label", phase: int = caffe.TRAIN, **options: Any) -> caffe.Net:
    options = {"source": str(folder / "list.txt"), "root": str(folder), "batch_size": 4, **options}
    text = python_layer("ImageMapDataLayer", [], tops.split(), options)
    return caffe.Net(write(text, folder), phase)


def fed(net: caffe.Net, num_batches: int = 1) -> List[List[np.ndarray]]:
    """The tops of some batches."""
    batches = []
    for _ in range(num_batches):
        net.forward()
        batches.append([blob.data.copy() for blob in net.blobs.values()])
    return batches
