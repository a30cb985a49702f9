"""The nets of prototxt_examples, with a few records of every source that they name."""

import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.samplers.graph import neighbours, write_graph
from caffe_pylayers.data.sources.lmdb import write_lmdb

EXAMPLES = Path(__file__).parent.parent / "prototxt_examples"


def copy_examples(folder: Path) -> None:
    """Copy the examples into a folder, and write their sources there."""
    random = np.random.default_rng(0)
    for example in EXAMPLES.iterdir():
        if example.is_dir():
            shutil.copytree(example, folder / example.name)
    lines = []
    for number in range(40):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 256, (80, 90, 3), np.uint8))
        lines.append(f"{number}.png,{number % 5}\n")
    for name in ("train.csv", "test.csv"):
        (folder / name).write_text("".join(lines))
    (folder / "target.csv").write_text("".join(f"{number}.png,-1\n" for number in range(30, 40)))
    (folder / "multilabel.csv").write_text("".join(f"{number}.png,{number % 4}:4\n" for number in range(40)))
    corners = [
        f"{corner}_{axis}" for corner in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"
    ]
    lines = [",".join(["name", *corners])]
    for number in range(40):
        points = [f"{x},{y}" for x, y in random.integers(0, (90, 80), (5, 2))]
        points[number % 5] = ","
        lines.append(",".join([f"{number}.png", *points]))
    (folder / "landmarks.csv").write_text("\n".join(lines))
    for kind in ("JPEGImages", "SegmentationClass"):
        (folder / kind).mkdir()
    for number in range(40):
        size = (int(random.integers(70, 90)), 80)
        cv2.imwrite(str(folder / f"JPEGImages/{number}.jpg"), random.integers(0, 256, (*size, 3), np.uint8))
        cv2.imwrite(
            str(folder / f"SegmentationClass/{number}.png"), random.choice([*range(21), 255], size).astype(np.uint8)
        )
    for part, numbers in (("train", range(30)), ("test", range(30, 40))):
        lines = [f"{number}.jpg ../SegmentationClass/{number}.png\n" for number in numbers]
        (folder / f"{part}.txt").write_text("".join(lines))
    (folder / "weights.txt").write_text("1\n" * 21)
    _write_edges(folder, random)
    _write_regions(folder, random)
    write_graph(str(folder / "graph.npz"), neighbours(random.normal(size=(40, 8)), top=5))
    with h5py.File(folder / "train.h5", "w") as file:
        file["data"] = random.normal(size=(40, 3, 64, 64)).astype(np.float32)
        file["label"] = np.arange(40, dtype=np.float32) % 5
        file["sample_weight"] = random.uniform(0, 2, 40).astype(np.float32)
    (folder / "train_h5.txt").write_text("train.h5\n")
    with h5py.File(folder / "clips.h5", "w") as file:
        file["data"] = random.normal(size=(16, 3, 8, 32, 32)).astype(np.float32)
        file["label"] = np.arange(16, dtype=np.float32) % 5
    (folder / "clips_h5.txt").write_text("clips.h5\n")
    for name in ("train_lmdb", "test_lmdb", "long_tail_lmdb"):
        images = random.integers(0, 256, (40, 28, 28), np.uint8)
        pngs = (cv2.imencode(".png", image)[1].tobytes() for image in images)
        write_lmdb(str(folder / name), (Datum(png, n % 10, 1, 28, 28, True) for n, png in enumerate(pngs)))
    (folder / "counts.txt").write_text("4\n" * 10)


def _write_edges(folder: Path, random: np.random.Generator) -> None:
    """Maps of edges beside JPEGImages, few of whose pixels are 1, and their lists."""
    (folder / "Edges").mkdir()
    for number in range(40):
        height, width = cv2.imread(str(folder / f"JPEGImages/{number}.jpg")).shape[:2]
        cv2.imwrite(str(folder / f"Edges/{number}.png"), (random.random((height, width)) < 0.1).astype(np.uint8))
    for part, numbers in (("train", range(30)), ("test", range(30, 40))):
        lines = [f"{number}.jpg ../Edges/{number}.png\n" for number in numbers]
        (folder / f"edges/{part}.txt").write_text("".join(lines))


def _write_regions(folder: Path, random: np.random.Generator) -> None:
    """4 images, and 8 regions of each for batches of 2 images: of 3 classes, with 4 targets per class."""
    label = np.arange(32) % 3
    of_class = np.repeat(label[:, None] == np.arange(3), 4, axis=1) & (label > 0)[:, None]
    corners = np.sort(random.uniform(0, 63, (32, 2, 2)), axis=1).reshape(32, 4)
    regions = {
        "rois": np.column_stack([np.arange(32) // 8 % 2, corners]),
        "label": label,
        "targets": random.normal(size=(32, 12)) * of_class,
        "inside_weights": of_class,
        "outside_weights": of_class,
    }
    for name, sets in (("images", {"data": random.normal(size=(4, 3, 64, 64))}), ("regions", regions)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            for each, numbers in sets.items():
                file[each] = numbers.astype(np.float32)
        (folder / f"{name}_h5.txt").write_text(f"{name}.h5\n")
