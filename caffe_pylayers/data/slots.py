"""The shared memory of a ring: heartbeats of the workers, then the slots.

Anonymous (memfd): it has no name, and is gone with the last process that has it, however that ends.
"""

import json
import mmap
import os
import struct
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from caffe_pylayers.data.room import Form, Room, bytes_of, carved
from caffe_pylayers.errors import ConfigError, DataError, PartedError
from caffe_pylayers.processes.memory import available_bytes

#: A message between parent and worker: batch, slot, generation. The worker's may be followed by complaints.
DONE = struct.Struct("<qii")

#: The place of a complaint that ends the run: no other record can take the place of one.
NO_PLACE = -1

_MOST_BYTES = 60_000  # of complaints: a message must fit into a socket's buffer

_PAGE = 4096


@dataclass(frozen=True)
class Layout:
    """Sizes that parent and workers agree on. form: of what is made of each record."""

    num_slots: int
    num_workers: int
    num_records: int
    form: Form

    @property
    def arrays(self) -> Dict[str, Any]:
        """The arrays of a slot, by name."""
        count = self.num_records
        facts = {
            "records": (np.int64, (count,)),
            "keys": (np.uint64, (count,)),
            "cut_short": (np.bool_, (count,)),
            "cached": (np.int64, (1,)),
        }
        made = self.form.arrays(count)
        given = {"given_labels": made["labels"]} if self.form.num_labels else {}
        return {**facts, **given, **made}

    @property
    def slot_bytes(self) -> int:
        return _pages(bytes_of(self.arrays))

    @property
    def total_bytes(self) -> int:
        return _pages(16 * self.num_workers) + self.num_slots * self.slot_bytes


class Slot:
    """records int64 (M,), keys uint64 (M,), given_labels (M, num_labels) or None: what to fill with; room: what was filled.

    cut_short: bool (M,), the images of which only a part could be read. cached: int64 (1,), how many came from the cache.
    """

    def __init__(self, memory: mmap.mmap, offset: int, layout: Layout) -> None:
        arrays = carved(memory, offset, layout.arrays)
        self.records, self.keys, self.cut_short = arrays["records"], arrays["keys"], arrays["cut_short"]
        self.cached, self.given_labels = arrays["cached"], arrays.get("given_labels")
        self.room = Room(layout.form, layout.num_records, arrays)


class Memory:
    """The mapping. Pickles as its layout; a worker maps the descriptor that it inherited under the same number.

    beats: int64 (num_workers, 2): images that a worker has begun in its life, and the place in its batch of the one
    that it is at, -1 between batches; how the parent tells a slow worker from a stuck one, and which record it was at.
    """

    def __init__(self, layout: Layout, fd: int = -1) -> None:
        self.layout = layout
        if fd < 0:
            available = available_bytes()
            if layout.total_bytes > available:
                raise DataError(
                    f"prefetch: {layout.num_slots} batches of {layout.slot_bytes / 1e6:.0f} MB do not fit into the free "
                    f"{available / 1e6:.0f} MB of memory",
                    remedy=f"lower `prefetch`, `workers` or {'`max_pixels`' if layout.form.largest else '`batch_size`'}",
                )
            fd = os.memfd_create("caffe_pylayers")
        self.fd = fd
        try:
            os.ftruncate(fd, layout.total_bytes)
            mapping = mmap.mmap(fd, layout.total_bytes)
        except BaseException:
            self.close()
            raise
        self.beats = np.frombuffer(mapping, np.int64, 2 * layout.num_workers).reshape(-1, 2)
        first = _pages(16 * layout.num_workers)
        self.slots: List[Slot] = [
            Slot(mapping, first + index * layout.slot_bytes, layout) for index in range(layout.num_slots)
        ]

    def __reduce__(self) -> "tuple[type, tuple[Layout, int]]":
        return Memory, (self.layout, self.fd)

    def close(self) -> None:
        """Close the descriptor; the pages go with the last array on them."""
        os.close(self.fd)


def pack_complaints(complaints: Mapping[int, PartedError]) -> bytes:
    """Complaints about records, by their place in the batch, as bytes of a message; long ones are cut."""
    if not complaints:
        return b""
    # A character takes up to six bytes in JSON; the names of the parts take some too.
    most = _MOST_BYTES // 6 // len(complaints) - 40
    return json.dumps({str(place): _cut(error, most) for place, error in complaints.items()}).encode()


def _cut(error: PartedError, most: int) -> Tuple[bool, Dict[str, Any]]:
    """Whether it is a ConfigError, and the parts of it, with at most so many characters in those that may be long."""
    parts = error.parts
    for name in ("source", "problem", "remedy"):
        parts[name] = parts[name][:most]
        most -= len(parts[name])
    return isinstance(error, ConfigError), parts


def unpack_complaints(message: bytes) -> Dict[int, PartedError]:
    """The inverse of `pack_complaints`."""
    found = json.loads(message) if message else {}
    return {
        int(place): (ConfigError if of_config else DataError)(**parts) for place, (of_config, parts) in found.items()
    }


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE
