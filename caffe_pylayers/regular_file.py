"""Opening the files that a user names: regular ones alone, which have a size and an end.

A pipe at a name waits for a writer that may never come, and a device is read without end. Each function raises OSError
with a `strerror` that says what is there instead, for the caller to put the name of the option or record in front.
"""

import errno
import io
import os
import stat
from typing import BinaryIO, Optional, TextIO, Tuple, Union, cast

from caffe_pylayers.processes.memory import available_bytes

Name = Union[str, bytes]

_ALWAYS_READ = 64 << 20  # bytes, for which the free memory is not asked

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def descriptor(path: Name) -> int:
    """A file descriptor that reads the file, for the caller to close."""
    # Without O_NONBLOCK the call waits for the other end of a pipe. It means nothing for a regular file.
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _require_regular(path, os.fstat(opened))
    except OSError:
        os.close(opened)
        raise
    return opened


def require_regular(path: Name) -> os.stat_result:
    """What `os.stat` says of the file. For libraries that open a path themselves."""
    status = os.stat(path)
    _require_regular(path, status)
    return status


def version(status: os.stat_result) -> Tuple[int, int, int]:
    """What tells a file from another one of its name, or from what it was before."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def open_bytes(path: Name) -> BinaryIO:
    """The file, open for reading."""
    return cast(BinaryIO, io.BufferedReader(io.FileIO(descriptor(path))))


def open_text(
    path: Name, encoding: str = "utf-8", errors: Optional[str] = None, newline: Optional[str] = None
) -> TextIO:
    """The file, open for reading text; the arguments are those of `open`. OSError as for `read_bytes`."""
    file = open_bytes(path)
    try:
        require_room(path, os.fstat(file.fileno()).st_size)
    except OSError:
        file.close()
        raise
    return io.TextIOWrapper(file, encoding, errors, newline)


def read_bytes(path: Name) -> bytes:
    """All that the file has. Never more than its size, and OSError where that is more than the memory that is free."""
    opened = descriptor(path)
    try:
        size = os.fstat(opened).st_size
        require_room(path, size)
        parts = []
        while size > 0:
            parts.append(os.read(opened, size))
            if not parts[-1]:
                break
            size -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(opened)


def require_room(path: Name, size: int) -> None:
    """For what is read whole by somebody else: that many bytes are no more than the memory that is free."""
    if size > _ALWAYS_READ and size > available_bytes():
        raise OSError(errno.EFBIG, f"it has {size / 1e6:.0f} MB, more than the memory that is free", path)


def _require_regular(path: Name, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"it is not a file but {_KINDS[stat.S_IFMT(status.st_mode)]}", path)
