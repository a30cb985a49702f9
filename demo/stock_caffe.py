"""Stock Caffe as the demo uses it: the program trains, the Python module tells what a trained net answers."""

import ast
import contextlib
import os
import re
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

os.environ.setdefault("GLOG_minloglevel", "2")  # before `import caffe`: else every net is told layer by layer

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from caffe_pylayers.processes.blas import coretype

PROGRAM = os.path.join(os.path.dirname(sys.executable), "caffe")
_LOSS = re.compile(r"Iteration (\d+).*?, loss = (\S+)")
_OUTPUT = re.compile(r"Train net output #(\d+): \S+ = (\S+)")


class TrainingFailed(Exception):
    """`caffe train` ended with an error; the message has the last lines of its log."""


class Training:
    """One `caffe train`. Its log goes to a file, from which `poll` reads how far it is.

    curve: (iteration, loss) as logged; the loss is the mean over the solver's `average_loss` iterations.
    outputs: by number, what the net's outputs were at those iterations, all but the last.
    """

    def __init__(self, name: str, folder: str, solver: str, batch_size: int) -> None:
        """solver: its path in the folder. batch_size: images that the net sees per iteration."""
        self.name = name
        self.solver = os.path.join(folder, solver)
        self.curve: List[Tuple[int, float]] = []
        self.outputs: Dict[int, List[float]] = {}
        self.seconds = 0.0
        settings = read_solver(self.solver)
        self.num_iterations = settings.max_iter
        self.num_images = settings.max_iter * batch_size
        self.weights = os.path.join(folder, f"{settings.snapshot_prefix}_iter_{settings.max_iter}.caffemodel")
        self.log = os.path.join(folder, f"{os.path.splitext(solver)[0]}.log")
        self._folder = folder
        self._command = [PROGRAM, "train", "--solver", solver]

    @property
    def done(self) -> float:
        """The part that is done, from 0 to 1, by the log."""
        return self.curve[-1][0] / self.num_iterations if self.curve else 0.0

    def start(self) -> None:
        """Start the program, with one BLAS thread: on nets this small two trainings use two cores better."""
        one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, "GLOG_minloglevel": "0", **one_thread, **coretype()}
        self._began = time.monotonic()
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._reader = open(self.log, errors="replace")  # noqa: SIM115 (closed by `poll` or `stop`)
        self._line = ""

    def poll(self) -> bool:
        """Read on in the log; returns whether the training goes on. Raises TrainingFailed."""
        code = self._process.poll()  # before reading, so that no line is missed
        for part in self._reader:
            self._line += part
            if self._line.endswith("\n"):
                self._learn(self._line)
                self._line = ""
        if code is None:
            return True
        self.seconds = time.monotonic() - self._began
        self._reader.close()
        if code != 0:
            with open(self.log, errors="replace") as log:
                # Below the message, glog adds a trace of C++ functions: "*** ...", "PC: ...", "    @ ...".
                lines = [line for line in log if not line.startswith(("***", "PC:", "    @"))]
            raise TrainingFailed(
                f"{' '.join(self._command)} ended with status {code}. Its log {self.log} ends:\n{''.join(lines[-15:])}"
            )
        return False

    def _learn(self, line: str) -> None:
        loss, output = _LOSS.search(line), _OUTPUT.search(line)
        if loss:
            self.curve.append((int(loss[1]), float(loss[2])))
        if output:
            self.outputs.setdefault(int(output[1]), []).append(float(output[2]))

    def stop(self) -> None:
        """End the program where it still runs, and wait for it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._reader.close()


def train(trainings: Sequence[Training], at_a_time: int, report: Callable[[List[Training]], None]) -> None:
    """Run trainings in their order, some at a time. `report` is called with those that run, 5 times a second.

    However it ends, by an error or by Ctrl-C, no `caffe` is left running.
    """
    waiting, running = list(trainings), []
    try:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                running.append(waiting.pop(0))
                running[-1].start()
            report(running)
            time.sleep(0.2)
            running = [training for training in running if training.poll()]
        report([])
    finally:
        for training in running:
            training.stop()


def answers(net: str, weights: str, folder: str, tops: Sequence[str], count: int) -> List[np.ndarray]:
    """What a net's TEST phase has in `tops` for the first `count` images of its data layer."""
    with _working_directory(folder):
        running = caffe.Net(net, caffe.TEST, weights=weights)
    collected: Dict[str, List[np.ndarray]] = {top: [] for top in tops}
    seen = 0
    while seen < count:
        running.forward()
        for top in tops:
            collected[top].append(running.blobs[top].data.copy())
        seen += len(collected[tops[0]][-1])
    return [np.concatenate(collected[top])[:count] for top in tops]


def first_batch(net: str, folder: str, tops: Sequence[str]) -> List[np.ndarray]:
    """The first batch that a net's TRAIN phase is fed."""
    with _working_directory(folder):
        running = caffe.Net(net, caffe.TRAIN)
    running.forward()
    return [running.blobs[top].data.copy() for top in tops]


def layer_options(path: str, layer: str) -> Dict[str, Any]:
    """The param_str of a Python layer in a net, as a dict."""
    return dict(ast.literal_eval(_layer(_read(path, caffe_pb2.NetParameter()), layer).python_param.param_str))


def write_net(template: str, path: str, **options: Dict[str, Any]) -> None:
    """Copy a net with some options of some of its Python layers changed: layer={'option': value}."""
    net = _read(template, caffe_pb2.NetParameter())
    for layer, changed in options.items():
        parameter = _layer(net, layer).python_param
        parameter.param_str = repr({**ast.literal_eval(parameter.param_str or "{}"), **changed})
    _write(path, net)


def replace_layer(template: str, path: str, layer: str, text: str) -> None:
    """Copy a net with other layers, as text, in the place of one."""
    net = _read(template, caffe_pb2.NetParameter())
    others = text_format.Parse(text, caffe_pb2.NetParameter()).layer
    place = list(net.layer).index(_layer(net, layer))
    layers = [*net.layer[:place], *others, *net.layer[place + 1 :]]
    del net.layer[:]
    net.layer.extend(layers)
    _write(path, net)


def read_solver(path: str) -> Any:
    """A solver.prototxt as SolverParameter."""
    return _read(path, caffe_pb2.SolverParameter())


def describe_solver(path: str) -> str:
    """A solver's kind and learning rate in a line."""
    solver = read_solver(path)
    line = f"{solver.type}, base_lr {solver.base_lr:g}, lr_policy {solver.lr_policy}"
    if solver.stepvalue:
        line += f", times {solver.gamma:g} at {', '.join(map(str, solver.stepvalue))}"
    return line


def write_solver(template: str, path: str, **fields: Any) -> None:
    """Copy a solver with some fields changed; a list is for a repeated field."""
    solver = read_solver(template)
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(solver, name)[:] = value
        else:
            setattr(solver, name, value)
    _write(path, solver)


@contextlib.contextmanager
def _working_directory(folder: str) -> Iterator[None]:
    """Sources in a net are relative to the working directory."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _layer(net: Any, name: str) -> Any:
    (layer,) = (layer for layer in net.layer if layer.name == name)
    return layer


def _read(path: str, message: Any) -> Any:
    with open(path) as file:
        return text_format.Parse(file.read(), message)


def _write(path: str, message: Any) -> None:
    with open(path, "w") as file:
        file.write(text_format.MessageToString(message))
