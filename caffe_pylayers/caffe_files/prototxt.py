"""Prototxt, protobuf's text format, with the line of every field; read and written without Caffe or protobuf.

A :class:`Message` is what stands between braces. It knows no schema: what is written there is there, in its order.
:mod:`caffe_pylayers.caffe_files.nets` makes nets and solvers of it.
"""

import re
import sys
from typing import Any, List, NamedTuple, NoReturn, Tuple, Union

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.kinds import TEXT, kind_of
from caffe_pylayers.caffe_files.quoted import quoted, unquoted
from caffe_pylayers.caffe_files.tokens import PrototxtError, tokens
from caffe_pylayers.errors import ConfigError


class Word(str):
    """A value without quotes that is no number: an enum, as in `pool: MAX`, or true or false."""


class NotDecimal(int):
    """An integer that was written as 0x1f or 017, which protobuf takes where an integer is asked, not where a float is."""

    __slots__ = ()


Value = Union["Message", Word, str, int, float]


class Field(NamedTuple):
    """`name: value` in the line `line` of its file, from 1; an entry of `name: [a, b]` is a field of its own (`listed`).

    span: where it begins and ends in the text that it was read from, with a `;` or `,` behind it.
    """

    name: str
    value: Value
    line: int
    listed: bool = False
    span: Tuple[int, int] = (0, 0)


