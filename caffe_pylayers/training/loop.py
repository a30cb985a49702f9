"""A solver's training in Python, an iteration at a time, with the same weights as `caffe train` to the last bit."""

import os
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

from caffe_pylayers.caffe_files.snapshots import Shape, State, misfits, newest_state, read_state, state_path
from caffe_pylayers.caffe_files.weights import by_name, read_weights
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.processes.blas import slow_openblas
from caffe_pylayers.training.learning_rate import learning_rate
from caffe_pylayers.training.parameter import (
    check_data_layers,
    check_room,
    choose_device,
    clear_weights,
    make_solver,
    read_parameter,
)
from caffe_pylayers.training.passes import StoppedInTest, TestPasses, TrainPasses, data_layers, images_per_iteration
from caffe_pylayers.training.ranks import Ranks


class Row(NamedTuple):
    """One iteration. loss and the rest are None in a row behind the last one, which has only the outputs of a test.

    iteration: from 0, as Caffe counts. loss: before its update. waiting: the share of its time, 0 to 1, in which the
    net waited for our data layers, None where it has none. cached: the share of its images that came from a cache, None where it has
    none. outputs: of the train net, where there are other ones than the loss, and of the tests before it.
    """

    iteration: int
    loss: Optional[float]
    lr: Optional[float]
    images_per_s: Optional[float]
    waiting: Optional[float]
    cached: Optional[float]
    outputs: Dict[str, float]


