"""What stock Caffe makes of nets and solvers, each time in a fork of this process: a FATAL of Caffe's ends that alone."""

import faulthandler
import functools
import glob
import os
import signal
import tempfile
from typing import Any, Callable, List

import caffe
import numpy as np

import caffe_pylayers
from caffe_pylayers.caffe_files.nets import is_solver
from caffe_pylayers.caffe_files.prototxt import PrototxtError, read
from caffe_pylayers.processes.boot import fork, status_of
from caffe_pylayers.processes.probe import Answer

for _layer in caffe_pylayers.LAYERS:  # so that no fork has to import it
    getattr(caffe_pylayers, _layer)

_SECONDS = 60
_ITERATIONS = 3  # a pass over the data of `good_nets`


class Lost(Exception):
    """Caffe says nothing, but the training is lost."""


def ending(function: Callable[[], None]) -> Answer:
    """How a function ends in a process of its own, and what it and Caffe say meanwhile."""
    with tempfile.TemporaryFile() as log:
        status = status_of(fork(functools.partial(_logged, function, log.fileno())))
        log.seek(0)
        return Answer(status, "", log.read().decode(errors="replace"))


def _logged(function: Callable[[], None], log: int) -> None:
    faulthandler.disable()  # pytest's, which would tell of each abort
    signal.alarm(_SECONDS)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        function()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="backslashreplace"))
        raise


def train(first: str, *others: str) -> None:
    """Train as `caffe train` does, go on from the snapshot, then load the weights into the other nets.

    first: a solver, or a net, which is trained by a plain one. Raises Lost where nothing was learned, or kept.
    """
    solver = first if _is_solver(first) else _solver_of(first)
    caffe.set_random_seed(1)
    training = caffe.get_solver(solver)
    begin = _weights(training)
    training.step(_ITERATIONS)
    trained = _weights(training)
    if begin and all(np.array_equal(*pair) or not np.isfinite(pair[1]).all() for pair in zip(begin, trained)):
        raise Lost("nothing was learned")
    training.snapshot()
    prefix = read(solver).get("snapshot_prefix") or os.path.splitext(solver)[0]
    (state,) = glob.glob(f"{prefix}_iter_{_ITERATIONS}.solverstate*")
    resumed = caffe.get_solver(solver)
    resumed.restore(state)
    if not all(map(np.array_equal, trained, _weights(resumed))):
        raise Lost("the snapshot has not brought the weights back")
    resumed.step(1)
    if begin and all(map(np.array_equal, trained, _weights(resumed))):
        raise Lost("nothing more is learned")
    for other in others:
        caffe.Net(other, caffe.TEST, weights=state.replace("solverstate", "caffemodel")).forward()


def _weights(solver: Any) -> List[np.ndarray]:
    """What is learned; of Python layers the blobs are positions."""
    learned = [layer for layer in solver.net.layers if layer.type != "Python"]
    return [blob.data.copy() for layer in learned for blob in layer.blobs]


def training_step(net: str, batches: int = 1) -> None:
    """Forward and backward passes of a TRAIN net."""
    training = caffe.Net(net, caffe.TRAIN)
    for _ in range(batches):
        training.forward()
        training.backward()


def _is_solver(path: str) -> bool:
    try:
        return is_solver(read(path))
    except PrototxtError:
        return path.startswith("solver")


def _solver_of(net: str) -> str:
    with open("plain.prototxt", "w") as file:
        file.write(f'net: "{net}"  test_iter: 3  test_interval: 10  base_lr: 0.01  lr_policy: "fixed"')
    return "plain.prototxt"