class Message:
    """The fields between two braces, or of a whole file, in order. line: where it begins."""

    def __init__(self, fields: List[Field], line: int = 1) -> None:
        self.fields = fields
        self.line = line

    def __contains__(self, name: str) -> bool:
        return any(field.name == name for field in self.fields)

    def all(self, name: str) -> List[Any]:
        """The values of every field of that name."""
        return [field.value for field in self.fields if field.name == name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of the last field of that name, as protobuf takes it, or else `default`."""
        return next((field.value for field in reversed(self.fields) if field.name == name), default)

    def message(self, name: str) -> "Message":
        """The last message of that name; an empty one at this line where there is none."""
        value = self.get(name)
        return value if isinstance(value, Message) else Message([], self.line)

    def flag(self, name: str, default: bool = False) -> bool:
        """The value of a boolean field."""
        value = self.get(name, default)
        return str(value).lower() in ("true", "t", "1")

    def whole(self, name: str, default: int = 0) -> int:
        """The value of a field of integers; the default where it is something else too."""
        value = self.get(name, default)
        return value if isinstance(value, int) else default

    def messages(self, name: str) -> "List[Message]":
        """The values of every field of that name that are messages."""
        return [value for value in self.all(name) if isinstance(value, Message)]

    def line_of(self, name: str) -> int:
        """The line of the last field of that name, or of this message where there is none."""
        return next((field.line for field in reversed(self.fields) if field.name == name), self.line)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(text_of(self))

    def _content(self) -> List[Tuple[str, Value]]:
        return [(field.name, field.value) for field in self.fields]

    def __repr__(self) -> str:
        return f"<Message at line {self.line}: {', '.join(dict.fromkeys(field.name for field in self.fields))}>"


def read(path: str) -> Message:
    """The message that a file holds. Raises ConfigError where it cannot be read, with line and reason."""
    try:
        with regular_file.open_text(path, errors="surrogateescape") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", source=path) from error
    kind = kind_of(path)
    if kind not in (TEXT, ""):
        raise PrototxtError(path, 1, f"it is {kind}, but a net or a solver is a text file", "give the .prototxt")
    return parse(text, path)


def parse(text: str, where: str = "prototxt") -> Message:
    """The message that a text holds; `where` names it in errors. Raises PrototxtError.

    >>> net = parse('layer { name: "ip"  top: "a" top: "b" }')
    >>> net.message("layer").all("top")
    ['a', 'b']
    """
    return _Reader(text, where).whole()


def text_of(message: Message, indent: str = "") -> str:
    """The message as prototxt, a field a line."""
    lines = []
    for field in message.fields:
        if isinstance(field.value, Message):
            lines.append(f"{indent}{field.name} {{\n{text_of(field.value, indent + '  ')}{indent}}}\n")
        else:
            lines.append(f"{indent}{field.name}: {_written(field.value)}\n")
    return "".join(lines)


def _written(value: Union[str, int, float]) -> str:
    if isinstance(value, str) and not isinstance(value, Word):
        return quoted(value)
    return str(value)


_NOT_FINITE = ("inf", "-inf", "infinity", "-infinity", "nan")

_MAX_DEPTH = 100  # as protobuf's
_MOST_DIGITS = 1000  # Python's time to read an integer grows with their square


class _Reader:
    """The tokens of a text, taken one after the other."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._tokens = tokens(text, where)
        self._begin = self._end = 0  # where the next token begins, and where the last one ended
        self._next()
        self._depth = 0
        self._begun = False  # whether a field was read

    def whole(self) -> Message:
        fields = self._fields(closing="")
        return Message(fields, 1)

    def _next(self) -> None:
        self._kind, self._token, self._line, self._begin = next(self._tokens)

    def _take(self) -> str:
        token, self._end = self._token, self._begin + len(self._token)
        if self._kind != "end":
            self._next()
        return token

    def _fail(self, expected: str, remedy: str = "") -> NoReturn:
        found = repr(self._token) if self._token else "the end of the file"
        if not remedy and not self._begun:
            remedy = 'is it a net or a solver? They begin with a field, as in `name: "net"` or `layer { ... }`'
        raise PrototxtError(self._where, self._line, f"expected {expected}, found {found}", remedy)

    def _fields(self, closing: str, opened: int = 0) -> List[Field]:
        fields: List[Field] = []
        while self._token != closing or self._kind == "text":
            if self._kind == "end":
                raise PrototxtError(
                    self._where,
                    self._line,
                    f"the file ends, but a '{closing}' is missing for the brace opened in line {opened}",
                    remedy="add it where that block ends",
                )
            if self._kind == "mark" and self._token in "}>":
                self._fail("a field, because no brace is open here" if not closing else f"a field or {closing!r}")
            fields += self._field()
        self._take()
        return fields

    def _field(self) -> List[Field]:
        line, begin = self._line, self._begin
        if self._kind != "word":
            self._fail("the name of a field")
        name = sys.intern(self._take())
        colon = self._token == ":" and self._kind == "mark"
        if colon:
            self._take()
        elif self._token not in ("{", "<", "["):
            quotes = "a string ends at the next such quote: is one missing, or should those inside it be single quotes?"
            self._fail(f"':' or '{{' after {name!r}", quotes if self._kind == "text" else "")
        listed = self._token == "[" and self._kind == "mark"
        values = self._list() if listed else [(self._value(), line)]
        if not colon and not all(isinstance(value, Message) for value, _ in values):
            raise PrototxtError(self._where, line, f"expected ':' after {name!r}, found '['")
        if self._token in (";", ",") and self._kind == "mark":
            self._take()
        self._begun = True
        return [Field(name, value, at, listed, (begin, self._end)) for value, at in values]

    def _list(self) -> List[Tuple[Value, int]]:
        self._take()
        values: List[Tuple[Value, int]] = []
        while self._token != "]" or self._kind != "mark":
            if values:
                if self._token != ",":
                    self._fail("',' or ']'")
                self._take()
            line = self._line
            values.append((self._value(), line))
        self._take()
        return values

    def _value(self) -> Value:
        if self._kind == "mark" and self._token in ("{", "<"):
            line = self._line
            closing = {"{": "}", "<": ">"}[self._take()]
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise PrototxtError(self._where, line, f"braces more than {_MAX_DEPTH} deep")
            message = Message(self._fields(closing, line), line)
            self._depth -= 1
            return message
        if self._kind == "text":
            parts = []
            while self._kind == "text":  # neighbours are one text
                parts.append(self._unquoted())
            return b"".join(parts).decode("utf-8", "surrogateescape")
        if self._kind == "number":
            return self._number()
        if self._kind != "word":
            self._fail("a value")
        word = self._take()
        return float(word) if word.lower() in _NOT_FINITE else Word(word)

    def _unquoted(self) -> bytes:
        line = self._line
        try:
            return unquoted(self._take())
        except ValueError as error:
            problem = f"unknown escape '{error}' in a string"
            raise PrototxtError(self._where, line, problem, "write \\\\ for a backslash") from None

    def _number(self) -> Union[int, float]:
        line, token = self._line, re.sub(r"\s", "", self._take())
        if len(token) > _MOST_DIGITS:
            raise PrototxtError(self._where, line, f"a number of {len(token)} digits", "are quotes missing?")
        sign, digits = (-1, token[1:]) if token[0] == "-" else (1, token.lstrip("+"))
        try:
            if digits[:2].lower() == "0x":
                return NotDecimal(sign * int(digits, 16))
            if digits.isdigit() and digits[0] == "0" and digits != "0":
                return NotDecimal(sign * int(digits, 8))
            if digits.isdigit():
                return sign * int(digits)
            return sign * float(digits.rstrip("fF"))
        except ValueError:
            raise PrototxtError(
                self._where, line, f"{token!r} is not a number: with a leading 0 it is octal", remedy="leave the 0 out"
            ) from None
