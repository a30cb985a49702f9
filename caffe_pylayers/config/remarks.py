"""What there is to say of options: what is wrong, or worth a warning."""

from dataclasses import dataclass
from typing import Iterator, Optional, Sequence, Tuple

from caffe_pylayers.errors import ConfigError, in_words


@dataclass(frozen=True)
class Remark:
    """What is wrong with options or tops, or worth a warning: the options that it depends on, what was found, what to do.

    >>> str(Remark(("scale", "weights"), "options 'scale' and 'weights' are both given", "leave one out"))
    "options 'scale' and 'weights' are both given; leave one out"
    """

    names: Tuple[str, ...]
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return in_words(self.problem, self.remedy)

    def within(self, place: str) -> "Remark":
        """The same of the options of a dict: `place` stands before their names.

        >>> str(Remark(("width",), "option 'width' has no effect").within("resize."))
        "option 'resize.width' has no effect"
        """
        texts = [self.problem, self.remedy]
        for name in self.names:
            texts = [text.replace(f"'{name}'", f"'{place}{name}'") for text in texts]
        return Remark(tuple(place + name for name in self.names), *texts)

    def error(self, layer: str) -> ConfigError:
        """The error that it is of a layer."""
        return ConfigError(self.problem, remedy=self.remedy, layer=layer, option=self.names[0] if self.names else "")


def out_of_order(bottoms: Optional[Sequence[str]], *order: str) -> Iterator[Remark]:
    """What is wrong with an option `bottoms`: it names those that are there in their order."""
    given = list(bottoms or ())
    if given != [name for name in order if name in given]:
        rule = f"option 'bottoms' must have each name once, in the order {', '.join(order)}, not {given}"
        yield Remark(("bottoms",), rule)
