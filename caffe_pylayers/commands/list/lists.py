"""The files that are written: the lists, the names of the classes, and how many images each has."""

import csv
import io
from typing import Dict, List, Sequence

from caffe_pylayers.commands.list.found import Image
from caffe_pylayers.data.sources.image_list import ImageList
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file

#: What a name that stands between blanks cannot have in it.
_UNSAFE = frozenset(' \t,;"')


def write_list(path: str, images: Sequence[Image], numbers: Dict[str, int]) -> bool:
    """Write a list: a line has the name of an image, and the number of its class or its label map. Returns whether stock
    Caffe reads it.

    A blank separates the two, as in lists of stock ImageData. Where names could not be read back then, a comma does.
    """
    rows = [[image.name, image.label_map or str(numbers[image.klass])] for image in images]
    with output_file(path) as partial:
        _write(partial, [" ".join(row) for row in rows])
        with_maps = any(image.label_map for image in images)
        by_blanks = not any(set(word) & _UNSAFE for row in rows for word in row) if with_maps else _reads(partial, rows)
        if not by_blanks:
            _write(partial, [_by_comma(row) for row in rows])
    return by_blanks


def write_lines(path: str, lines: Sequence[object]) -> None:
    """Write a file with a value per line."""
    with output_file(path) as partial:
        _write(partial, [str(line) for line in lines])


def _write(path: str, lines: Sequence[str]) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _by_comma(row: Sequence[str]) -> str:
    name, label = row
    stream = io.StringIO()
    csv.writer(stream, lineterminator="", quoting=csv.QUOTE_NONNUMERIC).writerow(
        [name, int(label) if label.isdigit() else label]
    )
    return stream.getvalue()


def _reads(path: str, rows: Sequence[List[str]]) -> bool:
    """Whether the data layers read what was meant."""
    try:
        read = [[row.name, *map(str, row.labels)] for row in ImageList(path).rows]
    except DataError:
        return False
    return read == rows
