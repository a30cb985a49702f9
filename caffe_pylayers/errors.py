"""The two errors that this package raises on bad input. They carry their parts, of which the text is made."""

import copy
import copyreg
import re
from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple, TypeVar

_Error = TypeVar("_Error", bound="PartedError")


def in_words(problem: str, remedy: str) -> str:
    """The text of a problem with its remedy, if there is one.

    >>> in_words("found 4 tops", "expected 3"), in_words("it is damaged", "")
    ('found 4 tops; expected 3', 'it is damaged')
    """
    return f"{problem}; {remedy}" if remedy else problem


def readable(text: str) -> str:
    """A text in which a byte of a name that is no UTF-8 stands as `ls` shows it.

    >>> print(readable(repr("bad" + chr(0xDCFF) + ".png")))
    'bad\\xff.png'
    """
    text = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) & 0xFF:02x}", text)
    return re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", text)


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The one of the names that is most like this one, of several such as begin with it; "" where none is. cutoff: how much like it, from 0 to 1.

    >>> nearest("tripletloss", ["FocalLoss", "TripletLoss"]), nearest("x", ["FocalLoss"]), nearest("batch", ["per_batch", "batch_size"])
    ('TripletLoss', '', 'batch_size')
    """
    import difflib  # here, since few programs meet a wrong name

    lower = {each.lower(): each for each in names}
    found = difflib.get_close_matches(name.lower(), lower, cutoff=cutoff)
    return next((lower[each] for each in found if each.startswith(name.lower())), lower[found[0]] if found else "")


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The question whether the nearest of the names was meant; "" where none is near."""
    guess = nearest(name, names, cutoff)
    return f"did you mean {guess!r}?" if guess else ""


def unknown(problem: str, guess: str, known: str = "") -> Tuple[str, str]:
    """Problem and remedy where a name is unknown. guess: see :func:`did_you_mean`. known: a sentence with what there is.

    >>> in_words(*unknown("no layer 'Loss'", "", "Layers: FocalLoss"))
    "no layer 'Loss'. Layers: FocalLoss"
    """
    return (problem, f"{guess} {known}".rstrip()) if guess else (f"{problem}. {known}".rstrip(), "")


class PartedError(ValueError):
    """What both errors are. Its text is ``SOURCE: LAYER: problem; remedy``, without the parts that are "".

    problem: what was found, and what is allowed. remedy: what to do. layer: whose options, bottoms or data are wrong.
    source: where it is, in words, as in `LMDB source a.lmdb: record 3 ('x')` or `net.prototxt:12`. option, record: the name
    and the number, where one is known; problem and source say them too.

    >>> error = DataError("it is cut short", remedy="copy it again", source="BCF source a.bcf")
    >>> str(error), error.remedy
    ('BCF source a.bcf: it is cut short; copy it again', 'copy it again')
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str = "",
        layer: str = "",
        option: str = "",
        source: str = "",
        record: Optional[int] = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.layer, self.option, self.source = problem, remedy, layer, option, source
        self.record = None if record is None else int(record)

    def __str__(self) -> str:
        where = "".join(f"{part}: " for part in (self.source, self.layer) if part)
        return readable(where + in_words(self.problem, self.remedy))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> Tuple[Any, ...]:  # by its parts: __init__ of a subclass may take anything
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    @property
    def found(self) -> str:
        """Source and problem: the text without layer and remedy."""
        return f"{self.source}: {self.problem}" if self.source else self.problem

    @property
    def parts(self) -> Dict[str, Any]:
        """The parts by name, as plain values: ``DataError(**error.parts)`` has the same text."""
        return {name: getattr(self, name) for name in ("problem", "remedy", "layer", "option", "source", "record")}

    def kept(self: _Error) -> _Error:
        """The same error without its traceback, which holds all that was at hand: to keep it, or to raise it again."""
        return copy.copy(self)

    def within(self: _Error, source: str, record: Optional[int] = None) -> _Error:
        """The same error, told of where it is: `source` stands in front of its text."""
        told = self.kept()
        told.source = f"{source}: {self.source}" if self.source else source
        told.record = self.record if record is None else int(record)
        return told

    def renamed(self: _Error, place: str, name: str) -> _Error:
        """The same error, in which another name stands for a place that the user does not know."""
        return self.reworded(lambda text: text.replace(place, name))

    def reworded(self: _Error, words: Callable[[str], str]) -> _Error:
        """The same error, its parts in other words."""
        told = self.kept()
        for part, text in self.parts.items():
            setattr(told, part, words(text) if isinstance(text, str) else text)
        return told


class ConfigError(PartedError):
    """An option, a bottom or a top of a layer is wrong; the message names it and what is allowed."""

    _several: Tuple["ConfigError", ...] = ()

    @classmethod
    def of(cls, problems: Sequence["ConfigError"]) -> "ConfigError":
        """One error of all problems, each on a line of its own."""
        if len(problems) == 1:
            return problems[0]
        error = cls("\n".join(map(str, problems)))
        error._several = tuple(problems)
        return error

    @property
    def problems(self) -> Tuple["ConfigError", ...]:
        """The problems one by one, each with its parts; itself where it is one."""
        return self._several or (self,)


class DataError(PartedError):
    """A data source or one of its records is wrong; the message names the source, the record and the remedy."""


class ChangedSourceError(DataError):
    """A source is not what it was at set-up: none of its records can be trusted, so that `on_error` leaves out none for it."""
