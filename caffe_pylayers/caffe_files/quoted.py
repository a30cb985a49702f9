"""Quoted strings of a prototxt: where one ends, what it stands for, how one is written.

They are read in pieces. `re` keeps a place on its stack for each letter of a repeated group, and a list of all escapes.
"""

import re
import sys

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNESCAPES = {
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"\\": b"\\", b"'": b"'",
    b'"': b'"', b"?": b"?",
}  # fmt: skip
_ESCAPE = re.compile(rb"\\([xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_PIECES = {quote: re.compile(rf"(?:[^{quote}\\\n]|\\[^\n]){{1,1000}}") for quote in "\"'"}
_PIECES_WITH_ESCAPES = re.compile(rb"[^\\]*(?:\\.[^\\]*){0,1000}", re.DOTALL)


def end_of_quoted(text: str, begin: int) -> int:
    """The place behind the closing quote; 0 if there is none in the line. begin: the place behind the opening quote."""
    quote, at = text[begin - 1], begin
    piece = _PIECES[quote].match(text, at)
    while piece:
        at = piece.end()
        piece = _PIECES[quote].match(text, at)
    return at + 1 if text[at : at + 1] == quote else 0


def unquoted(token: str) -> bytes:
    """What a quoted string stands for; several escapes may make one letter beyond ASCII. Raises ValueError, with the escape that there is not."""
    written = token[1:-1].encode("utf-8", "surrogateescape")
    return b"".join(_ESCAPE.sub(_meant, piece[0]) for piece in _PIECES_WITH_ESCAPES.finditer(written))


def _meant(match: "re.Match[bytes]") -> bytes:
    escape = match[1]
    if escape in _UNESCAPES:
        return _UNESCAPES[escape]
    if escape[:1] in b"01234567":
        return bytes([int(escape, 8) & 0xFF])
    if len(escape) > 1:
        number = int(escape[1:], 16)
        if escape[:1] in b"xX":
            return bytes([number])
        if number <= sys.maxunicode:
            return chr(number).encode("utf-8", "surrogatepass")
    raise ValueError(match[0].decode(errors="replace"))


def quoted(value: str) -> str:
    """A string as a prototxt has it."""
    return f'"{"".join(_ESCAPES.get(character, character) for character in value)}"'
