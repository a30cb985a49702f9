"""Print the table of benchmarks: `python -m tests.bench [name ...]`.

Every row is measured in turns with what it is compared with, in this one run; figures are medians.
"""

import os
import sys
from importlib import import_module
from typing import Iterator

# Before numpy is loaded: one thread for BLAS, so that the cores are counted.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", GLOG_minloglevel="2")

from rich.console import Console
from rich.table import Table

from tests.bench.rows import Row

#: Where each is; it is imported when it is run, since some need what others do not.
BENCHMARKS = {
    "feeding": "feeding.feeding",
    "triplets": "feeding.triplets",
    "cache": "caching.cache",
    "maps": "feeding.maps",
    "augment": "augmenting.augment",
    "fast": "feeding.fast",
    "ahead": "feeding.ahead",
    "ranks": "feeding.ranks",
    "waiting": "waiting.waiting",
    "step": "waiting.step",
    "setup": "waiting.setup",
    "planning": "planning.planning",
    "scale": "scale.scale",
    "convert": "conversion.conversion",
    "losses": "losses.losses",
    "pairs": "pair_losses.pair_losses",
    "metrics": "metrics.metrics",
    "features": "features.features",
}

#: Those that need a GPU are run where they are asked for.
ON_A_GPU = {"gpu": "on_gpu.losses", "gpu_feeding": "on_gpu.feeding"}


def rows(place: str) -> Iterator[Row]:
    """The rows of the benchmark `module.function`."""
    module, _, function = place.partition(".")
    return getattr(import_module(f"tests.bench.{module}"), function)()


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    known = {**BENCHMARKS, **ON_A_GPU}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}")
    table = Table("what", "ours", "against", "ratio", "to reach", title="caffe_pylayers, measured side by side")
    console = Console(width=max(120, Console().width))
    for name in names:
        console.print(f"measuring {name} ...", style="dim")
        for row in rows(known[name]):
            table.add_row(*row.cells())
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    main()
