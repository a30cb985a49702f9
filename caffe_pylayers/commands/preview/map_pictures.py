"""Maps laid over the pictures of their images, and what is to be said of them."""

from typing import Iterator, List, Sequence

import cv2
import numpy as np

from caffe_pylayers.commands.preview.pictures import LABEL_COLOURS
from caffe_pylayers.files.class_names import named

#: How much of a pixel its map has: of a label, of 255, and of a value.
_LABEL, _IGNORED, _VALUE = 0.5, 0.75, 0.6
_NO_CLASS = 255  # by convention
_MOST_NAMED = 12  # labels in a note


def overlaid(pictures: Sequence[np.ndarray], maps: np.ndarray, are_labels: bool) -> List[np.ndarray]:
    """Pictures, uint8 (H, W) or (H, W, 3), with their maps (N, H, W) over them, of which NaN leaves them as they are.

    Each label has its own colour, 255 white, and 0 none; values go from dark blue over green to yellow.
    """
    shown = maps[: len(pictures)]
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    drawn = []
    for picture, numbers in zip(pictures, shown):
        known = np.isfinite(numbers)
        if are_labels:
            colours = LABEL_COLOURS[np.where(known, numbers, 0).astype(np.int64) % 256]
            part = np.where(numbers == _NO_CLASS, _IGNORED, np.where(known & (numbers != 0), _LABEL, 0.0))
        else:
            levels = np.where(known, (numbers - low) * (255.0 / max(high - low, 1e-30)), 0).astype(np.uint8)
            colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
            part = np.where(known, _VALUE, 0.0)
        under = np.broadcast_to(picture if picture.ndim == 3 else picture[:, :, None], colours.shape)
        drawn.append(np.rint(under + (colours - under.astype(np.float32)) * part[:, :, None]).astype(np.uint8))
    return drawn


def of_classes(maps: np.ndarray) -> np.ndarray:
    """The labels of pixels that have a class."""
    return np.asarray(maps[np.isfinite(maps) & (maps != _NO_CLASS)])


def map_notes(maps: np.ndarray, are_labels: bool, names: Sequence[str] = ()) -> Iterator[str]:
    """What the maps (N, H, W) of a batch have, in lines. names: of the classes, if they are known."""
    known = maps[np.isfinite(maps)]
    missing = f", {1 - known.size / maps.size:.1%} missing" if known.size < maps.size else ""
    if not are_labels:
        low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        yield f"maps: values from {low:.4g} (blue) to {high:.4g} (yellow), laid over the images{missing}"
        return
    labels, counts = np.unique(known, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:_MOST_NAMED]
    words = [named(int(label), names) if 0 <= label < len(names) else f"{label:g}" for label in labels]
    shares = ", ".join(f"{words[at]} {counts[at] / known.size:.1%}" for at in largest)
    more = f", {len(labels) - len(largest)} more" if len(labels) > len(largest) else ""
    yield f"labels of pixels: {shares}{more}; each has its colour over the image, 0 none, 255 white"


def map_findings(maps: np.ndarray, are_labels: bool) -> Iterator[str]:
    """What looks like a mistake in the maps of a batch."""
    known = maps[np.isfinite(maps)]
    if not known.size:
        yield "the maps have no number at all: a net learns nothing from them"
    elif known.min() == known.max():
        kind = "label" if are_labels else "value"
        yield f"all pixels of all maps have the {kind} {known[0]:g}: are the maps right?"
    elif are_labels and (known[known != _NO_CLASS] > _NO_CLASS).any():
        yield "some labels are above 255: is this a map of colours or of values (`map_type: values`)?"
