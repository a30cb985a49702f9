"""How a process ended that did not end well: what glog, C++, Python, the shell and our own command say in a log."""

import re
from typing import Optional, Tuple

from caffe_pylayers.commands.log.glog_lines import Line
from caffe_pylayers.commands.log.runs import Place

_OF_SYSTEM = re.compile(
    r"\*\*\* (?:Aborted at|Check failure|SIG[A-Z]+).*|terminate called .*|.*\b(?:Segmentation fault|core dumped|Bus error)\b.*"
    r"|(?:.*\b\d+ )?(?:Killed|Aborted|Terminated)\b.*|caffe-pylayers: iteration \d+: (?!the loss is ).+"
)
#: By this the `caffe` program ends when a Python layer raises an error; a layer of ours tells it before.
_TERMINATE, _OF_A_LAYER = "terminate called ", "caffe_pylayers: "
_TRACEBACK = "Traceback (most recent call last):"


class Failures:
    """Found line by line, since some need the lines before."""

    def __init__(self) -> None:
        self._in_traceback = False
        self._of_a_layer: Optional[Tuple[str, Place]] = None

    def read(self, line: Line, place: Place) -> Optional[Tuple[str, Place]]:
        """Why a process fails with this line, and where that stands; None if the line says nothing of it."""
        ends_traceback = self._in_traceback and not line.text.startswith(" ")
        self._in_traceback = line.text == _TRACEBACK or (self._in_traceback and not ends_traceback)
        if line.text.startswith(_OF_A_LAYER):
            self._of_a_layer = line.text, place
        elif line.thread:
            self._of_a_layer = None
        elif self._of_a_layer and line.text.startswith(_TERMINATE):
            return self._of_a_layer
        of_system = not line.thread and _OF_SYSTEM.fullmatch(line.text)
        return (line.text, place) if line.level == "F" or ends_traceback or of_system else None
