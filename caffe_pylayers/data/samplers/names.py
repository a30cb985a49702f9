"""How lists and graphs name records: by place in the source, or by file name or key."""

import os
from typing import Callable, Dict, List, Sequence

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.key_order import check_key_order
from caffe_pylayers.errors import DataError


def numbers_of(
    names: Sequence[str], source: Source, by: str, where: Callable[[int], str], option: str = "names: '{}'"
) -> np.ndarray:
    """The records (M,) int64 that names mean.

    by: 'number', the place in the source from 0, or 'key', its file name or LMDB key; the first, where several have
    it. where: index -> the file and line of a name, option: how `by` is given, for messages. Raises DataError for a name that is not there.
    """
    if by == "key":
        return _by_key(names, source, where, option.format("key"))
    file = where(0).partition(", line ")[0] if names else ""
    check_key_order(
        source, f"the numbers of records in {file}", f"name them by their keys, with `{option.format('key')}`"
    )
    numbers = np.empty(len(names), np.int64)
    for index, name in enumerate(names):
        # int() takes '1_000' and ' 7' too.
        number = int(name) if name.isascii() and name.isdigit() else -1
        if not 0 <= number < len(source):
            raise DataError(
                f"'{_shown(name)}' is not a record of {source.path}: with `{option.format('number')}` records are numbered 0 to {len(source) - 1}",
                remedy=f"for file names or keys set `{option.format('key')}`",
                source=where(index),
            )
        numbers[index] = number
    return numbers


def _by_key(names: Sequence[str], source: Source, where: Callable[[int], str], option: str) -> np.ndarray:
    # Only what is asked for, since a dict of a million names takes 100 MB.
    wanted: Dict[bytes, int] = dict.fromkeys(map(os.fsencode, names), -1)
    left = len(wanted)
    for number in range(len(source.names)):
        if wanted.get(source.names[number]) == -1:
            wanted[source.names[number]] = number
            left -= 1
            if not left:
                break
    numbers: List[int] = []
    for index, name in enumerate(names):
        number = wanted[os.fsencode(name)]
        if number < 0:
            raise DataError(
                f"'{_shown(name)}' is not a record of {source.path}",
                remedy=f"with `{option}` a record has its name in the source, such as '{source.names[0].decode(errors='backslashreplace')}'",
                source=where(index),
            )
        numbers.append(number)
    return np.array(numbers, np.int64)


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")[:80]