class Training:
    """The training that a solver file describes.

    weights: .caffemodel files to begin with, one after the other. resume: a .solverstate to go on from, or True for
    the newest of the solver's snapshot_prefix. gpu: the device; None leaves it to the solver's solver_mode. ranks: the
    processes that train together, each with such an object.
    Raises ConfigError or DataError, before anything is trained, for what would make Caffe abort or go wrong silently.
    """

    def __init__(
        self,
        solver: str,
        weights: Sequence[str] = (),
        resume: Union[bool, str] = False,
        gpu: Optional[int] = None,
        ranks: Optional[Ranks] = None,
    ) -> None:
        if resume and weights:
            raise ConfigError("give either a state to resume or weights, not both: a state has its own weights")
        self.parameter = read_parameter(solver)
        self.notes: List[str] = []
        state = self._state(resume)
        if state is not None or weights:
            clear_weights(self.parameter)
        choose_device(self.parameter, gpu, ranks.device if ranks else None)
        check_data_layers(solver)
        if ranks is not None:
            ranks.tell_caffe()
        slow = slow_openblas()
        if slow is not None:
            self.notes.append(f"{slow.found}; `{slow.remedy}` before the training helps")
        self.solver = make_solver(self.parameter)
        self.shapes = {name: shapes for name, shapes in _shapes_of(self.solver.net).items() if shapes}
        for path in weights:
            self._load(path)
        if state is not None:
            self._restore(state, ranks is not None)
        check_room(self.parameter, self.shapes)
        self._train = TrainPasses(self.solver, self.parameter.iter_size)
        several = len(self.solver.test_nets) > 1
        self._tests = [
            TestPasses(net, f"test{i}" if several else "test", self.parameter.test_iter[i])
            for i, net in enumerate(self.solver.test_nets)
        ]
        nets = (self.solver.net, *self.solver.test_nets)
        self.notes += [f"layer {name!r}: {layer.epoch}" for net in nets for name, layer in data_layers(net)]
        self.images_per_iteration = images_per_iteration(self.solver.net, self.parameter.iter_size)
        self._asked_to_stop = self._stop = self._snapshot = False
        self._ranks = ranks
        if ranks is not None:
            self.images_per_iteration *= ranks.size
            ranks.share(self.solver)
            self.solver.add_callback(lambda: None, self._average)
        own_state = state_path(self.parameter.snapshot_prefix, self.iteration)
        self._snapshot_at = self.iteration if state is not None and os.path.exists(own_state) else -1

    @property
    def iteration(self) -> int:
        """Iterations done, those before a resume too."""
        return int(self.solver.iter)

    @property
    def is_root(self) -> bool:
        """Whether this process tests, takes snapshots and tells: rank 0, where there are several."""
        return self._ranks is None or self._ranks.rank == 0

    @property
    def max_iter(self) -> int:
        return int(self.parameter.max_iter)

    @property
    def output_names(self) -> List[str]:
        """The names of all that may be in the outputs of a row."""
        return self._train.names + [name for test in self._tests for name in test.names]

    def __iter__(self) -> Iterator[Row]:
        """Train up to max_iter, a row per iteration; with Caffe's tests and snapshots, the last ones too."""
        if self.iteration >= self.max_iter:
            return
        try:
            while self.iteration < self.max_iter and not self._stop:
                yield self._step()
            if not self._stop:
                yield from self._finish()
        except StoppedInTest:
            return

    def stop(self) -> None:
        """End after this iteration, or in the test that is going on. May be called in a signal's handler."""
        self._asked_to_stop = True
        if self._ranks is None:  # ranks stop together, behind an iteration that they agree on
            self._stop = True
            for test in self._tests:
                test.stop = True

    def request_snapshot(self) -> None:
        """Take a snapshot after this iteration. May be called in a signal's handler."""
        self._snapshot = True

    def snapshot(self) -> str:
        """Take a snapshot now, unless this iteration has one. Returns the path of its .solverstate."""
        if self._snapshot_at != self.iteration:
            if self.is_root:
                self.solver.snapshot()
            self._snapshot_at = self.iteration
        return state_path(self.parameter.snapshot_prefix, self.iteration)

    def close(self) -> None:
        """End the workers of all data layers."""
        for net in (self.solver.net, *self.solver.test_nets):
            for _, layer in data_layers(net):
                layer.close()

    def _step(self) -> Row:
        iteration = self.iteration
        self.solver.step(1)
        seconds = time.perf_counter() - self._train.began
        waited = self._train.waited()
        row = Row(
            iteration,
            self._loss if self._ranks else self._train.loss,
            learning_rate(self.parameter, iteration),
            self.images_per_iteration / seconds,
            None if waited is None else min(1.0, waited / seconds),
            self._train.cached(),
            {**self._train.outputs(), **self._tested()},
        )
        every = self.parameter.snapshot
        if every and self.iteration % every == 0:
            self._snapshot_at = self.iteration
        if self._snapshot:
            self._snapshot = False
            self.snapshot()
        return row

    def _finish(self) -> Iterator[Row]:
        """The last snapshot and the last test, which Solver::Solve takes where no iterations are left."""
        if not self.is_root:
            return
        self.solver.solve()
        if self.parameter.snapshot_after_train:
            self._snapshot_at = self.iteration
        outputs = self._tested()
        if outputs:
            yield Row(self.iteration, None, None, None, None, None, outputs)

    def _average(self) -> None:
        assert self._ranks is not None
        self._loss, self._stop = self._ranks.average(self.solver, self._train.loss, self._asked_to_stop)

    def _tested(self) -> Dict[str, float]:
        return {name: mean for test in self._tests for name, mean in test.take().items()}

    def _state(self, resume: Union[bool, str]) -> Optional[State]:
        if resume is True:
            state, complaints = newest_state(self.parameter.snapshot_prefix)
            self.notes += [f"skipped: {complaint}" for complaint in complaints]
            return state
        return read_state(resume) if resume else None

    def _load(self, path: str) -> None:
        """Begin with these weights, in the test nets too, as `caffe train --weights` does."""
        found = by_name(read_weights(path))
        taken = [name for name in self.shapes if name in found]
        if not taken:
            raise DataError(
                "none of its layers is in the net",
                remedy=f"it has {', '.join(list(found)[:8])}; the net has {', '.join(list(self.shapes)[:8])}: layers are matched by name",
                source=path,
            )
        nets = (self.solver.net, *self.solver.test_nets)
        problems = list(dict.fromkeys(problem for net in nets for problem in misfits(path, _shapes_of(net))))
        if problems:
            raise DataError(
                "\n".join(f"{path}: {problem}" for problem in problems)
                + "\nTo learn a layer from the start, give it another name in the net: then it begins with its filler, "
                "and with an empty memory or a new position if it keeps one."
            )
        for net in nets:
            net.copy_from(path)
        fresh = [name for name in self.shapes if name not in found]
        note = f"; from their fillers: {', '.join(fresh)}" if fresh else ""
        self.notes.append(f"{path}: weights of {len(taken)} layers{note}")
        for name, layer in zip(self.solver.net._layer_names, self.solver.net.layers):
            kept = _fact(layer, "keeps")
            if kept and name in found:
                self.notes.append(
                    f"layer {name!r}: it goes on with its {kept.what} in {path}; under another name it begins again"
                )

    def _restore(self, state: State, has_ranks: bool) -> None:
        problems = misfits(state.weights, _shapes_of(self.solver.net))
        found = by_name(read_weights(state.weights))
        problems += [f"layer {name!r} is not in the weights" for name in self.shapes if name not in found]
        if problems:
            raise DataError(
                f"{state.path} is from another net; its weights {state.weights}:\n" + "\n".join(problems) + "\n"
                "To begin a new run with the weights that fit, give them with --weights."
            )
        learned = {
            blob.data.ctypes.data: tuple(blob.shape) for blobs in self.solver.net.params.values() for blob in blobs
        }
        each = 2 if type(self.solver).__name__ in ("AdamSolver", "AdaDeltaSolver") else 1
        if state.history != list(learned.values()) * each:
            raise DataError(
                f"{state.path} is from another solver: it has {len(state.history)} blobs of history, but type "
                f"{self.parameter.type!r} keeps {each} for each of {len(learned)} parameter blobs",
                remedy=f"set `type` as in that run, or begin a new run with --weights {state.weights}",
            )
        self.solver.restore(state.path)
        self.notes.append(f"continuing from {state.path}, iteration {self.iteration}")
        self.notes += _not_resumed(self.solver.net, has_ranks)


