"""The tokens of prototxt, with their places: of them the reader makes messages, and an edit keeps all the others."""

import re
from typing import Iterator, NamedTuple

from caffe_pylayers.caffe_files.quoted import end_of_quoted
from caffe_pylayers.errors import ConfigError


class Token(NamedTuple):
    """A piece of a text. kind: text (in quotes), number, word, mark, comment, or end. begin: its place in the text."""

    kind: str
    text: str
    line: int
    begin: int


class PrototxtError(ConfigError):
    """A prototxt cannot be read; the message names file, line and what is wrong there."""

    def __init__(self, where: str, line: int, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy, source=f"{where}:{line}")
        self.where, self.line = where, line


_TOKEN = re.compile(
    r"""(?P<space>[\s]+)
    |(?P<comment>\#[^\n]*)
    |(?P<text>["'])
    |(?P<number>[-+]?\s*(?:0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)[fF]?(?![\w.]))
    |(?P<word>-?[A-Za-z_][\w.]*)
    |(?P<mark>[][{}<>:;,])""",
    re.VERBOSE,
)


def tokens(text: str, where: str, comments: bool = False) -> Iterator[Token]:
    """Each token, and at the end an empty one. comments: those too. Raises PrototxtError."""
    at, line, last = 0, 1, 1
    if text.startswith("\ufeff"):
        at = 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            found = text[at : at + 30].splitlines()[0]
            raise PrototxtError(where, line, f"cannot read {found!r}", "a comment begins with #, a string is in quotes")
        begin, at, kind = at, match.end(), str(match.lastgroup)
        if kind == "text":
            at = end_of_quoted(text, at)
            if not at:
                problem = f"a string without its closing quote: {text[begin : begin + 30].splitlines()[0]!r}"
                raise PrototxtError(where, line, problem, "close it in the same line")
        if kind == "comment" and comments:
            yield Token(kind, text[begin:at], line, begin)
        elif kind not in ("space", "comment"):
            yield Token(kind, text[begin:at], line, begin)
            last = line
        line += text.count("\n", begin, at)
    yield Token("end", "", last, at)
