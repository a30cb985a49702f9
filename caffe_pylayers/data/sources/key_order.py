"""Whether the place of a record in an LMDB is what the number in its key says.

An LMDB is in the order of its keys as bytes: 0, 1, 10, 11, 2. Whatever says something of "record 2" by its place, rows of a
label file or a list of numbers, would mean record 10 there.
"""

import re

from caffe_pylayers.data.sources.base import Source
from caffe_pylayers.errors import DataError

#: A number alone, with a name behind it as convert_imageset writes it, or as the name of a file. C programs may write the 0 at
#: the end of a string too.
_NUMBERED = re.compile(rb"(\d+)(?:_.*|\.\w+)?\0?", re.DOTALL)
_SHOWN = 6


def check_key_order(source: Source, what: str, remedy: str = "put them into this order") -> None:
    """Raise DataError where the keys of an LMDB are numbers in another order than that of the numbers.

    what: what goes by the places of records, in words. With `label_order: key` that is as meant.
    """
    keys = "" if source.label_order == "key" else misplaced_keys(source)
    if keys:
        raise DataError(
            f"its keys are numbers without leading zeros, so its records are in this order: {keys}",
            remedy=f"{what} must be in this order too: if they are, set `label_order: key`, otherwise {remedy}",
            source=f"LMDB source {source.path}",
        )


def misplaced_keys(source: Source) -> str:
    """The first keys of an LMDB whose keys are numbers in another order than that of the numbers; else ""."""
    if source.kind != "LMDB":
        return ""
    last, misplaced = -1, False
    for number in range(len(source)):
        found = _NUMBERED.fullmatch(source.names[number])
        if found is None:
            return ""
        misplaced |= int(found[1]) < last
        last = int(found[1])
    if not misplaced:
        return ""
    keys = [repr(source.names[number].decode(errors="backslashreplace")) for number in range(min(_SHOWN, len(source)))]
    return ", ".join(keys) + ", ..." * (len(source) > _SHOWN)
