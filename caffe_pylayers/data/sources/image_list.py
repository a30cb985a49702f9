"""Lists of images: a line has the name of an image file, then its label or labels.

cat/one.jpg 3           blanks (as Caffe's ImageData lists), tabs or commas; what the first line has holds for all
"cat/one two.jpg",3     quotes where a name has the separator in it
cat/one.jpg 3 7         several labels per record, the same number in every line
cat/one.jpg 3:7:12      several labels, as many as each record has
cat/one.jpg -1          no label; after a comma or a tab it may be nothing

With `header: true` the first line names the columns: `name` (else the first) has the files, `label` (else all whose
names begin with it; or what `labels` names) the labels, `weight` (or what `sample_weights` names) the sample weights.
"""

import functools
import re
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table

_LARGEST_WEIGHT = float(np.finfo(np.float32).max)
#: The end of the name of a file: labels alone can follow it.
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
#: What to do where something else stands in the place of a label.
CLASS_NAMES = "number the classes from 0, and write the number of the class"
LABEL_MAPS = (
    "`{cut} -f1` and `{cut} -f2` make two lists: read each by an ImageDataLayer, both without `shuffle` and `resize`"
)
_NO_LABEL = "a record without a label has -1"


class Row(NamedTuple):
    name: str
    labels: Sequence[int]
    weight: Optional[float] = None


class ImageList:
    """A list at a path. `rows` reads it once; `separator` and `columns`, the names in its header, are known before.

    label, weight: names of columns, of a list with a header. Raises DataError as `text_table.lines` does, and with the line
    that is wrong.
    """

    def __init__(self, path: str, header: bool, label: Optional[str], weight: Optional[str]) -> None:
        self.path, self.source = path, f"CSV source {path}"
        self.columns: Tuple[str, ...] = ()
        self.separator = " "
        self._lines = text_table.lines(path, self.source)
        number, line = next(self._lines, (0, ""))
        if not number:
            self.rows: Iterator[Row] = iter(())
        elif header:
            self.rows = self._named_rows(*self._header(number, line, label, weight or "weight"))
        else:
            self.separator = self._separator(number, line)
            self.rows = self._rows(number, line)

    def _error(self, number: int, problem: str, remedy: str) -> DataError:
        return DataError(problem, remedy=remedy, source=f"{self.source}, line {number}")

    # ------------------------------------------------------------------------------------------- without a header

    def _separator(self, number: int, line: str) -> str:
        """What separates fields, by the first line.

        By blanks the label is what follows the last one, as in stock ImageData, so that a name may have a comma in it.
        """
        where = f"{self.source}, line {number}"
        if "\t" in line or line.lstrip().startswith('"'):
            return _behind_quotes(line) or text_table.separator_of(line, lambda fields: True, self.path, where)
        words = line.split()
        by_blanks = len(words) > 1 and is_label(words[-1]) and not words[-2].endswith((",", ";"))
        first, *others = map(str.strip, line.split(";"))
        if others and not by_blanks and (_SUFFIX.search(first) or all(map(is_label, others))):
            raise text_table.semicolons(self.path, where)
        _, *others = text_table.split(line, ",", where)
        if not others or (by_blanks and not any(_are_labels(field) for field in others)):
            return " "
        if by_blanks and not all(is_label(field) or not field for field in others):
            raise self._error(
                number,
                f"commas or blanks may separate its fields: {line.strip()[:80]!r}",
                "use one of them in all lines, and quote names that have it in them",
            )
        return ","

    def _rows(self, number: int, line: str) -> Iterator[Row]:
        """The rows, this line first."""
        if self.separator == " ":
            split, columns = _by_blanks, self._num_labels(line)
        else:
            split, columns = functools.partial(_by, self.separator), -1
        while number:
            source = f"{self.source}, line {number}"
            found = split(line, columns, source)
            if found and columns < 0:
                columns = len(found) - 1
            if not found or not found[0]:
                raise self._wrong_columns(number, line, columns)
            name, *fields = found
            labels = list(map(_whole, fields))
            if not all(labels):
                raise self._no_label(number, fields[labels.index(())])
            yield Row(name, labels[0] if columns == 1 else sum(labels, ()))
            number, line = next(self._lines, (0, ""))

    def _num_labels(self, line: str) -> int:
        """How many labels each line has, by blanks: numbers behind a name that does not end as a file's may belong to it."""
        least, sure = _numbers_at_end(line)
        if least > 1 and not sure:
            for _, other in text_table.lines(self.path, self.source):
                found, sure = _numbers_at_end(other)
                if sure:
                    return found
                least = max(1, min(least, found))
        return least

    def _wrong_columns(self, number: int, line: str, columns: int) -> DataError:
        return self._error(
            number,
            f"a name and {columns} label column{'s' * (columns != 1)} expected, as in the first line, but the line is {line.strip()[:80]!r}",
            f"quote names that have the separator {self.separator!r} in them; {_NO_LABEL}",
        )

    def _no_label(self, number: int, field: str) -> DataError:
        """The error of a field that is no label, by what it is."""
        if _is_image(field):
            return self._error(
                number,
                f"{field[:80]!r} is the name of a file, but a label is an integer",
                "quote a name that has the separator in it. Of a list of images and label maps, "
                + LABEL_MAPS.format(cut="cut" if self.separator == "\t" else "cut -d,"),
            )
        remedy = f"a line is: name, then label; {_NO_LABEL}" if is_label(field) else CLASS_NAMES
        if number == 1:
            remedy += ". A header is expected only with `header: true`"
        return self._error(
            number, f"label {field[:80]!r} is not an integer up to {LARGEST_LABEL} (or several, as in 17:24:35)", remedy
        )

    # ---------------------------------------------------------------------------------------------- with a header

    def _header(
        self, number: int, line: str, label: Optional[str], weight: str
    ) -> Tuple[int, List[int], Optional[int]]:
        """The columns that the first line names: of the name, of the labels and of the weight."""
        where = f"{self.source}, line {number}"
        names = self._names(line, where)
        known = [name.casefold() for name in names]
        if any(is_label(name) for name in names) or len(set(names)) < len(names):
            raise self._error(
                number,
                f"with `header: true` this line must give each column a name of its own, but it is {line.strip()[:80]!r}",
                "write a first line such as name,label, or leave `header` out",
            )
        self.columns = tuple(names)
        if label in names:
            labels = [names.index(label)]
        elif "label" in known:
            labels = [known.index("label")]
        else:
            labels = [at for at, name in enumerate(known) if name[:5] == "label"]
        weights = [at for at, name in enumerate(names) if name == weight or known[at] == weight == "weight"]
        return known.index("name") if "name" in known else 0, labels, next(iter(weights), None)

    def _names(self, line: str, where: str) -> List[str]:
        def fits(names: List[str]) -> bool:
            return len(names) > 1 and not any(";" in name for name in names)

        self.separator = text_table.separator_of(line, fits, self.path, where)
        names = text_table.split(line, self.separator, where)
        if len(names) == 1:
            self.separator = "\t"  # names alone may have blanks in them
        return names

    def _named_rows(self, name: int, labels: List[int], weight: Optional[int]) -> Iterator[Row]:
        width = len(self.columns)
        for number, line in self._lines:
            fields = text_table.split(line, self.separator, f"{self.source}, line {number}")
            if len(fields) != width or not fields[name]:
                raise self._error(
                    number,
                    f"{width} columns expected ({', '.join(self.columns)}), but the line is {line.strip()[:80]!r}",
                    f"quote names that have the separator {self.separator!r} in them",
                )
            wrong = [fields[at] for at in labels if not _whole(fields[at])]
            if wrong:
                raise self._no_label(number, wrong[0])
            found = sum((_whole(fields[at]) for at in labels), ())
            yield Row(fields[name], found, None if weight is None else self._weight(number, fields[weight]))

    def _weight(self, number: int, field: str) -> float:
        try:
            value = float(field)
        except ValueError:
            value = np.nan
        if not 0 <= value <= _LARGEST_WEIGHT:
            raise self._error(
                number,
                f"weight {field[:80]!r} is not a finite number of at least 0",
                "write 1 for a record that counts once",
            )
        return value


