"""What a file or folder is, in words, where something else was expected."""

import os

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.hdf5 import hdf5_start

LMDB, LEVELDB, FOLDER = "an LMDB", "a LevelDB", "a folder"
HDF5, TEXT, BINARY = "an HDF5 file", "a text file", "a binary file"
GZIP = "a .gz file"

_LMDB_MAGIC = b"\xde\xc0\xef\xbe"  # at byte 16
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_STARTS = {
    b"\xff\xd8\xff": "an image (JPEG)",
    b"\x89PNG": "an image (PNG)",
    b"GIF8": "an image (GIF)",
    b"II*\0": "an image (TIFF)",
    b"MM\0*": "an image (TIFF)",
    b"\x93NUMPY": "a .npy file",
    b"PK\x03\x04": "a .zip or .npz file",
    b"\x1f\x8b": GZIP,
    b"%PDF": "a PDF",
}


def kind_of(path: str) -> str:
    """What is there; "" where that cannot be told, or nothing is.

    A text file has no zero in its first bytes, unless it is UTF-16.
    """
    if os.path.isdir(path):
        there = [os.path.exists(os.path.join(path, name)) for name in ("data.mdb", "CURRENT")]
        return LMDB if there[0] else LEVELDB if there[1] else FOLDER
    try:
        with regular_file.open_bytes(path) as stream:
            start = stream.read(1 << 12)
        if hdf5_start(path) is not None:
            return HDF5
    except OSError:
        return ""
    if start[16:20] == _LMDB_MAGIC:
        return LMDB
    found = next((words for first, words in _STARTS.items() if start.startswith(first)), "")
    if not start:
        return ""
    if start.startswith(_UTF_16):
        return TEXT
    return found or (BINARY if b"\0" in start else TEXT)
