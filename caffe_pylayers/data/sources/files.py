"""Image files by their names, as a list has them."""

import contextlib
import hashlib
import logging
import os
from typing import Iterator, Optional, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.data.sources.base import Names, Source
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table

logger = logging.getLogger("caffe_pylayers")


class Files(Source):
    """The files that a list names.

    root: folder in front of the names; without it they are relative to the working directory.
    """

    names: Names

    def __init__(self, path: str, names: Names, root: Optional[str] = None) -> None:
        super().__init__(path, names)
        self._root = os.fsencode(os.path.abspath(root or ""))
        self._has_root = root is not None

    @property
    def kind(self) -> str:
        return "CSV"

    def there(self) -> np.ndarray:
        """Which of the files exist: bool (N,)."""
        return np.array([os.path.exists(self._file(record)) for record in range(len(self))])

    def refuse_absent(self, there: np.ndarray, missing: str) -> None:
        """Raise DataError about those that do not exist, or, where `missing` is 'skip', warn of them; of all it is an error.

        there: bool (N,); some are not.
        """
        first = int(np.argmin(there))
        why, remedy = self.why_absent(first)
        error = DataError(
            f"{len(there) - there.sum()} of {len(there)} files do not exist; the first is record {first}, "
            f"{os.fsdecode(self._file(first))}{why}",
            remedy=remedy,
            source=self.described,
            record=first,
        )
        if missing == "error" or not there.any():
            raise error
        logger.warning("%s; the missing files are left out", error.found)

    def keep(self, chosen: np.ndarray) -> None:
        """Leave only these records: bool (N,)."""
        self.names = Names(self.names[record] for record in np.flatnonzero(chosen).tolist())

    def files(self) -> Iterator[str]:
        yield self.path
        yield from (os.fsdecode(self._file(record)) for record in range(len(self)))

    def identity(self) -> Tuple[object, ...]:
        return (*super().identity(), self._root)

    def version(self) -> Iterator[object]:
        packed, ends = self.names.arrays()
        yield hashlib.sha256(packed + ends.tobytes()).hexdigest()

    def record_version(self, record: int) -> Tuple[int, ...]:
        with contextlib.suppress(OSError, ValueError):  # `read` says what is wrong with it
            return regular_file.version(os.stat(self._file(record)))
        return ()

    def read(self, record: int) -> bytes:
        file = self._file(record)
        try:
            return regular_file.read_bytes(file)
        except (OSError, ValueError) as error:  # ValueError: a name with a zero in it
            reason = getattr(error, "strerror", error)
            raise self.error(f"cannot read {os.fsdecode(file)}: {reason}", record=record) from error

    def why_absent(self, record: int) -> Tuple[str, str]:
        """What seems to be wrong with the name of a file that is not there, and what to do."""
        if b"\\" in self.names[record]:
            return ": the name has back slashes", text_table.back_slashes(self.path)
        return "", "set `root` to the folder that the names start from, or fix the list"

    def _file(self, record: int) -> bytes:
        return self._path(self.names[record])

    def _path(self, name: bytes) -> bytes:
        """Where a name leads. One that begins with a slash is below `root` all the same where such a file is there, since
        stock ImageData puts its root_folder before every name.
        """
        if self._has_root and name.startswith(b"/"):
            below = self._root + name
            if os.path.exists(below):
                return below
        return os.path.join(self._root, name)
