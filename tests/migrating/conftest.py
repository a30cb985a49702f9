"""A folder with the nets of forks, their images and maps, and a solver for each."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

NETS = Path(__file__).with_name("nets_of_forks")
SOLVER = 'net: "%s.prototxt"  # the net\nbase_lr: 0.001  lr_policy: "fixed"  max_iter: 1  snapshot_after_train: false  random_seed: 1\n'


@pytest.fixture(scope="session")
def of_forks(tmp_path_factory):
    """A folder with the nets of forks and solvers of them; and the images of 8 x 12 that they name."""
    folder = tmp_path_factory.mktemp("of_forks")
    for net in NETS.glob("*.prototxt"):
        shutil.copy(net, folder)
        (folder / f"{net.stem}_solver.prototxt").write_text(SOLVER % net.stem)
    voc = folder / "VOC2011"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main", "Annotations"):
        os.makedirs(voc / name)
    random = np.random.default_rng(0)
    for number in range(4):
        cv2.imwrite(str(voc / f"JPEGImages/{number}.jpg"), random.integers(0, 256, (8, 12, 3)).astype(np.uint8))
        cv2.imwrite(str(voc / f"SegmentationClass/{number}.png"), random.integers(0, 3, (8, 12)).astype(np.uint8))
        cv2.imwrite(str(folder / f"edge{number}.png"), random.choice([0, 100, 200, 255], (8, 12)).astype(np.uint8))
        kind = "<object><name>%s</name></object>"
        (voc / f"Annotations/{number}.xml").write_text(
            f"<annotation>{kind % 'Cat '}{kind % 'dog' * (number % 2)}</annotation>"
        )
    for kind in ("Segmentation", "Main"):
        (voc / f"ImageSets/{kind}/train.txt").write_text("0\n1\n2\n")
        (voc / f"ImageSets/{kind}/seg11valid.txt").write_text("3\n")
    places = [f"VOC2011/JPEGImages/{number}.jpg" for number in range(4)]
    maps = [each.replace("JPEGImages", "SegmentationClass").replace("jpg", "png") for each in places]
    (folder / "train.txt").write_text("".join(f"{image} {label}\n" for image, label in zip(places, maps)))
    (folder / "edges.txt").write_text("".join(f"{each} edge{number}.png\n" for number, each in enumerate(places)))
    return folder
