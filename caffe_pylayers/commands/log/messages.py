"""What Caffe says while it trains, from its first versions to the last, and what `caffe-pylayers train` says.

A message that is cut short is none: each pattern takes the whole of it.
"""

import math
import re
from typing import Dict, Optional, Pattern

_NUMBER = r"[-+]?(?:1\.#\w+|nan(?:\(\w*\))?|inf|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)"
#: Of several processes under MPI each has its number in front, in some forks.
_ITERATION = r"(?:\[(?P<rank>\d+)\] +)?Iteration (?P<iteration>\d+)"


def _pattern(text: str) -> "Pattern[str]":
    return re.compile(text.replace("NUMBER", _NUMBER), re.IGNORECASE)


# Some forks say more, before the loss and behind it: epochs, the time that is left, momentum.
LOSS = _pattern(_ITERATION + r"(?: \([^()]*\))?(?:, [^=,]*)??, loss = (?P<loss>NUMBER)(?:, .*)?")
RATE = _pattern(_ITERATION + r", lr = (?P<lr>NUMBER)(?:, .*)?")
TESTING = _pattern(_ITERATION + r", Testing net(?: \(#(?P<net>\d+)\))?")
OUTPUT = _pattern(
    r"(?:\[0\] +)?(?P<phase>Train|Test) net output #(?P<number>\d+): (?P<name>.+?) = (?P<value>NUMBER)(?: \(\* NUMBER = NUMBER loss\))?"
)
SCORE = _pattern(r"(?P<phase>Test) (?P<name>score) #(?P<number>\d+): (?P<value>NUMBER)")
OUR_LOSS = _pattern(
    _ITERATION + r", loss = (?P<loss>NUMBER), lr = (?P<lr>NUMBER), (?P<images_per_s>\d+) images/s"
    r"(?:, (?P<waiting>\d+)% waiting)?(?:, (?P<cached>\d+)% from the cache)?(?P<parts>(?:, [^=]+ = NUMBER)*), [\d:]+ left"
)
OUR_TEST = _pattern(_ITERATION + r"(?P<outputs>(?:, test\d* [^=]+ = NUMBER)+)")
OUR_OUTPUT = _pattern(r", (?P<name>[^=]+) = (?P<value>NUMBER)(?=, |$)")

FILE = re.compile(r"Log file created at: ")
START = re.compile(r"Initializing solver from parameters")
TEST_NET = re.compile(r"Creating test net \(#(?P<net>\d+)\)")
RESUMED = re.compile(
    r"(?:Resuming from|Restoring previous solver status from|continuing from) (?P<state>.+?)(?:, iteration \d+)?"
)
WROTE = re.compile(r"Snapshotting solver state to (?:binary proto file |HDF5 file )?(?P<state>.+)")
END = re.compile(r"Optimization (?:Done|stopped early)\.?|trained \d+ iterations\b.*|stopped by SIG\w+ after \d+ of .+")


def number(text: str) -> float:
    """Of a text that NUMBER takes; those of Windows too, as in `-1.#IND`."""
    text = text.lower()
    if "nan" in text or ("#" in text and "#inf" not in text):
        return math.nan
    if "inf" in text:
        return -math.inf if text.startswith("-") else math.inf
    return float(text)


def begins(text: str) -> bool:
    """Whether a process of which nothing is known yet may begin with this line."""
    return bool(START.match(text) or RESUMED.fullmatch(text))


def is_of_a_process(text: str) -> bool:
    """Whether a line without head says by its text alone that it belongs to those of a process."""
    return begins(text) or bool(OUTPUT.fullmatch(text) or SCORE.fullmatch(text))


def iteration(text: str) -> Optional[int]:
    """Of a line that tells of one; None for other lines, and for those of a second process under MPI."""
    if "Iteration " not in text:
        return None
    for pattern in (OUR_LOSS, LOSS, RATE, TESTING, OUR_TEST):
        found = pattern.fullmatch(text)
        if found:
            return None if int(found["rank"] or 0) else int(found["iteration"])
    return None


def is_behind_outputs(text: str) -> bool:
    """Whether a line says that the outputs before it are all."""
    return iteration(text) is not None or bool(END.fullmatch(text) or WROTE.fullmatch(text))


def columns(text: str) -> Dict[str, float]:
    """The columns that a line of an iteration has; none where it has no numbers."""
    found = OUR_LOSS.fullmatch(text) or LOSS.fullmatch(text) or RATE.fullmatch(text)
    groups = found.groupdict() if found else {}
    numbers = {name: number(groups[name]) for name in ("loss", "lr", "images_per_s") if groups.get(name)}
    numbers.update((name, number(groups[name]) / 100) for name in ("waiting", "cached") if groups.get(name))
    ours = OUR_TEST.fullmatch(text)
    outputs, phase = (ours["outputs"], "") if ours else (groups.get("parts") or "", "train ")
    numbers.update((phase + each["name"], number(each["value"])) for each in OUR_OUTPUT.finditer(outputs))
    return numbers
