"""A row of the table, and how its figures are taken."""

import time
from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

import numpy as np


@dataclass
class Row:
    """One comparison: texts of the two figures, their ratio, and the ratio to reach with its sign ('>=' or '<=').

    Without one it is a part of the row above, which shows what that is made of. NaN is no ratio: there is no other figure.
    """

    what: str
    ours: str
    against: str
    ratio: float
    reach: str = ""

    def cells(self) -> Tuple[str, ...]:
        if not self.reach:
            return self.what, self.ours, self.against, "" if np.isnan(self.ratio) else f"{self.ratio:.3g}", ""
        sign, bound = self.reach.split()
        reached = self.ratio >= float(bound) if sign == ">=" else self.ratio <= float(bound)
        color = "green" if reached else "red"
        return self.what, self.ours, self.against, f"[{color}]{self.ratio:.3g}[/]", self.reach


def milliseconds(action: Callable[[], object], repeats: int = 15, warm: bool = True) -> float:
    """The median time of an action, after one to warm up."""
    if warm:
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000


def in_turns(actions: Dict[str, Callable[[], float]], rounds: int = 5) -> Dict[str, float]:
    """The median figure of each action, measured in turns so that a slow minute is slow for all."""
    figures: Dict[str, List[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            figures[name].append(action())
    return {name: float(np.median(values)) for name, values in figures.items()}
