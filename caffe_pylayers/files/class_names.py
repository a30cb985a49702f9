"""Names of classes: a text file with the name of class 0 in its first line, of class 1 in the second, and so on."""

from typing import List, Optional, Sequence

from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table


def read_class_names(path: Optional[str], num_classes: int) -> List[str]:
    """The names of classes 0 to num_classes - 1; their numbers where path is None.

    Raises DataError where the file has too few, OSError where it cannot be read.
    """
    if path is None:
        return [str(number) for number in range(num_classes)]
    names = all_class_names(path)
    if len(names) < num_classes:
        raise DataError(
            f"it names {len(names)} classes, one per line, but there is a label {num_classes - 1}", source=path
        )
    return names[:num_classes]


def all_class_names(path: str) -> List[str]:
    """The names in the file. Raises OSError where it cannot be read."""
    names: List[str] = []
    for number, line in text_table.lines(path, path):
        shown = line.strip().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        names += [""] * (number - 1 - len(names)) + [shown]
    return names


def named(number: int, names: Sequence[str]) -> str:
    """A class by its number and its name, as in '3 Dress'; the number alone where it has no other name."""
    return str(number) if names[number] == str(number) else f"{number} {names[number]}"
