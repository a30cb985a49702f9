"""The outputs of nets in a log of Caffe: a line for each number, which together stand behind the line of their iteration."""

from collections import Counter, defaultdict
from typing import DefaultDict, Dict, Iterator, List, NamedTuple, Optional, Tuple

from caffe_pylayers.commands.log import messages
from caffe_pylayers.commands.log.runs import Place


class _Number(NamedTuple):
    name: str
    value: float
    place: Place


class _Group(NamedTuple):
    """All outputs of a net at an iteration. net: "train", or the number of a test net."""

    net: str
    iteration: int
    numbers: List[_Number]


class Outputs:
    """Those of one process, line by line.

    A group counts if it is whole, since lines of one name are the entries of a vector, each by its place: Caffe numbers the
    lines, and behind the last one stands another line of Caffe that is known. Where something else stands, or the log
    ends, it counts if it is no shorter than others of this net.
    """

    def __init__(self) -> None:
        self._whole: List[_Group] = []
        self._doubtful: List[_Group] = []
        self._open: Optional[_Group] = None
        self._tests = 0

    def expect(self, net: str, iteration: int) -> None:
        """The next outputs are those of a net at an iteration."""
        self._open = _Group(net, iteration, [])
        self.net(net)

    def net(self, number: str) -> None:
        """There is a test net of that number."""
        self._tests = max(self._tests, int(number) + 1 if number != "train" else 0)

    def read(self, text: str, place: Place) -> bool:
        """Take a line, if it is of an output; every other line ends a group."""
        found = messages.OUTPUT.fullmatch(text) or messages.SCORE.fullmatch(text)
        if not found:
            if self._open and self._open.numbers:
                self._close(messages.is_behind_outputs(text))
            return False
        group, phase = self._open, "train" if found["phase"].lower() == "train" else "test"
        if group and (group.net == "train") == (phase == "train") and int(found["number"]) == len(group.numbers):
            group.numbers.append(_Number(found["name"], messages.number(found["value"]), place))
        else:
            self._open = None
        return True

    def columns(self) -> Iterator[Tuple[int, str, float, Place]]:
        """Iteration, column, number and place of all, with the columns of `train`: `train NAME`, `test NAME`, `test1 NAME[2]`."""
        groups = self._groups()
        several = {
            (group.net, name)
            for group in groups
            for name, count in Counter(number.name for number in group.numbers).items()
            if count > 1
        }
        for group in groups:
            phase = group.net if group.net == "train" else f"test{group.net}" if self._tests > 1 else "test"
            seen: DefaultDict[str, int] = defaultdict(int)
            for name, value, place in group.numbers:
                entry = f"[{seen[name]}]" if (group.net, name) in several else ""
                seen[name] += 1
                yield group.iteration, f"{phase} {name}{entry}", value, place

    def _close(self, is_whole: bool) -> None:
        if self._open and self._open.numbers:
            (self._whole if is_whole else self._doubtful).append(self._open)
        self._open = None

    def _groups(self) -> List[_Group]:
        """Those that count."""
        self._close(is_whole=False)
        sizes = Counter((group.net, len(group.numbers)) for group in self._doubtful)
        whole = {(group.net, len(group.numbers)) for group in self._whole} | {size for size in sizes if sizes[size] > 1}
        largest: Dict[str, int] = {}
        for net, size in whole:
            largest[net] = max(size, largest.get(net, 0))
        known = [group for group in self._doubtful if group.net in largest]
        return [*self._whole, *(group for group in known if len(group.numbers) >= largest[group.net])]
