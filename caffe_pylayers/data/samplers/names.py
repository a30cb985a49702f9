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

    by: 'number', the place in the source from 0, or 'key', its file name or LMDB key; the first, where several of a source have
    it. where: index -> the file and line of a name, option: how `by` is given, for messages. Raises DataError for a name that is not there, or in two sources of a mixture.
    """
    if by == "key":
        return _by_key(names, source, where, option.format("key"), option.format("number"))
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


def _by_key(
    names: Sequence[str], source: Source, where: Callable[[int], str], option: str, by_number: str
) -> np.ndarray:
    # Only what is asked for, since a dict of a million names takes 100 MB.
    wanted: Dict[bytes, int] = dict.fromkeys(map(os.fsencode, names), -1)
    start = 0
    for part in source.parts:
        before, left = {key for key, number in wanted.items() if number >= 0}, len(wanted)
        for own in range(len(part)):
            key = part.names[own]
            if key in before:
                name = os.fsdecode(key)
                raise DataError(
                    f"'{_shown(name)}' may be {source.describe(wanted[key])} or {part.describe(own)}",
                    remedy=f"name records by their places in all sources together, with `{by_number}`, or give each source names of its own",
                    source=where(names.index(name)),
                )
            if wanted.get(key) == -1:
                wanted[key] = start + own
                left -= 1
                if not left and len(source.parts) == 1:
                    break
        start += len(part)
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
