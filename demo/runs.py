"""Trainings by method and seed, and how all of them are run with a progress bar."""

import os
import signal
import sys
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Sequence, Tuple

from fashion import Unavailable
from rich.console import Console
from rich.progress import Progress
from stock_caffe import PROGRAM, Training, TrainingFailed, train, write_net, write_solver


@dataclass(frozen=True)
class Run:
    """One training, by method and seed; `net` is its prototxt, relative to the folder."""

    method: str
    seed: int
    net: str
    training: Training


def prepare_run(
    folder: str,
    method: str,
    title: str,
    seed: int,
    net: str,
    solver: str,
    options: Dict[str, Dict[str, Any]],
    num_images: int,
    **fields: Any,
) -> Run:
    """Write copies of a net and a solver of the folder for one seed of data and weights, and what else is changed.

    options: of the net's Python layers, by layer. num_images: how many the net sees a batch. fields: the solver's.
    """
    name = f"{os.path.dirname(net)}/{method}_seed{seed}"
    copy, copied_solver = f"{name}.prototxt", f"{name}_solver.prototxt"
    options = {**options, "train_data": {**options.get("train_data", {}), "seed": seed}}
    write_net(os.path.join(folder, net), os.path.join(folder, copy), **options)
    write_solver(
        os.path.join(folder, solver),
        os.path.join(folder, copied_solver),
        net=copy,
        random_seed=seed,
        snapshot_prefix=name,
        **fields,
    )
    return Run(method, seed, copy, Training(f"{title}, seed {seed}", folder, copied_solver, num_images))


def train_all(trainings: List[Training], progress: Progress) -> None:
    """Run all trainings, two at a time, with a bar that counts images and a line for each that ends."""
    total = sum(training.num_images for training in trainings)
    bar = progress.add_task("training", total=total)
    told = set()

    def report(running: List[Training]) -> None:
        ended = [training for training in trainings if training.seconds and training.name not in told]
        for training in ended:
            told.add(training.name)
            progress.console.print(
                f"trained {training.name}: {training.num_iterations} iterations in {training.seconds:.0f} s, "
                f"loss {training.curve[0][1]:.3f} -> {training.curve[-1][1]:.3f}",
                soft_wrap=True,
            )
        done = sum(training.num_images * training.done for training in trainings)
        names = ", ".join(training.name for training in running)
        progress.update(bar, completed=done, description=f"training {names}"[:60])

    train(trainings, at_a_time=2, report=report)


def evaluate_all(
    runs: Sequence[Run], how: Callable[[Run], Dict[str, Any]], done: Callable[[], None]
) -> Dict[str, List[Dict[str, Any]]]:
    """What `how` finds of each run, by method; `done` is called after each."""
    found: Dict[str, List[Dict[str, Any]]] = {each.method: [] for each in runs}
    for each in runs:
        found[each.method].append(how(each))
        done()
    return found


def supervise(name: str, work: Callable[[Progress], Dict[str, Any]]) -> Tuple[Console, Dict[str, Any]]:
    """Run `work` with a progress bar; the console, and what it returns.

    Exits with a line that begins with `name`: status 2 where Caffe is missing, 1 where a training or the data failed,
    130 on Ctrl-C.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

    def end(status: int, why: str) -> int:
        console.print(f"{name}: {why}", style="red", markup=False)
        return status

    if not os.path.exists(PROGRAM):
        sys.exit(end(2, f"{PROGRAM} is missing; run `make setup`, then start this with .venv/bin/python"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as an exception: children are ended
    try:
        with Progress(console=console) as progress:
            return console, work(progress)
    except (Unavailable, TrainingFailed) as error:
        sys.exit(end(1, str(error)))
    except KeyboardInterrupt:
        sys.exit(end(128 + signal.SIGINT, "interrupted; nothing is left running"))
