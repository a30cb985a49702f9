"""What the workers of a conversion do: make segments, then compare them with what was written."""

import os
from dataclasses import dataclass
from typing import Any, Dict, Set, Tuple, Union

from caffe_pylayers.commands.convert.images import Images
from caffe_pylayers.commands.convert.provenance import described
from caffe_pylayers.commands.convert.segments import Segment, write_segment
from caffe_pylayers.data.sources import Source


@dataclass(frozen=True)
class Part:
    """Some records of the source, and where their segment is or shall be."""

    path: str
    records: Tuple[int, ...]

    def __str__(self) -> str:
        return f"one of {len(self.records)} records, the first of them record {self.records[0]}"


@dataclass(frozen=True)
class Make:
    """Make the segment of a part if it is not there; its path. skip: leave out records that cannot be read."""

    source: Source
    images: Images
    skip: bool

    def do(self, part: Part) -> str:
        if not os.path.exists(part.path):
            cut_short: Set[int] = set()
            write_segment(
                part.path,
                part.records,
                lambda record: self.images.make(self.source, record, cut_short.add),
                self.skip,
                cut_short,
            )
        return part.path


@dataclass(frozen=True)
class Written:
    """A segment, and the place in the target of its first record."""

    path: str
    first: int

    def __str__(self) -> str:
        return f"one of the records from {self.first} on, reading them back"


@dataclass(frozen=True)
class Described:
    """Files that were written."""

    pieces: Tuple[str, ...]

    def __str__(self) -> str:
        return "the checksums of the files"


@dataclass(frozen=True)
class Compare:
    """Read the images of a segment back from the target; the place of the first that differs, or None.

    Of the files that were written: their sizes and checksums.
    """

    target: Source

    def do(self, part: Union[Written, Described]) -> Union[int, Dict[str, Any], None]:
        if isinstance(part, Described):
            return {os.path.basename(piece): described(piece) for piece in part.pieces}
        segment = Segment.read(part.path)
        for number in range(len(segment.records)):
            if not segment.has(number, self.target.read(part.first + number)):
                return part.first + number
        return None
