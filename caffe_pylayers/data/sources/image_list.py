"""Lists of images: a line has the name of an image file, then its label or labels.

cat/one.jpg 3           blanks (as Caffe's ImageData lists), tabs or commas; what the first line has holds for all
"cat/one two.jpg",3     quotes where a name has the separator in it
cat/one.jpg 3 7         several labels per record, the same number in every line
cat/one.jpg 3:7:12      several labels, as many as each record has
cat/one.jpg -1          no label; after a comma or a tab it may be nothing

With `header: true` the first line names the columns: `name` (else the first) has the files, `label` (else all whose
names begin with it; or what `labels` names; else, of values and rows of 0 and 1, all others) the labels, `weight` (or
what `sample_weights` names) the sample weights.
"""

import functools
import re
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from caffe_pylayers.data.sources.label_fields import LARGEST_VALUE, SUFFIX, Labels, Values
from caffe_pylayers.errors import DataError, did_you_mean, unknown
from caffe_pylayers.files import text_table

#: What to do where something else stands in the place of a label.
CLASS_NAMES = "number the classes from 0, and write the number of the class"
LABEL_MAPS = "a list of images and label maps is for ImageMapDataLayer"


class Row(NamedTuple):
    name: str
    labels: Sequence[float]
    weight: Optional[float] = None


class ImageList:
    """A list at a path. `rows` reads it once; `separator` and the names in its header are known before: `columns`, all of them, and
    `label_columns`.

    labels, weight: names of columns, of a list with a header. label_format: what a label is, as the option has it.
    Raises DataError as `text_table.lines` does, and with the line that is wrong.
    """

    def __init__(
        self,
        path: str,
        header: bool = False,
        labels: Sequence[str] = (),
        weight: Optional[str] = None,
        label_format: str = "indices",
    ) -> None:
        self.path, self.source = path, f"CSV source {path}"
        self._fields: Type[Labels] = Values if label_format == "values" else Labels
        self._label_each_column = label_format != "indices"
        self.columns: Tuple[str, ...] = ()
        self.label_columns: Tuple[str, ...] = ()
        self.separator = " "
        self._lines = text_table.lines(path, self.source)
        number, line = next(self._lines, (0, ""))
        if not number:
            self.rows: Iterator[Row] = iter(())
        elif header:
            self.rows = self._named_rows(*self._header(number, line, labels, weight or "weight"))
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
        words, looks_so = line.split(), self._fields.looks_so
        by_blanks = len(words) > 1 and looks_so(words[-1]) and not words[-2].endswith((",", ";"))
        first, *others = map(str.strip, line.split(";"))
        if others and not by_blanks and (SUFFIX.search(first) or all(map(looks_so, others))):
            raise text_table.semicolons(self.path, where)
        _, *others = text_table.split(line, ",", where)
        if not others or (by_blanks and not any(map(self._fields.all_look_so, others))):
            return " "
        if by_blanks and not all(looks_so(field) or not field for field in others):
            raise self._error(
                number,
                f"commas or blanks may separate its fields: {line.strip()[:80]!r}",
                "use one of them in all lines, and quote names that have it in them",
            )
        return ","

    def _rows(self, number: int, line: str) -> Iterator[Row]:
        """The rows, this line first."""
        if self.separator == " ":
            split, columns = self._fields.by_blanks, self._num_labels(line)
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
            labels = list(map(self._fields.read, fields))
            if not all(labels):
                raise self._no_label(number, fields[labels.index(())])
            yield Row(name, labels[0] if columns == 1 else sum(labels, ()))
            number, line = next(self._lines, (0, ""))

    def _num_labels(self, line: str) -> int:
        """How many labels each line has, by blanks: numbers behind a name that does not end as a file's may belong to it."""
        least, sure = self._fields.at_end(line)
        if least > 1 and not sure:
            for _, other in text_table.lines(self.path, self.source):
                found, sure = self._fields.at_end(other)
                if sure:
                    return found
                least = max(1, min(least, found))
        return least

    def _wrong_columns(self, number: int, line: str, columns: int) -> DataError:
        return self._error(
            number,
            f"a name and {columns} label column{'s' * (columns != 1)} expected, as in the first line, but the line is {line.strip()[:80]!r}",
            f"quote names that have the separator {self.separator!r} in them; {self._fields.absent}",
        )

    def _no_label(self, number: int, field: str) -> DataError:
        """The error of a field that is no label, by what it is."""
        if _is_image(field):
            return self._error(
                number,
                f"{field[:80]!r} is the name of a file, but a label is an integer",
                f"quote a name that has the separator in it; {LABEL_MAPS}",
            )
        word = self._fields.word
        by_name = word == "label" and not self._fields.looks_so(field)
        remedy = CLASS_NAMES if by_name else f"a line is: name, then {word}; {self._fields.absent}"
        if _is_number(field) and word == "label":
            remedy += "; `label_format: values` reads any numbers"
        if number == 1:
            remedy += ". A header is expected only with `header: true`"
        return self._error(number, f"{word} {field[:80]!r} is not {self._fields.expected}", remedy)

    # ---------------------------------------------------------------------------------------------- with a header

    def _header(
        self, number: int, line: str, labels: Sequence[str], weight: str
    ) -> Tuple[int, List[int], Optional[int]]:
        """The columns that the first line names: of the name, of the labels and of the weight."""
        where = f"{self.source}, line {number}"
        names = self._names(line, where)
        if any(map(self._fields.looks_so, names)) or len(set(names)) < len(names):
            raise self._error(
                number,
                f"with `header: true` this line must give each column a name of its own, but it is {line.strip()[:80]!r}",
                "write a first line such as name,label, or leave `header` out",
            )
        self.columns = tuple(names)
        found = columns_of(names, self._label_each_column, labels, weight, self.source)
        self.label_columns = tuple(names[at] for at in found[1])
        return found

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
            wrong = [fields[at] for at in labels if not self._fields.read(fields[at])]
            if wrong:
                raise self._no_label(number, wrong[0])
            found = sum((self._fields.read(fields[at]) for at in labels), ())
            yield Row(fields[name], found, None if weight is None else self._weight(number, fields[weight]))

    def _weight(self, number: int, field: str) -> float:
        try:
            value = float(field)
        except ValueError:
            value = np.nan
        if not 0 <= value <= LARGEST_VALUE:
            raise self._error(
                number,
                f"weight {field[:80]!r} is not a finite number of at least 0",
                "write 1 for a record that counts once",
            )
        return value


