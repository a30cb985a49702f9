"""Errors for which no file is to blame: memory, descriptors or processes are used up."""

import contextlib
import errno
import os
from typing import Iterator, Optional

from caffe_pylayers.errors import ChangedSourceError, ConfigError, DataError

_OF_DESCRIPTORS = "close nets that are not used any more (`caffe_pylayers.close()`), or raise the limit (`ulimit -n`)"
_OF_MEMORY = "lower `batch_size`, `prefetch` or `workers`, or raise the limit (`ulimit -v`, or that of the container)"
_USED_UP = {
    errno.EMFILE: ("this process has as many files open as it may", _OF_DESCRIPTORS),
    errno.ENFILE: ("this machine has as many files open as it can", _OF_DESCRIPTORS),
    errno.ENOMEM: ("there is not enough memory", _OF_MEMORY),
    errno.EAGAIN: ("no more processes or threads may be started", "lower `workers`, or raise the limit (`ulimit -u`)"),
}
#: Why nothing more can be written, and what to do.
NO_ROOM = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk, of which you have a share",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`)",
}
_CV2_NO_MEMORY = -4


class ExhaustedError(DataError):
    """Memory, descriptors or processes are used up."""


def exhausted(error: Optional[BaseException]) -> Optional[ExhaustedError]:
    """What an error, or one of those that it was made of, says to be used up; None where it is about something else."""
    while error is not None and not isinstance(error, ConfigError):  # which blames code of the user's
        if isinstance(error, ExhaustedError):
            return error
        number = error.errno if isinstance(error, OSError) else 0
        if isinstance(error, MemoryError) or getattr(error, "code", 0) == _CV2_NO_MEMORY:
            number = errno.ENOMEM
        if number in _USED_UP:
            problem, remedy = _USED_UP[number]
            why = str(getattr(error, "err", error))  # that of OpenCV is the sentence alone
            return ExhaustedError(f"{problem} ({why})" if why else problem, remedy=remedy)
        error = error.__cause__
    return None


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell what is used up in an ExhaustedError, whatever error came of it."""
    try:
        yield
    except Exception as error:
        found = exhausted(error)
        if found is None or found is error:
            raise
        raise found from error


def blames_record(error: DataError) -> bool:
    """Whether a record is to blame, so that `on_error` may leave it out: not where its source is another one by now."""
    return not isinstance(error, ChangedSourceError) and exhausted(error) is None


def cannot_write(error: OSError, path: str) -> DataError:
    """What is told of a file that cannot be written."""
    why = os.strerror(error.errno) if error.errno else str(error)  # h5py's own words are long
    return DataError(f"cannot write it: {why}", remedy=NO_ROOM.get(error.errno or 0, ""), source=path)
