"""2000 JPEGs of 500 x 375 for the benchmarks: windows of the two real photos that scikit-learn carries; and pairs of 256 x 256."""

import os
from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_sample_images

NUM_PHOTOS, NUM_CLASSES, NUM_PAIRS = 2000, 20, 500


def photos(folder: Path) -> Path:
    """Write the photos and their list into a folder; returns the list's path."""
    rng = np.random.default_rng(0)
    images = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in load_sample_images().images]
    lines = []
    for number in range(NUM_PHOTOS):
        image = images[number % 2]
        height = int(rng.integers(250, image.shape[0]))
        width = height * 4 // 3
        y, x = rng.integers(0, image.shape[0] - height + 1), rng.integers(0, image.shape[1] - width + 1)
        window = cv2.resize(image[y : y + height, x : x + width], (500, 375))
        if rng.integers(2):
            window = window[:, ::-1]
        cv2.imwrite(str(folder / f"{number}.jpg"), window, [cv2.IMWRITE_JPEG_QUALITY, 90])
        lines.append(f"{number}.jpg {number % NUM_CLASSES}\n")
    (folder / "list.txt").write_text("".join(lines))
    os.sync()
    return folder / "list.txt"


def pairs(photo_folder: Path) -> Path:
    """Write some of the photos as JPEGs of 256 x 256 with label maps, PNGs of their brightness in steps; returns the list's path."""
    folder = photo_folder / "pairs"
    folder.mkdir()
    lines = []
    for number in range(NUM_PAIRS):
        image = cv2.resize(cv2.imread(str(photo_folder / f"{number}.jpg")), (256, 256))
        cv2.imwrite(str(folder / f"{number}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        cv2.imwrite(str(folder / f"{number}.png"), cv2.blur(image[:, :, 1], (9, 9)) // 13)
        lines.append(f"{number}.jpg {number}.png\n")
    (folder / "list.txt").write_text("".join(lines))
    os.sync()
    return folder / "list.txt"
