"""Files that a command writes: whole or not at all, and over another one only where that was asked for."""

import contextlib
import os
import secrets
from typing import Iterable, Iterator

from caffe_pylayers.errors import ConfigError


def refuse_existing(paths: Iterable[str], force: bool) -> None:
    """Raise ConfigError where a file is there already and may not be overwritten, or its folder is not there."""
    for path in paths:
        if os.path.isdir(path):
            raise ConfigError(f"{path} is a folder; name a file to write")
        if os.path.exists(path) and not force:
            raise ConfigError(f"{path} is there already; --force overwrites it")
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise ConfigError(f"{path}: there is no folder {folder}; make it first")


def private_name(path: str) -> str:
    """A name beside `path` for what shall become it: one that nobody can have made a link of, to have its target written."""
    return f"{path}.partial-{secrets.token_hex(8)}"


@contextlib.contextmanager
def output_file(path: str) -> Iterator[str]:
    """A name beside `path` to write to; what is written there becomes `path` when all went well, else nothing is left."""
    partial = private_name(path)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise
