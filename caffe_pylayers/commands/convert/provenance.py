"""The record of a conversion, `TARGET.provenance.json`: from what, how, when, with what, and what came of it."""

import datetime
import hashlib
import os
import platform
from typing import Any, Dict, List

import cv2
import numpy as np

import caffe_pylayers
from caffe_pylayers import regular_file
from caffe_pylayers.files.output_file import to_disk


def provenance_of(target: str) -> str:
    """Its path."""
    return f"{target}.provenance.json"


def versions() -> Dict[str, str]:
    """Of what decides the bytes of images."""
    return {"caffe_pylayers": caffe_pylayers.__version__, "opencv": cv2.__version__}


def circumstances() -> Dict[str, Any]:
    """When, and with what."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {"when": now, "versions": {**versions(), "numpy": np.__version__, "python": platform.python_version()}}


def described(path: str) -> Dict[str, Any]:
    """The bytes and the checksum of a file (of an LMDB: its data.mdb); of a folder those of all its files, with their names
    there, and how many they are.
    """
    if os.path.exists(os.path.join(path, "data.mdb")):
        path = os.path.join(path, "data.mdb")
    if not os.path.isdir(path):
        digest = hashlib.sha256()
        return {"bytes": _add(digest, path), "sha256": digest.hexdigest()}
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    size, digest = 0, hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(os.path.relpath(file, path)) + b"\0")
        size += _add(digest, file)
    return {"files": len(files), "bytes": size, "sha256": digest.hexdigest()}


def _add(digest: Any, path: str) -> int:
    """Take the contents of a file into a digest; returns how many bytes they are."""
    size = 0
    with regular_file.open_bytes(path) as stream:
        for part in iter(lambda: stream.read(1 << 20), b""):
            digest.update(part)
            size += len(part)
    return size


def flush(pieces: List[str]) -> None:
    """Bring files and folders to the disk, so that they are whole after a power failure too."""
    if any(os.path.isdir(piece) and not os.path.exists(os.path.join(piece, "data.mdb")) for piece in pieces):
        os.sync()  # quicker than a million files one by one
    for piece in pieces:
        if os.path.isfile(piece):  # write_lmdb flushes its own
            to_disk(piece)
