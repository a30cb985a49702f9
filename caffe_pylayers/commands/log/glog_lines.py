"""The lines of a log of glog, with their times. glog writes a year only at the head of a file, or since 2020 in each line."""

import codecs
import datetime
import io
import re
from collections import deque
from functools import partial
from typing import Generator, Iterator, NamedTuple, Optional, Tuple

from caffe_pylayers import regular_file

#: The head of a line; of some old lines only the file is left, and a copy may begin in the middle of one.
_HEAD = re.compile(
    r"(?:(?P<level>[IWEF])?(?P<year>\d{4})??(?P<month>\d\d)(?P<day>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\.(?P<fraction>\d{6}) +(?P<thread>\d+) )?"
    r"[\w./\\+-]+\.\w+:\d+\] ?"
)
_TIME = ("month", "day", "hour", "minute", "second", "fraction")
_CREATED = re.compile(r"Log file created at: (\d{4})[/-]\d\d[/-]\d\d")
_LEAP_YEAR = 2000  # stands for a year that nothing tells: it has each day
_HALF_A_YEAR = datetime.timedelta(days=183)
_LONGEST = 1 << 16  # characters of a line; what is longer is none of Caffe's
_UTF_8 = ("utf-8-sig", "surrogateescape")
_ENCODINGS = {codecs.BOM_UTF16_LE: ("utf-16", "replace"), codecs.BOM_UTF16_BE: ("utf-16", "replace")}


class Line(NamedTuple):
    """A whole line. thread: the number of the thread that wrote it, "" where no head tells. text: without head."""

    number: int
    text: str
    level: str
    thread: str
    time: Optional[datetime.datetime]
    has_year: bool


def glog_lines(path: str) -> Iterator[Line]:
    """The lines that have an end. Of a line that was cut off in the middle, and went on with another, the other one."""
    year: Optional[int] = None
    before: Optional[datetime.datetime] = None
    for number, text in whole_lines(path):
        text = text.rstrip("\r").rpartition("\r")[2]  # a bar of progress returns to the start of its line
        created = _CREATED.match(text)
        if created:
            year, before = int(created[1]), None
        head = _last_head(text)
        if head:
            time = _time(head, before, year)
            before = time or before
            has_year = bool(head["year"]) or year is not None
            yield Line(number, head.string[head.end() :], head["level"] or "", head["thread"] or "", time, has_year)
        else:
            yield Line(number, text, "", "", None, year is not None)


def whole_lines(path: str) -> Generator[Tuple[int, str], None, None]:
    """Number and text of the lines that end with a line break. Windows may have written them in UTF-16.

    Raises OSError where the file cannot be read.
    """
    file = regular_file.open_bytes(path)
    mark = file.read(3)
    file.seek(0)
    encoding, errors = next((how for start, how in _ENCODINGS.items() if mark.startswith(start)), _UTF_8)
    with io.TextIOWrapper(file, encoding, errors, newline="\n") as text:
        number, whole = 1, True
        for piece in iter(partial(text.readline, _LONGEST), ""):
            ended = piece.endswith("\n")
            if ended and whole:
                yield number, piece[:-1]
            number, whole = number + ended, ended


def _last_head(text: str) -> "Optional[re.Match[str]]":
    """The head behind which the line's text stands; it is looked for where one can be alone, which takes time."""
    head = _HEAD.match(text)
    rest = text[head.end() :] if head else text
    return next(iter(deque(_HEAD.finditer(rest), maxlen=1)), head) if "]" in rest else head


def _time(
    head: "re.Match[str]", before: Optional[datetime.datetime], year: Optional[int]
) -> Optional[datetime.datetime]:
    """When a line was written; over the new year too, where lines have no year."""
    if not head["level"]:  # cut off at the start, of which the date may be a part
        return None
    known = int(head["year"]) if head["year"] else before.year if before else year or _LEAP_YEAR
    try:
        month, day, hour, minute, second, fraction = map(int, head.group(*_TIME))
        time = datetime.datetime(known, month, day, hour, minute, second, fraction)
        if before and not head["year"] and abs(before - time) > _HALF_A_YEAR:
            time = time.replace(known + (1 if before > time else -1))
    except ValueError:  # digits that are no date
        return None
    return time
