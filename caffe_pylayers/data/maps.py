"""Maps of images: a label, a value or a weight for each pixel, which go where the pixels of the image go."""

from dataclasses import dataclass, field
from typing import Any, Dict, Literal, Mapping, Optional, Sequence, Union

import cv2
import numpy as np

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.data.decoding import MAX_PIXELS, check_size
from caffe_pylayers.data.geometry import Fit, Size, Window
from caffe_pylayers.data.map_files import numbers_in
from caffe_pylayers.data.resampling import scaled, warped
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.transforms import Transforms, resize_of
from caffe_pylayers.errors import DataError

Kind = Literal["labels", "values", "weights"]

#: What the numbers of each kind may be, in words.
_ALLOWED: Dict[str, str] = {
    "labels": f"integers up to {LARGEST_LABEL}",
    "values": "finite numbers, and nan for a missing one",
    "weights": "finite numbers from 0",
}


@dataclass(frozen=True)
class Maps:
    """One map for each image of a source, record by record.

    pad: what pixels have around the image. labels: number in the file -> number that is fed; others stay.
    resize, max_pixels: as of the images. centred: whether the nearest pixel is that whose centre is nearest; otherwise, as
    OpenCV's INTER_NEAREST and so the forks of Caffe have it, that at x * scale rounded down.
    """

    source: Source
    kind: Kind
    pad: float
    labels: Mapping[int, int] = field(default_factory=dict)
    resize: Union[Size, Fit, None] = None
    max_pixels: int = MAX_PIXELS
    centred: bool = True

    def load(self, record: int, size: Optional[Size] = None) -> np.ndarray:
        """The map of an image: (H, W), resized as that. size: (height, width) of the image as it is stored, if that is known.

        Raises DataError, which names the map, where it cannot be read, has another size, or numbers that it cannot have.
        """
        source = self.source
        with source.naming(record):
            if source.pixel_shape is not None:
                check_size(source.pixel_shape[-2:], self.max_pixels)
        data = source.read(record)
        with source.naming(record):
            found = numbers_in(data, self.max_pixels, self.kind == "labels")
            if size is not None and found.shape != size:
                raise DataError(
                    f"it is {found.shape[0]} x {found.shape[1]}, but its image is {size[0]} x {size[1]} (height x width)",
                    remedy="an image and its map must be of one size (an image may be turned by its EXIF orientation)",
                )
            return self._resized(self._mapped(self.checked(found)))

    def write(self, loaded: np.ndarray, window: Window, out: np.ndarray) -> None:
        """Scale it, fill it up, cut it out and mirror it as its image, and write it into out (height, width)."""
        if window.warp is not None:
            loaded = loaded if self._holds_pad(loaded) else loaded.astype(np.float32)
            np.copyto(out, warped(loaded, window.warp, window.size, self.pad, self._way(cv2.INTER_NEAREST)))
            return
        if window.part is not None:
            loaded = window.part.of(loaded)
        if window.scaled != loaded.shape:
            loaded = self._scaled(loaded, window.scaled)
        if window.padded:
            out[...] = self.pad
        np.copyto(window.place(out), window.cut(loaded)[:, :: -1 if window.flip else 1])

    def checked(self, found: np.ndarray) -> np.ndarray:
        """Numbers of a map as its kind has them: uint8 stays, others become float32. Raises DataError for one that cannot be."""
        if found.dtype == np.uint8:
            return found if self.kind != "values" else found.astype(np.float32)
        with np.errstate(all="ignore"):
            numbers = found.astype(np.float32)
            if self.kind == "values":
                wrong = np.isinf(numbers)
            elif self.kind == "weights":
                wrong = ~(np.isfinite(numbers) & (numbers >= 0))
            else:
                exact = found.astype(np.float64)
                wrong = ~((np.abs(exact) <= LARGEST_LABEL) & (exact == np.floor(exact)))
        if wrong.any():
            y, x = np.argwhere(wrong)[0].tolist()
            raise DataError(
                f"{self.kind[:-1]} {found[y, x]} at row {y}, column {x}", remedy=f"{_ALLOWED[self.kind]} are allowed"
            )
        return numbers

    def _mapped(self, found: np.ndarray) -> np.ndarray:
        """With the numbers that `labels` gives."""
        if not self.labels:
            return found
        if found.dtype == np.uint8 and all(0 <= new <= 255 for new in self.labels.values()):
            table = np.arange(256, dtype=np.uint8)
            for old, new in self.labels.items():
                if 0 <= old <= 255:
                    table[old] = new
            return table[found]
        mapped = found.astype(np.float32)
        for old, new in self.labels.items():
            mapped[found == old] = new
        return mapped

    def _resized(self, found: np.ndarray) -> np.ndarray:
        resize = self.resize
        if resize is None:
            return found
        if not isinstance(resize, Fit):
            return self._scaled(found, resize) if found.shape != resize else found
        size = resize.size(*found.shape)
        found = self._scaled(found, size) if found.shape != size else found
        return self._padded(found, resize.border(*size)) if resize.pad else found

    def _scaled(self, found: np.ndarray, size: Size) -> np.ndarray:
        """Of another size; labels and weights are never mixed."""
        return scaled(found, size, self._way(cv2.INTER_NEAREST_EXACT if self.centred else cv2.INTER_NEAREST))

    def _way(self, nearest: int) -> int:
        return cv2.INTER_LINEAR if self.kind == "values" else nearest

    def _holds_pad(self, found: np.ndarray) -> bool:
        return found.dtype != np.uint8 or self.pad in range(256)

    def _padded(self, found: np.ndarray, border: Sequence[int]) -> np.ndarray:
        top, bottom, left, right = border
        whole = np.full(
            (top + found.shape[0] + bottom, left + found.shape[1] + right),
            self.pad,
            found.dtype if self._holds_pad(found) else np.float32,
        )
        whole[top : top + found.shape[0], left : left + found.shape[1]] = found
        return whole


def maps_of(options: Any, sources: Sequence[Source]) -> Sequence[Maps]:
    """The maps that the options of a layer name, and the weights of pixels, read from these sources; none without sources."""
    if not sources:
        return ()
    missing = options.pad_label if options.given("pad_label") else np.nan
    pads = {"labels": options.pad_label, "values": missing, "weights": 0}
    return [
        Maps(
            source,
            kind,
            float(pads[kind]),
            (options.label_map or {}) if kind == "labels" else {},
            resize_of(options.resize),
            options.max_pixels,
            centred=options.like is None,
        )
        for source, kind in zip(sources, (options.map_type, "weights"))
    ]


def dtype_of_maps(maps: Sequence[Maps], loaded: Sequence[np.ndarray], transforms: Transforms) -> np.dtype:
    """What slots hold: bytes if all numbers that may come are such, as the first of them tell; of a function of the user's nothing tells."""
    if transforms.transform is not None and "map" in transforms.transform.takes:
        return np.dtype(np.float32)
    small = all(each.pad in range(256) and found.dtype == np.uint8 for each, found in zip(maps, loaded))
    return np.dtype(np.uint8 if small else np.float32)
