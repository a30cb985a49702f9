"""2000 JPEGs of 500 x 375 for the benchmarks: windows of the two real photos that scikit-learn carries."""

import os
from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_sample_images

NUM_PHOTOS, NUM_CLASSES = 2000, 20


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