def _shapes_of(net: Any) -> Dict[str, List[Shape]]:
    """The shapes of the parameter blobs of each layer, none for a layer without. Of several layers with one name Caffe loads the first."""
    shapes: Dict[str, List[Shape]] = {}
    for name, layer in zip(net._layer_names, net.layers):
        shapes.setdefault(name, [tuple(blob.shape) for blob in layer.blobs])
    return shapes


def _not_resumed(net: Any, has_ranks: bool) -> Iterator[str]:
    """What a state does not hold, a sentence a layer. has_ranks: whether there are several."""
    ours = [layer for _, layer in data_layers(net)]
    for number, layer in enumerate(net.layers):
        name = net._layer_names[number]
        if layer in ours and not layer.options.resume:
            yield f"layer {name!r}: its data begins at the first batch again; with 'resume': True it continues (docs/data.md)"
        elif has_ranks and _fact(layer, "kept_by_each_rank"):
            kept = _fact(layer, "kept_by_each_rank")
            yield f"layer {name!r}: every rank goes on with the {kept} of rank 0, because a snapshot does not have those of the others"
        elif layer.type in ("Data", "ImageData", "HDF5Data", "WindowData"):
            yield f"layer {name!r} ({layer.type}): its data begins at the first batch again, because Caffe does not save its position"
        elif layer.type == "Dropout":
            yield f"layer {name!r} (Dropout): its masks begin again from random_seed, because Caffe does not save its random state"


def _fact(layer: Any, name: str) -> Any:
    """What the options of a layer of this package say of it; None of any other layer."""
    say = getattr(getattr(layer, "options", None), name, None)
    return None if say is None else say()
