"""The fields behind the name of an image in a list: labels, or values."""

import functools
import re
from typing import List, Optional, Tuple

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.files import text_table

#: The largest value that a blob holds.
LARGEST_VALUE = float(np.finfo(np.float32).max)

#: The end of the name of a file: labels alone can follow it.
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class Labels:
    """Label numbers; several in a field as in 17:24:35.

    expected: what a field must be. absent: what a record without one has. words: what a list has behind names.
    """

    expected = f"an integer up to {LARGEST_LABEL} (or several, as in 17:24:35)"
    absent = "a record without a label has -1"
    word = "label"

    @staticmethod
    @functools.lru_cache(maxsize=1 << 16)
    def looks_so(word: str) -> bool:
        return word.lstrip("+-").replace(":", "").replace(".", "", 1).isdigit()

    @staticmethod
    @functools.lru_cache(maxsize=1 << 16)
    def read(field: str) -> Tuple[float, ...]:
        """The integers of a field, -1 of an empty one; () if it has anything else."""
        if not field:
            return (-1,)
        try:
            values = [float(part) for part in field.split(":")]
        except ValueError:
            return ()
        return (
            tuple(map(int, values)) if all(abs(value) <= LARGEST_LABEL and value % 1 == 0 for value in values) else ()
        )

    @classmethod
    def all_look_so(cls, field: str) -> bool:
        """Of the words of a field, of which there are some."""
        return bool(field) and all(map(cls.looks_so, field.split()))

    @classmethod
    def at_end(cls, line: str) -> Tuple[int, bool]:
        """How many numbers the words at the end of a line are, and whether it is sure that they are labels, and all of them."""
        if line.lstrip().startswith('"'):
            return len(text_table.split(line, " ")) - 1, True
        words = line.split()
        end = len(words)
        while end > 1 and cls.looks_so(words[end - 1]):
            end -= 1
        return len(words) - end, SUFFIX.search(words[end - 1]) is not None

    @classmethod
    def by_blanks(cls, line: str, columns: int, source: str) -> Optional[List[str]]:
        """Name and label fields of a line; None where it has another number of them.

        A name may hold blanks, as ImageData reads its lists: the labels are the numbers at the end.
        """
        line = line.strip()
        if line.startswith('"') and '"' in line[1:]:
            fields = text_table.split(line, " ", source)
            return fields if len(fields) == columns + 1 else None
        fields = line.rsplit(None, columns)
        if len(fields) <= columns or not all(map(cls.looks_so, fields[1:])):
            return None
        if fields[0][-1:].isdigit():
            more, sure = cls.at_end(fields[0])
            if more and (sure or not columns):
                return None
        return fields


class Values(Labels):
    """Numbers, one in a field; a missing one is nan, or nothing."""

    expected = "a number of float32, or nan for a missing one"
    absent = "a missing value is nan"
    word = "value"

    @staticmethod
    @functools.lru_cache(maxsize=1 << 16)
    def looks_so(word: str) -> bool:
        return bool(Values.read(word))

    @staticmethod
    @functools.lru_cache(maxsize=1 << 16)
    def read(field: str) -> Tuple[float, ...]:
        """The number of a field, NaN of an empty one; () if it has anything else."""
        try:
            value = float(field or "nan")
        except ValueError:
            return ()
        return () if abs(value) > LARGEST_VALUE or "_" in field else (value,)
