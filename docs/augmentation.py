"""The picture of docs/data.md with each step of `augment`: a row per step, the same scene with other draws."""

from pathlib import Path
from typing import Any, Dict

import cv2
import matplotlib.pyplot as plt
import numpy as np

from caffe_pylayers import config
from caffe_pylayers.config.augment import PRESETS
from caffe_pylayers.data import keyed
from caffe_pylayers.data.transforms import Transforms

NUM_DRAWS, SIDE = 8, 96

#: The option of each row.
ROWS: Dict[str, Any] = {
    "rotate": 25,
    "scale": 0.4,
    "translate": 0.2,
    "resized_crop": {"area": [0.2, 0.8]},
    "brightness": 0.4,
    "contrast": 0.6,
    "saturation": 0.8,
    "hue": 0.2,
    "gray": 0.5,
    "blur": {"sigma": [0.5, 3]},
    "erase": {"p": 0.9},
}


def draw(path: Path) -> None:
    rows = {name: {name: option} for name, option in ROWS.items()}
    rows.update({f"'{name}'": name for name in PRESETS})
    figure, grid = plt.subplots(len(rows), NUM_DRAWS, figsize=(8.6, 1.0 * len(rows)), constrained_layout=True)
    for line, (name, augment) in zip(grid, rows.items()):
        for axes, image in zip(line, augmented(scene(), augment)):
            axes.imshow(image)
            axes.set(xticks=[], yticks=[])
        label = f"{name}\n{ROWS[name]}" if name in ROWS and not isinstance(ROWS[name], dict) else name
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def augmented(image: np.ndarray, augment: Any) -> np.ndarray:
    """Draws of an image by the option, uint8 (N, H, W, 3), red first."""
    options: Any = config.validate(
        "ImageDataLayer",
        {"source": "scene.csv", "resize": SIDE, "augment": augment, "mean_value": [128, 128, 128]},
    )
    transforms = Transforms.of(options, training=True)
    keys = keyed.bits(1, np.arange(NUM_DRAWS))
    out = np.empty((NUM_DRAWS, 3, SIDE, SIDE), np.float32)
    for place, draw, drawn in zip(out, transforms.draws(keys), transforms.augments(keys)):
        transforms.write(image, transforms.window(image.shape, draw, drawn), place, drawn)
    return (out + 128).astype(np.uint8)[:, ::-1].transpose(0, 2, 3, 1)


def scene() -> np.ndarray:
    """A house under the sun, which shows what is up, left, near and which colour: uint8 (H, W, 3), blue first."""
    scale = 8  # drawn large and made small, for smooth edges
    image = np.empty((SIDE * scale, SIDE * scale, 3), np.uint8)
    image[:] = np.linspace((235, 170, 90), (250, 235, 215), len(image))[:, None]

    def shape(colour: Any, *points: Any) -> None:
        cv2.fillPoly(image, [np.array(points) * scale], colour)

    cv2.circle(image, (20 * scale, 18 * scale), 9 * scale, (60, 210, 250), -1)
    shape((110, 150, 90), (0, 62), (30, 48), (60, 60), (96, 50), (96, 96), (0, 96))
    shape((60, 140, 70), (0, 74), (96, 70), (96, 96), (0, 96))
    shape((200, 225, 240), (34, 48), (72, 48), (72, 82), (34, 82))
    shape((50, 60, 190), (29, 49), (53, 29), (77, 49))
    shape((60, 80, 110), (58, 62), (67, 62), (67, 82), (58, 82))
    shape((190, 140, 60), (39, 56), (51, 56), (51, 67), (39, 67))
    shape((40, 70, 100), (84, 58), (87, 58), (87, 82), (84, 82))
    cv2.circle(image, (85 * scale, 53 * scale), 8 * scale, (50, 110, 40), -1)
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
