"""Text tables as people have them: lists of images, labels, weights, counts, similarities, pairs, triplets, names.

A line is a row. Lines may end as on Linux, Windows or old Macs, and a byte order mark may come first. The fields of a
row are separated by tabs, commas or blanks, and the first line says which. A field with the separator in it is quoted.
"""

import functools
import re
import shlex
from array import array
from typing import Callable, Iterator, List, Tuple

from caffe_pylayers import regular_file
from caffe_pylayers.errors import DataError

_LONGEST_LINE = 1 << 20  # characters
_BYTE_ORDER_MARKS = ("\udcff\udcfe", "\udcfe\udcff")  # of UTF-16, read as UTF-8
_NUMBERS = re.compile(r'[:,;\s"]+')
#: What separates fields, as messages name it.
WORDS = {"\t": "tabs", ",": "commas", " ": "blanks"}

Fields = List[str]


def lines(path: str, source: str) -> Iterator[Tuple[int, str]]:
    """Number and text of each line that is not blank, without its end.

    source: what messages name. Raises OSError where the file cannot be read, DataError where it is no text of lines.
    """
    # utf-8-sig: spreadsheets put a byte order mark in front. surrogateescape: file names may be any bytes.
    with regular_file.open_text(path, encoding="utf-8-sig", errors="surrogateescape") as stream:
        for number, line in enumerate(iter(functools.partial(stream.readline, _LONGEST_LINE), ""), 1):
            if number == 1:
                _check_encoding(line, path, source)
            if len(line) == _LONGEST_LINE:
                raise DataError(
                    f"it has more than {_LONGEST_LINE} characters",
                    remedy="is the file a list?",
                    source=f"{source}, line {number}",
                )
            if not line.isspace():
                yield number, line.rstrip("\n")


def _check_encoding(line: str, path: str, source: str) -> None:
    if line.startswith(_BYTE_ORDER_MARKS):
        raise DataError(
            "it is UTF-16, but UTF-8 is expected", remedy=_made_by("iconv -f UTF-16 -t UTF-8", path), source=source
        )
    if "\0" in line:
        raise DataError(
            "it is not text: there is a zero byte in line 1", remedy="save it as text in UTF-8", source=source
        )


def _made_by(command: str, path: str) -> str:
    return f"`{command} < {shlex.quote(path)} > new.txt` writes one that can be read"


def semicolons(path: str, source: str) -> DataError:
    return DataError(
        "its fields are separated by semicolons, but commas, tabs or blanks are expected",
        remedy=_made_by("sed 's/,/./g; s/;/,/g'", path),
        source=source,
    )


def back_slashes(path: str) -> str:
    """The remedy for names with the separators of Windows."""
    made = _made_by(r"tr '\\' /", path)
    return f"names of folders end with a slash here: {made}"


def split(line: str, separator: str, source: str = "") -> Fields:
    """The fields of a line, without the blanks around them and without their quotes.

    Raises DataError where a quote is not closed, or text comes behind it.

    >>> split('"a, b.jpg" , 3', ","), split(' a.jpg  "b c.jpg"', " ")
    (['a, b.jpg', '3'], ['a.jpg', 'b c.jpg'])
    """
    if '"' not in line:
        return line.split() if separator == " " else [field.strip() for field in line.split(separator)]
    found: Fields = []
    line, at = line.strip(" "), 0
    while True:
        match = _FIELD[separator].match(line, at)
        if match is None:
            raise DataError(
                f"text stands behind a closing quote, or a quote is not closed: {line[:80]!r}",
                remedy='write a name with quotes in it as "say ""cheese"".jpg"',
                source=source,
            )
        quoted, plain, end = match.groups()
        found.append(plain.strip() if quoted is None else quoted.replace('""', '"'))
        at = match.end()
        if not end:
            return found


#: A field and the separator behind it: quoted, or plain. A quote inside a plain field is a letter.
_FIELD = {
    separator: re.compile(rf'[ ]*(?:"((?:[^"]|"")*)"[ ]*?|((?![ "]){other}*))({end}|$)')
    for separator, other, end in (("\t", r"[^\t]", r"\t"), (",", "[^,]", ","), (" ", "[^ ]", "[ ]+"))
}


def separator_of(line: str, fits: Callable[[Fields], bool], path: str, source: str) -> str:
    """The separator that the first line of a table tells: a tab where it has one, else commas or blanks, whichever fits.

    fits: whether such fields can be a row. Raises DataError where only semicolons fit.
    """
    if "\t" in line:
        return "\t"
    for separator in (",", " "):
        if (separator == " " or "," in line) and fits(split(line, separator, source)):
            return separator
    if ";" in line and fits([field.strip() for field in line.split(";")]):
        raise semicolons(path, source)
    return "," if "," in line else " "


def rows(path: str, source: str, fits: Callable[[Fields], bool]) -> Iterator[Tuple[int, Fields]]:
    """Number and fields of each line, by the separator of the first; see `lines` and `separator_of`."""
    separator = ""
    for number, line in lines(path, source):
        where = f"{source}, line {number}"
        separator = separator or separator_of(line, fits, path, where)
        yield number, split(line, separator, where)


def numbers(path: str, source: str) -> Tuple["array[float]", "array[int]"]:
    """The numbers of all lines one after the other, and how many each line has. What follows a # is a comment.

    Blanks, tabs, commas, semicolons or colons separate them. Raises as `lines`, and DataError for anything else.
    """
    values, counts = array("d"), array("q")
    for number, line in lines(path, source):
        plain = line.replace(".", "", 1).isdigit()  # most files have a number per line
        words = [line] if plain else _NUMBERS.split(line.partition("#")[0].strip('" \t'))
        if words == [""]:
            continue
        try:
            values.extend(map(float, words))
        except ValueError:
            shown = line.strip()[:80].encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise DataError(
                f"numbers are expected, but the line is '{shown}'",
                remedy="a line has numbers alone, as in 3 or 17:24:35, and no names",
                source=f"{source}, line {number}",
            ) from None
        counts.append(len(words))
    if not counts:
        raise DataError("it is empty", remedy="write numbers into it", source=source)
    return values, counts
