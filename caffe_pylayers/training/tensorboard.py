"""The rows of a training as a file of events, which TensorBoard reads.

The format is TFRecord: the length of a message, its checksum, the message, its checksum. Messages are protobuf's, written
by hand: TensorBoard's own writer brings a protobuf, which may be another one than Caffe's.
"""

import io
import logging
import math
import os
import re
import struct
import time
from contextlib import suppress
from typing import List, Mapping

from caffe_pylayers.caffe_files.datum import bytes_field, varint, varint_field
from caffe_pylayers.training.log import COLUMNS
from caffe_pylayers.training.loop import Row

logger = logging.getLogger("caffe_pylayers")

_CASTAGNOLI = 0x82F63B78
_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.")


class EventFile:
    """A new file of events in a folder, which is made where there is none; each row is in the file when `write` returns.

    begin: the iteration that comes next. TensorBoard no longer shows what earlier files of the folder have from there on.
    Raises OSError where nothing can be written there.
    """

    def __init__(self, folder: str, begin: int = 0) -> None:
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, _next_name(folder))
        self._file = io.BufferedWriter(io.FileIO(self.path, "x"))
        self._broken = False
        # step, session_log: START; before the first row
        self._start = varint_field(2, begin) + bytes_field(7, varint_field(1, 1))
        try:
            self._add(bytes_field(3, b"brain.Event:2"), time.time())  # file_version
        except OSError:
            self.close()
            with suppress(OSError):
                os.remove(self.path)
            raise

    def write(self, row: Row) -> None:
        """Add a row. What goes wrong with it is told, and ends the events and not the training."""
        if self._broken:
            return
        numbers = {name: getattr(row, name) for name in COLUMNS if name != "iteration"}
        numbers.update(row.outputs)
        try:
            self.add(
                row.iteration, {name: number for name, number in numbers.items() if number is not None}, time.time()
            )
        except OSError as error:
            self._broken = True
            logger.warning(
                "%s: %s; it ends at iteration %d, and the training goes on", self.path, error.strerror, row.iteration
            )

    def add(self, iteration: int, numbers: Mapping[str, float], when: float) -> None:
        """Add numbers of an iteration, by their columns in the log. when: in seconds since 1970. Raises OSError."""
        if self._start:
            self._add(self._start, when)
            self._start = b""
        values = b"".join(
            bytes_field(1, bytes_field(1, _tag(column)) + _float(2, number))  # tag, simple_value
            for column, number in numbers.items()
        )
        self._add(varint_field(2, iteration) + bytes_field(5, values), when)  # step, summary

    def close(self) -> None:
        with suppress(OSError):  # it tries once more what could not be written
            self._file.close()

    def _add(self, event: bytes, when: float) -> None:
        event = struct.pack("<Bd", 1 << 3 | 1, when) + event  # wall_time
        length = struct.pack("<Q", len(event))
        self._file.write(length + _checksum(length) + event + _checksum(event))
        self._file.flush()


def _tag(column: str) -> bytes:
    """`test/accuracy` for `test accuracy`, so that all tests are one group."""
    return column.replace(" ", "/", 1).encode("utf-8", "replace")


def _next_name(folder: str) -> str:
    """A name behind those that are there: TensorBoard reads the files of a folder by their names, whatever the clock says."""
    before = (int(found[1]) for found in map(_NAME.match, os.listdir(folder)) if found)
    return f"events.out.tfevents.{max(int(time.time()), 1 + max(before, default=0)):010d}.{os.getpid()}"


def _float(field: int, number: float) -> bytes:
    """A field of a protobuf message that is a float."""
    try:
        return varint(field << 3 | 5) + struct.pack("<f", number)
    except OverflowError:  # Caffe's floats become infinite
        return _float(field, math.copysign(math.inf, number))


def _table() -> List[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (_CASTAGNOLI if number & 1 else 0)
        table.append(number)
    return table


_TABLE = _table()


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C of TFRecord."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
