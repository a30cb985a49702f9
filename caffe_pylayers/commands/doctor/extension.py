"""The compiled part of pycaffe, `_caffe.so`, looked at without importing it."""

import contextlib
import os
import re
import sys
from importlib import machinery
from typing import List, Optional


def compiled() -> Optional[str]:
    """The _caffe.so that `import caffe` would take."""
    spec = machinery.PathFinder.find_spec("caffe", [os.getcwd(), *sys.path])
    return within(list(spec.submodule_search_locations or [])) if spec else None


def within(folders: List[str]) -> Optional[str]:
    """The _caffe.so for this Python in one of the folders `caffe`."""
    found = machinery.PathFinder.find_spec("_caffe", folders)
    return found.origin if found else None


def of_old_protobuf(file: Optional[str]) -> bool:
    """Whether its Caffe has a caffe_pb2.py of a protoc before 3.20, which protobuf 4 and later refuse."""
    place = os.path.join(os.path.dirname(file), "proto", "caffe_pb2.py") if file else ""
    with contextlib.suppress(OSError), open(place, "rb") as generated:
        return b"builder" not in generated.read()
    return False


def numpy_of(file: Optional[str]) -> Optional[int]:
    """The NumPy that it is compiled against: 1, and it needs NumPy 1; 2, and it runs with both. None if that is not seen.

    `import_array` of NumPy 2's headers looks for `numpy._core` first, that of NumPy 1 only for `numpy.core`.
    """
    if file is None:
        return None
    with open(file, "rb") as extension:
        content = extension.read()
    if b"numpy._core" in content:
        return 2
    return 1 if re.search(rb"numpy[./]core", content) else None
