"""Edits of prototxt: what no edit names stays as it is, byte for byte: comments, order, blanks, line ends."""

from typing import List, Optional, Tuple

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.prototxt import Field, Message, text_of
from caffe_pylayers.caffe_files.tokens import tokens

Span = Tuple[int, int]


def read_text(path: str) -> str:
    """The text of a file that `prototxt.read` can read, with its own line ends; :func:`as_bytes` gives its bytes again."""
    with regular_file.open_text(path, errors="surrogateescape", newline="") as file:
        return file.read()


def as_bytes(text: str) -> bytes:
    """The bytes of such a text."""
    return text.encode("utf-8", "surrogateescape")


class Edits:
    """The changes of one text, by the spans of its fields. Spans may not overlap."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._changes: List[Tuple[int, int, str]] = []

    def result(self) -> str:
        """The text with all changes; what is new has the line ends of the rest."""
        parts, at = [], 0
        ends = "\r\n" if "\r\n" in self._text else "\n"
        for begin, end, new in sorted(self._changes):
            parts += [self._text[at:begin], new.replace("\n", ends)]
            at = end
        return "".join([*parts, self._text[at:]])

    def put(self, span: Span, new: str) -> None:
        """Put a text in the place of a span that has no comment."""
        self._changes.append((*span, new))

    def put_fields(self, span: Span, fields: List[Field]) -> None:
        """Put fields in the place of one; its comments stand before them."""
        indent = self.indent(span)
        comments = self._comments(span)
        if indent is None and not comments:
            self.put(span, "  ".join(map(inline, fields)))
            return
        lines = [*comments, *(line for field in fields for line in _lines(field))]
        first = "" if indent is not None else "\n  "
        hides = not fields and bool(self._text[span[1] :].split("\n", 1)[0].strip())  # a comment what follows
        self.put(span, first + ("\n  " if indent is None else f"\n{indent}").join(lines) + "\n" * hides)

    def remove(self, span: Span) -> None:
        """Take a field out, and its line if nothing else stands there; its comments stay."""
        begin, end = span
        comments = self._comments(span)
        if comments:
            self.put_fields(span, [])
            return
        line = self._text.rfind("\n", 0, begin) + 1
        rest = self._text.find("\n", end)
        rest = len(self._text) if rest < 0 else rest
        alone = self.indent(span) is not None
        if alone and not self._text[end:rest].strip():
            self.put((line, min(rest + 1, len(self._text))), "")
            return
        while end < rest and self._text[end] in " \t":
            end += 1
        self.put((begin, end), "")

    def insert_before(self, span: Span, fields: List[Field]) -> None:
        """Put fields before one, each in lines of its own if that one begins its line."""
        indent = self.indent(span)
        between = "  " if indent is None else f"\n{indent}"
        lines = [line for field in fields for line in _lines(field)] if indent is not None else [*map(inline, fields)]
        self.put((span[0], span[0]), between.join([*lines, ""]))

    def insert_last(self, span: Span, fields: List[Field]) -> None:
        """Put fields behind the last one within a message, before its brace."""
        end = span[0] + max(self._text[slice(*span)].rfind(brace) for brace in "}>")
        self.put((end, end), " ".join([*map(inline, fields), ""]))

    def indent(self, span: Span) -> Optional[str]:
        """The blanks before a field that begins its line; None where something stands before it."""
        begin = span[0]
        before = self._text[self._text.rfind("\n", 0, begin) + 1 : begin].lstrip("\ufeff")
        return None if before.strip() else before

    def _comments(self, span: Span) -> List[str]:
        """The comments within a span; one behind a field has the field before it, or nobody would know what it is of."""
        text = self._text[slice(*span)]
        found = []
        for token in tokens(text, "", comments=True):
            if token.kind == "comment":
                line = text[text.rfind("\n", 0, token.begin) + 1 : token.begin].strip()
                of_field = line and "\n" in text[: token.begin]
                found.append(f"# {line}  {token.text.rstrip()}" if of_field else token.text.rstrip())
        return found


def inline(field: Field) -> str:
    """A field in one line."""
    if not isinstance(field.value, Message):
        return text_of(Message([field])).rstrip("\n")
    return f"{field.name} {{ {'  '.join(map(inline, field.value.fields))} }}"


_WIDTH = 100  # of a message that is written in one line


def _lines(field: Field) -> List[str]:
    """A field in one line if it is short, else its own fields, as many in a line as it takes."""
    one = inline(field)
    if len(one) <= _WIDTH or not isinstance(field.value, Message):
        return [one]
    lines = [""]
    for each in field.value.fields:
        first, *rest = _lines(each)
        if lines[-1] and len(lines[-1]) + len(first) < _WIDTH and not rest:
            lines[-1] += f"  {first}"
        else:
            lines += [first, *rest]
    return [f"{field.name} {{", *(f"  {line}" for line in lines[1:]), "}"]
