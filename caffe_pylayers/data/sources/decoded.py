"""Any source, decoded once: what `compressed: false` makes of it."""

import logging
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
from tqdm import tqdm

from caffe_pylayers.data.cut_short import CutShort
from caffe_pylayers.data.decoding import unlike
from caffe_pylayers.data.geometry import Matrix
from caffe_pylayers.data.sources.base import Source
from caffe_pylayers.data.sources.mixed import MixedSource
from caffe_pylayers.data.sources.storage import SharedMemory
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.limits import blames_record
from caffe_pylayers.processes.memory import available_bytes

logger = logging.getLogger("caffe_pylayers")


def decoded(source: Source, transforms: Transforms, tolerant: bool = False, with_moves: bool = False) -> Source:
    """A source whose images are decoded; of several, each by itself."""

    def of(part: Source) -> DecodedSource:
        return DecodedSource(part, transforms, tolerant, with_moves)

    return source.of_parts(of) if isinstance(source, MixedSource) else of(source)


class DecodedSource(Source):
    """The images of a source, decoded and resized up front, in memory that the workers share.

    Takes records x height x width x channels numbers, whose size is logged. Raises DataError where that is more than
    there is, or a record cannot be read or is of another size; if `tolerant`, when such a record is asked for.
    with_moves: keep where the pixels of each image went.
    """

    def __init__(
        self, source: Source, transforms: Transforms, tolerant: bool = False, with_moves: bool = False
    ) -> None:
        super().__init__(source.path, source.names, source.labels, source.sample_weights, source.label_dim)
        self.unknown = source.unknown
        self._kind = source.kind
        self._make: Any = source, transforms, tolerant
        self._moves = np.empty((len(source), 2, 3)) if with_moves else None
        self._memory: Optional[SharedMemory] = None
        self._images: Optional[np.ndarray] = None
        self._load()

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def fds(self) -> Tuple[int, ...]:
        return () if self._memory is None else (self._memory.fd,)

    def close(self) -> None:
        """Give the images back; they are decoded again when they are asked for again."""
        self._images = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def read(self, record: int) -> np.ndarray:
        if self._memory is None:
            self._load()
        if record in self._complaints:
            raise self._complaints[record].kept()
        if self._images is None:
            self._map()
        assert self._images is not None
        return self._images[record]

    def moved(self, record: int) -> Matrix:
        return super().moved(record) if self._moves is None else np.asarray(self._moves[record])

    def __getstate__(self) -> Dict[str, Any]:
        if self._memory is None:  # workers inherit what is there
            self._load()
        return {**super().__getstate__(), "_images": None, "_make": None}

    def _map(self) -> None:
        assert self._memory is not None
        self._images = np.frombuffer(self._memory.map(), self._dtype).reshape(self._shape)

    def _load(self) -> None:
        source, transforms, tolerant = self._make
        try:
            self._memory = self._filled(source, transforms, tolerant)
        finally:
            source.close()

    def _filled(self, source: Source, transforms: Transforms, tolerant: bool) -> SharedMemory:
        """Memory with all images; what cannot be read is complained of."""
        self._complaints: Dict[int, DataError] = {}
        self._cut_short = CutShort(source)
        images = self._decoded(source, transforms, tolerant)
        first_record, first = next(images, (0, None))
        if first is None:
            complaint = self._complaints[0]
            raise self.error(
                f"no record can be read; {complaint.found}",
                remedy=complaint.remedy,
            )
        self._shape, self._dtype = (len(source), *first.shape), first.dtype
        size, available = first.nbytes * len(source), available_bytes()
        if size > available:
            raise self.error(
                f"the decoded images take {size / 1e6:.0f} MB, but only {available / 1e6:.0f} MB of memory are free",
                remedy="leave out `compressed: false`, or lower `resize`",
            )
        memory = SharedMemory("caffe_pylayers decoded")
        os.ftruncate(memory.fd, size)
        into = np.frombuffer(memory.map(), self._dtype).reshape(self._shape)
        into[first_record] = first
        for record, image in images:
            if image.shape == first.shape and image.dtype == first.dtype:
                into[record] = image
                continue
            problem, remedy = unlike(image, first.shape[2], first.dtype, transforms.color) or (
                f"{image.shape[0]} x {image.shape[1]} (height x width), but the first record has {first.shape[0]} x {first.shape[1]}",
                "`compressed: false` needs `resize` for images of different sizes",
            )
            complaint = source.error(problem, remedy=remedy, record=record)
            if not tolerant:
                raise complaint
            self._complaints[record] = complaint
        logger.info("%s source %s: %d images decoded, %.0f MB", self.kind, self.path, len(source), size / 1e6)
        self._cut_short.tell()
        return memory

    def _decoded(self, source: Source, transforms: Transforms, tolerant: bool) -> Iterator[Tuple[int, np.ndarray]]:
        """The records that can be read, and their images."""
        for record in tqdm(range(len(source)), desc=f"decoding {self.path}", unit="images", disable=None):
            moves: List[Matrix] = []
            traced = None if self._moves is None else lambda size, matrix, found=moves: found.append(matrix)
            try:
                image = transforms.load(source, record, lambda record: self._cut_short.add([record]), traced)
            except DataError as error:
                if not (tolerant and blames_record(error)):
                    raise
                self._complaints[record] = error.kept()
            else:
                if self._moves is not None:
                    self._moves[record] = moves[0]
                yield record, image