def columns_of(
    names: Sequence[str],
    label_each_column: bool,
    labels: Sequence[str] = (),
    weight: str = "weight",
    source: str = "",
) -> Tuple[int, List[int], Optional[int]]:
    """The columns of the name, of the labels and of the weight, of those that a header names.

    Labels are in the columns that are named, else in `label`, else in all whose names begin so; else, if rows have a number per
    label and no label numbers, in all but the name and the weight.
    """
    known = [name.casefold() for name in names]
    weights = [at for at, name in enumerate(names) if name == weight or known[at] == weight == "weight"][:1]
    name = known.index("name") if "name" in known else 0
    if labels and (len(labels) > 1 or labels[0] in names):
        for label in labels:
            if label not in names:
                raise _no_column(label, names, source)
        found = [names.index(label) for label in labels]
    elif "label" in known:
        found = [known.index("label")]
    else:
        found = [at for at, other in enumerate(known) if other[:5] == "label"]
        if not found and label_each_column:
            found = [at for at in range(len(names)) if at not in (name, *weights)]
    return name, found, next(iter(weights), None)


def _no_column(name: str, names: Sequence[str], source: str) -> DataError:
    problem, remedy = unknown(f"no column {name!r}", did_you_mean(name, names), f"It has {', '.join(names)}")
    return DataError(problem, remedy=remedy, source=source)


def _is_number(field: str) -> bool:
    return bool(Values.read(field))


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
