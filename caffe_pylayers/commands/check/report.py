"""What was found in nets and solvers, and what was looked at."""

from dataclasses import dataclass, field
from typing import List

from caffe_pylayers.caffe_files.nets import Layer, Net, Solver
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding
from caffe_pylayers.commands.check.views import View


@dataclass
class Report:
    """What was found, and what was looked at.

    findings: by file, as given, and line. views: the nets, in each of their states. others: nets that are no solver's.
    sources: how many data layers were read. skipped: what was not checked, and why, in words.
    """

    findings: List[Finding] = field(default_factory=list)
    views: List[View] = field(default_factory=list)
    solvers: List[Solver] = field(default_factory=list)
    others: List[Net] = field(default_factory=list)
    sources: int = 0
    skipped: List[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """One line: what was found, in what, and what was not checked."""
        levels = [finding.level for finding in self.findings]
        wrong = [_counted(levels.count(level), level) for level in (ERROR, WARNING) if level in levels]
        states = dict.fromkeys(str(view.state) for view in self.views)
        looked_at = [
            _counted(len(self.solvers), "solver"),
            _counted(len(self.nets), "net") + (f" ({', '.join(states)})" if states else ""),
            _counted(len(self.layers), "layer"),
            _counted(self.sources, "source"),
        ]
        where = ", ".join(each for each in looked_at if each[0] != "0")
        skipped = f"; not checked: {'; '.join(self.skipped)}" if self.skipped else ""
        return f"{' and '.join(wrong) or 'nothing wrong'}{' in ' if where else ''}{where}{skipped}"

    @property
    def nets(self) -> List[Net]:
        """Each net once."""
        return list(dict.fromkeys([*(view.net for view in self.views), *self.others]))

    @property
    def layers(self) -> List[Layer]:
        """Each layer that is in one of the states once."""
        return list(dict.fromkeys(layer for view in self.views for layer in view.layers))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
