"""The memory that a batch is written to: an array for each thing that is made of its records."""

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import numpy as np

from caffe_pylayers.data.geometry import Size

#: The type and the shape of an array.
_Spec = Tuple[Any, Tuple[int, ...]]

_LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Form:
    """What is made of every record.

    shape: (channels, height, width) of an image; where `largest` is not 0, images of up to so many pixels have each their own
    height and width, and this is that of the first. dtype: of images, and map_dtype: of maps, by their names. copies: images of a record.
    num_maps: maps of an image. with_moves: see `Batch`. num_labels: those of a record that a transform of the user's takes, and label_dtype:
    of these, by name.
    """

    shape: Tuple[int, int, int]
    dtype: str
    copies: int = 1
    with_moves: bool = False
    num_maps: int = 0
    map_dtype: str = "float32"
    largest: int = 0
    num_labels: int = 0
    label_dtype: str = "int64"

    def arrays(self, num_records: int) -> Dict[str, _Spec]:
        """The arrays of a room for so many records, by name; those of images and maps are flat where sizes differ."""
        count = num_records * self.copies
        found: Dict[str, _Spec] = {"sizes": (np.int64, (count, 2))}
        if self.with_moves:
            found["moves"] = np.float64, (count, 2, 3)
        if self.num_labels:
            found["labels"] = self.label_dtype, (num_records, self.num_labels)
        for name, channels, dtype in (("images", self.shape[0], self.dtype), ("maps", self.num_maps, self.map_dtype)):
            shape = (count * channels * self.largest,) if self.largest else (count, channels, *self.shape[1:])
            found[name] = dtype, shape
        return found


class Room:
    """Where so many records are written.

    images: (M, C, H, W), M being `copies` times the records. maps: (M, num_maps, H, W). moves: float64 (M, 2, 3), or None.
    labels: (records, num_labels), or None. sizes: int64 (M, 2), height and width of each image before it was padded and cut out, at most what is fed.
    arrays: of those names, where the memory is already there.
    """

    images: np.ndarray
    maps: np.ndarray

    def __init__(self, form: Form, num_records: int, arrays: Optional[Dict[str, np.ndarray]] = None) -> None:
        self._form = form
        if arrays is None:
            specs = form.arrays(0 if form.largest else num_records)
            arrays = {name: np.empty(shape, dtype) for name, (dtype, shape) in specs.items()}
            arrays["sizes"] = np.empty((num_records * form.copies, 2), np.int64)
        self._arrays = arrays
        self.sizes, self.moves, self.labels = arrays["sizes"], arrays.get("moves"), arrays.get("labels")
        if form.largest:
            self.fit(form.shape[1:])
        else:
            self.images, self.maps = arrays["images"], arrays["maps"]

    def fit(self, size: Size) -> None:
        """Let its only image be of this size (height, width), where images have each their own."""
        form = self._form
        for name, channels in (("images", form.shape[0]), ("maps", form.num_maps)):
            count = channels * size[0] * size[1]
            if len(self._arrays[name]) < count:  # of memory of its own, which grows
                self._arrays[name] = np.empty(count, self._arrays[name].dtype)
            setattr(self, name, self._arrays[name][:count].reshape(1, channels, *size))


def _bytes_of(spec: _Spec) -> int:
    dtype, shape = spec
    return -(-int(np.prod(shape)) * np.dtype(dtype).itemsize // _LINE) * _LINE


def bytes_of(specs: Dict[str, _Spec]) -> int:
    """What such arrays take one after the other."""
    return sum(map(_bytes_of, specs.values()))


def carved(memory: Any, offset: int, specs: Dict[str, _Spec]) -> Dict[str, np.ndarray]:
    """Such arrays, one after the other in a memory from `offset` on."""
    arrays = {}
    for name, (dtype, shape) in specs.items():
        arrays[name] = np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)
        offset += _bytes_of((dtype, shape))
    return arrays
