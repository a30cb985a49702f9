"""The formats of sources, and which of them a path is, told from what is there, or from its name."""

import os
import re
from typing import Literal, Optional, get_args

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.errors import ConfigError

#: The words of the option `source_type`: NAME is the class NAMESource in the module of `caffe_pylayers.data.sources` of that name.
Format = Literal["CSV", "LMDB", "BCF", "HDF5"]
FORMATS = get_args(Format)

_LMDB_MAGIC = b"\xde\xc0\xef\xbe"  # at byte 16
_ENDINGS = ((r"\.(csv|tsv|txt|lst)$", "CSV"), (r"\.bcf$", "BCF"), (r"\.(h5|hdf5)$", "HDF5"), (r"lmdb/?$", "LMDB"))


def guessed_format(path: str, option: str) -> str:
    """The format of what lies at a path, or shall. Raises ConfigError, which names the option to give, if nothing tells."""
    found = _by_content(path) or next((word for ending, word in _ENDINGS if re.search(ending, path, re.IGNORECASE)), "")
    if not found:
        raise ConfigError(
            "neither its name nor its content shows its format",
            remedy=(
                f"give {option} {', '.join(FORMATS[:-1])} or {FORMATS[-1]} (known names: .csv, .txt, .bcf, .h5, "
                "and those that end with lmdb)"
            ),
            source=path,
        )
    return found


def _by_content(path: str) -> Optional[str]:
    if os.path.isdir(path):
        return "LMDB" if os.path.exists(os.path.join(path, "data.mdb")) else None
    try:
        with regular_file.open_bytes(path) as stream:
            start = stream.read(1 << 12)
        if hdf5_start(path) is not None:
            return "HDF5"
    except OSError:
        return None
    if start[16:20] == _LMDB_MAGIC:
        return "LMDB"
    first = start.split(b"\n")[0].strip().lower()
    return "HDF5" if first.endswith((b".h5", b".hdf5")) and b"\0" not in start else None  # a list of such files
