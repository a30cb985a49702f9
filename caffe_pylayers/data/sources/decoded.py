"""Any source, decoded once: what `compressed: false` makes of it."""

import logging
import mmap
import os
from typing import Any, Dict, Tuple

import numpy as np
from tqdm import tqdm

from caffe_pylayers.data.memory import available_bytes
from caffe_pylayers.data.sources.base import Source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError

logger = logging.getLogger("caffe_pylayers")


class DecodedSource(Source):
    """The images of a source, decoded and resized up front, in memory that the workers share.

    Takes records x height x width x channels bytes, which is logged. Raises DataError where that is more than there
    is, or images are of unlike sizes.
    """

    def __init__(self, source: Source, transforms: Transforms) -> None:
        super().__init__(source.path, source.names, source.labels)
        self._kind = source.kind
        first = transforms.load(source, 0)
        self._shape = (len(source), *first.shape)
        size, available = int(np.prod(self._shape)), available_bytes()
        if size > available:
            raise DataError(
                f"{self.kind} source {self.path}: decoded it takes {size / 1e6:.0f} MB, and {available / 1e6:.0f} MB of "
                f"memory are free; leave out `compressed: false`, or lower `resize`"
            )
        self._fd = os.memfd_create("caffe_pylayers decoded")
        os.ftruncate(self._fd, size)
        self._map()
        for record in tqdm(range(len(source)), desc=f"decoding {self.path}", unit="images", disable=None):
            image = transforms.load(source, record)
            if image.shape != first.shape:
                raise DataError(
                    f"{source.describe(record)}: {image.shape[:2]} (height, width) where the first record has "
                    f"{first.shape[:2]}; `compressed: false` needs `resize` for images of unlike sizes"
                )
            self._images[record] = image
        logger.info("%s source %s: %d images decoded, %.0f MB", self.kind, self.path, len(source), size / 1e6)

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def fds(self) -> Tuple[int, ...]:
        return (self._fd,)

    def read(self, record: int) -> np.ndarray:
        return self._images[record]

    def __getstate__(self) -> Dict[str, Any]:
        return {**super().__getstate__(), "_images": None}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _map(self) -> None:
        self._images = np.frombuffer(mmap.mmap(self._fd, 0), np.uint8).reshape(self._shape)