@functools.lru_cache(maxsize=1 << 16)
def is_label(word: str) -> bool:
    return word.lstrip("+-").replace(":", "").replace(".", "", 1).isdigit()


def _are_labels(field: str) -> bool:
    return bool(field) and all(map(is_label, field.split()))


def _is_image(word: str) -> bool:
    return word.lower().endswith((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"))


def _behind_quotes(line: str) -> str:
    """The separator behind a quoted name; "" where there is none."""
    closed = re.match(r'\s*"(?:[^"]|"")*"[ ]*([,\t;]|$)?', line)
    return "" if closed is None or closed[1] == ";" else closed[1] or " "


def _by(separator: str, line: str, columns: int, source: str) -> Optional[List[str]]:
    """Name and label fields of a line; None where it has another number of them. columns: -1 where that is not known."""
    fields = text_table.split(line, separator, source)
    while len(fields) > columns + 1 and fields[-1] == "":  # "a.jpg,3,"
        fields.pop()
    return fields if columns < 0 or len(fields) == columns + 1 else None


def _by_blanks(line: str, columns: int, source: str) -> Optional[List[str]]:
    """As `_by`: a name may hold blanks, as ImageData reads its lists: the labels are the numbers at the end."""
    line = line.strip()
    if line.startswith('"') and '"' in line[1:]:
        fields = text_table.split(line, " ", source)
        return fields if len(fields) == columns + 1 else None
    fields = line.rsplit(None, columns)
    if len(fields) <= columns or not all(map(is_label, fields[1:])):
        return None
    if fields[0][-1:].isdigit():
        more, sure = _numbers_at_end(fields[0])
        if more and (sure or not columns):
            return None
    return fields


def _numbers_at_end(line: str) -> Tuple[int, bool]:
    """How many numbers the words at the end of a line are, and whether it is sure that they are labels, and all of them."""
    if line.lstrip().startswith('"'):
        return len(text_table.split(line, " ")) - 1, True
    words = line.split()
    end = len(words)
    while end > 1 and is_label(words[end - 1]):
        end -= 1
    return len(words) - end, _SUFFIX.search(words[end - 1]) is not None


@functools.lru_cache(maxsize=1 << 16)
def _whole(field: str) -> Tuple[int, ...]:
    """The integers of a field, as in 17:24:35, -1 of an empty one; () if it has anything else."""
    if not field:
        return (-1,)
    try:
        values = [float(part) for part in field.split(":")]
    except ValueError:
        return ()
    return tuple(map(int, values)) if all(abs(value) <= LARGEST_LABEL and value % 1 == 0 for value in values) else ()
