"""Files and folders that are written: whole or not at all, and over another one only where that was asked for."""

import contextlib
import os
import secrets
import shutil
from typing import Iterable, Iterator, Optional

from caffe_pylayers import regular_file
from caffe_pylayers.errors import ConfigError, DataError

_MARKED = 512  # bytes at the start of a file, of which the mark of its maker is among


def refuse_existing(paths: Iterable[str], force: bool, inputs: Iterable[Optional[str]] = ()) -> None:
    """Raise ConfigError where a file is there already and may not be overwritten, or its folder is not there.

    inputs: files that the command reads, and folders with such files, which are never overwritten; None is none.
    """
    paths, inputs = list(paths), list(inputs)
    for number, path in enumerate(paths):
        if os.path.isdir(path):
            raise ConfigError(f"{path} is a folder", remedy="name a file to write")
        if os.path.exists(path) and not os.path.isfile(path):
            # A new file takes the place of an old one: /dev/null would be a picture from then on.
            raise ConfigError(f"{path} is not a file but a device, a pipe or a socket", remedy="name a file to write")
        if os.path.exists(path) and any(os.path.samefile(path, other) for other in _files(inputs)):
            raise ConfigError(f"{path} is also the input", remedy="name another file to write")
        if os.path.realpath(path) in map(os.path.realpath, paths[:number]):
            raise ConfigError(f"{path} is given for two files to write", remedy="give another name for one of them")
        if os.path.lexists(path) and not force:
            raise ConfigError(f"{path} is there already", remedy="--force overwrites it")
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise ConfigError(f"there is no folder {folder}", remedy="make it first", source=path)


def require_absent(path: str) -> None:
    """Raise DataError where anything of that name is there."""
    if os.path.lexists(path):
        raise DataError(f"{path} is there already", remedy="remove it, or write to another name")


def _files(inputs: Iterable[Optional[str]]) -> Iterator[str]:
    """Those that are there, and what is in folders of them, as in that of an LMDB."""
    for path in inputs:
        if path is not None and os.path.exists(path):
            yield path
            if os.path.isdir(path):
                yield from filter(os.path.exists, (os.path.join(path, name) for name in os.listdir(path)))


def is_made_here(path: str, mark: str) -> bool:
    """Whether a file starts as those that a command makes, so that another of them may take its place."""
    try:
        with regular_file.open_bytes(path) as file:
            return mark.encode() in file.read(_MARKED)
    except OSError:
        return False


def private_name(path: str) -> str:
    """A name beside `path` for what shall become it: one that nobody can have made a link of, to have its target written."""
    return f"{path}.partial-{secrets.token_hex(8)}"


@contextlib.contextmanager
def output_file(path: str, durable: bool = False) -> Iterator[str]:
    """A name beside `path` to write to, a file or a folder; it becomes `path` when all went well, else nothing is left.

    durable: its bytes are on the disk before, so that a file is whole after a power failure too.
    """
    partial = private_name(path)
    try:
        yield partial
        if durable:
            to_disk(partial)
        os.replace(partial, path)
    except BaseException as error:
        if os.path.isdir(partial):
            shutil.rmtree(partial, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(partial)
        if isinstance(error, OSError) and error.filename in (None, partial):  # else something else was not to be had
            error.filename = path
        raise


def to_disk(path: str) -> None:
    """Bring the bytes of a file to the disk."""
    with regular_file.open_bytes(path) as file:
        os.fsync(file.fileno())
