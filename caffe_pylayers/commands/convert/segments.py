"""What is finished of a conversion: files of some records each, with a checksum for each image.

A segment appears whole or not at all. It has the images one after the other (pixels plane by plane), then, as JSON, which
records they are, their sizes, checksums and shapes, and the records that were left out; then the JSON's size and checksum.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Callable, Collection, Iterable, Iterator, List, Tuple

import cv2
import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.processes.limits import blames_record

_END = struct.Struct("<QI8s")
_MAGIC = b"segment1"

#: Of an image: its bytes, their checksum, its type ("" where it is encoded), the shape of its planes ([] likewise).
_Image = Tuple[int, int, str, List[int]]


@dataclass(frozen=True)
class Segment:
    """A finished one.

    records: their numbers in the source, without those left out. skipped: those, each with what is wrong with it. cut_short: those of which
    only a part could be read. size: bytes of its images.
    """

    path: str
    records: List[int]
    skipped: List[Tuple[int, str]]
    cut_short: List[int]
    size: int
    _images: List[_Image]

    @classmethod
    def read(cls, path: str) -> "Segment":
        """Raises DataError where it is damaged; the images are not looked at."""
        try:
            with regular_file.open_bytes(path) as stream:
                start = stream.seek(0, os.SEEK_END) - _END.size
                stream.seek(max(0, start))
                size, checksum, magic = _END.unpack(stream.read())
                stream.seek(max(0, start - size))
                text = stream.read(size)
        except (OSError, struct.error) as error:
            raise DataError(str(error), source=path) from error
        if magic != _MAGIC or zlib.crc32(text) != checksum:
            raise DataError("it is damaged", source=path)
        table = json.loads(text)
        images = [(size, checksum, dtype, shape) for size, checksum, dtype, shape in table["images"]]
        skipped = [(record, reason) for record, reason in table["skipped"]]
        return cls(
            path, table["records"], skipped, table.get("cut_short", []), sum(image[0] for image in images), images
        )

    def images(self) -> Iterator[Image]:
        """The images, in order."""
        with open(self.path, "rb") as stream:
            for size, _, dtype, shape in self._images:
                data = stream.read(size)
                # As (height, width, channels), of which the writers make planes again without a copy.
                yield np.frombuffer(data, dtype).reshape(shape).transpose(1, 2, 0) if dtype else data

    def is_sound(self) -> bool:
        """Whether all of its images are as they were written."""
        with open(self.path, "rb") as stream:
            return all(zlib.crc32(stream.read(size)) == checksum for size, checksum, _, _ in self._images)

    def has(self, number: int, image: Image) -> bool:
        """Whether its image of that number is this one."""
        return self._images[number] == _described(image, _pieces(image))


def write_segment(
    path: str, records: Iterable[int], make: Callable[[int], Image], skip: bool, cut_short: Collection[int] = ()
) -> None:
    """Make the images of records and write them. skip: leave out those that cannot be made, instead of DataError.

    cut_short: the records of which only a part could be read, which `make` adds to.
    """
    numbers, images, skipped = [], [], []
    with output_file(path) as partial, open(partial, "wb") as stream:
        for record in records:
            try:
                image = make(record)
            except DataError as error:
                if not (skip and blames_record(error)):
                    raise
                skipped.append((record, str(error)))
                continue
            pieces = _pieces(image)
            stream.writelines(pieces)
            numbers.append(record)
            images.append(_described(image, pieces))
        text = json.dumps(
            {"records": numbers, "images": images, "skipped": skipped, "cut_short": sorted(cut_short)}
        ).encode()
        stream.write(text + _END.pack(len(text), zlib.crc32(text), _MAGIC))


def _pieces(image: Image) -> List[bytes]:
    """The bytes of an image as a segment has them, one piece after the other."""
    if not isinstance(image, np.ndarray):
        return [bytes(image)]
    if image.shape[2] != 3:
        return [image.transpose(2, 0, 1).tobytes()]
    return [plane.tobytes() for plane in cv2.split(image)]  # ten times faster than numpy


def _described(image: Image, pieces: List[bytes]) -> _Image:
    """What the table of a segment says of an image, whose bytes are `pieces`."""
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    if not isinstance(image, np.ndarray):
        return sum(map(len, pieces)), checksum, "", []
    height, width, channels = image.shape
    return image.nbytes, checksum, image.dtype.str, [channels, height, width]
