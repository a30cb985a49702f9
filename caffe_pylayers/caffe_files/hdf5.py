"""HDF5 files, told by their signature."""

import os
from typing import Optional

from caffe_pylayers import regular_file

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_SMALLEST_BLOCK = 512


def hdf5_start(path: str) -> Optional[int]:
    """The byte at which the HDF5 data of a file begin, or None where it has none.

    0, or behind a user block, which MATLAB's files have: its size is 512 or twice, four times, ... as much.
    Raises OSError where it cannot be read.
    """
    with regular_file.open_bytes(path) as stream:
        size, start = os.fstat(stream.fileno()).st_size, 0
        while start < size:
            stream.seek(start)
            if stream.read(len(SIGNATURE)) == SIGNATURE:
                return start
            start = start * 2 or _SMALLEST_BLOCK
    return None
