"""A solver's own fields: its nets, its tests, its learning rate, its snapshots."""

import os
from typing import Iterator

from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.commands.check.findings import ERROR, NOTE, WARNING, Finding, line_of, listed, times
from caffe_pylayers.errors import did_you_mean

#: What each policy reads besides max_iter (SGDSolver::GetLearningRate), and what is so without it.
_STOPS, _ENDS, _STAYS = "Caffe aborts", "the rate becomes 0", "the rate stays the same"
POLICIES = {
    "fixed": {}, "step": {"stepsize": _STOPS, "gamma": _ENDS}, "exp": {"gamma": _ENDS}, "inv": {"gamma": _STAYS, "power": _STAYS},
    "multistep": {"gamma": _ENDS, "stepvalue": _STAYS}, "poly": {"power": _STAYS},
    "sigmoid": {"gamma": _STAYS, "stepsize": _STOPS},
}  # fmt: skip
TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
REGULARIZATIONS = ("L1", "L2")
_TRAIN_NETS = ("net", "net_param", "train_net", "train_net_param")


class _Solver:
    """A solver's message, and findings in it."""

    def __init__(self, message: Message, file: str) -> None:
        self.message, self.file = message, file

    def error(self, at: str, problem: str, remedy: str, number: int = -1, level: str = ERROR) -> Finding:
        """A finding at the field `at`, by default the last of that name, or at the file's first line without one."""
        return Finding(self.file, line_of(self.message, at, number), "", level, problem, remedy)

    def number(self, name: str, default: float = 0) -> float:
        """The value of a field of numbers; what is no number counts as not given."""
        value = self.message.get(name, default)
        return value if isinstance(value, (int, float)) else default


def check_solver(message: Message, file: str, gpu: bool = True) -> Iterator[Finding]:
    """What is wrong with the fields of a solver. gpu: whether the Caffe that is there is built for GPUs."""
    solver = _Solver(message, file)
    for rule in (_check_nets, _check_weights, _check_tests, _check_learning_rate, _check_snapshots):
        yield from rule(solver)
    kind = message.get("type")
    if kind is not None and kind not in TYPES:
        remedy = f"{did_you_mean(str(kind), TYPES)} Types: {listed(TYPES)}".lstrip()
        yield solver.error("type", f"unknown solver type {str(kind)!r}", remedy)
    regularization = str(message.get("regularization_type", "L2"))
    if regularization not in REGULARIZATIONS:
        problem, level = f"unknown regularization_type {regularization!r}", ERROR
        if not solver.number("weight_decay"):
            problem, level = f"{problem}, which has no effect as long as weight_decay is 0", WARNING
        yield solver.error("regularization_type", problem, f"It is one of: {listed(REGULARIZATIONS)}", level=level)
    if "type" in message and "solver_type" in message:
        yield solver.error(
            "solver_type", "type and solver_type are both given", "leave out solver_type, the older field"
        )
    if str(message.get("solver_mode")) in ("GPU", "1") and not gpu:
        remedy = "set `solver_mode: CPU` here, or train where Caffe is built for GPUs"
        yield solver.error(
            "solver_mode", "this Caffe is built without GPU support: `caffe train` stops", remedy, level=NOTE
        )
    if not solver.number("max_iter"):
        problem = "max_iter is 0 or not given: only `solver.step(n)` in pycaffe trains the net"
        yield solver.error("max_iter", problem, "add `max_iter: N`", level=WARNING)
    if solver.number("iter_size", 1) < 1:
        yield solver.error("iter_size", f"iter_size is {message.get('iter_size')}", "it must be at least 1")


def _check_nets(solver: _Solver) -> Iterator[Finding]:
    given = [field.name for field in solver.message.fields if field.name in _TRAIN_NETS]
    if not given:
        yield solver.error("net", "it names no net to train", 'add `net: "train_val.prototxt"`')
    if len(given) > 1:
        remedy = "keep one: `net` is trained and tested, train_net is only trained"
        yield solver.error(given[1], f"two nets to train, {' and '.join(given)}", remedy)
    for name in ("net", "train_net", "test_net"):
        for number, path in enumerate(solver.message.all(name)):
            if not os.path.isfile(str(path)):
                remedy = _where(str(path), solver.file)
                yield solver.error(name, f"{name} {str(path)!r}: there is no such file", remedy, number)


def _check_weights(solver: _Solver) -> Iterator[Finding]:
    for number, names in enumerate(solver.message.all("weights")):
        for path in (name.strip() for name in str(names).split(",")):
            if not os.path.isfile(path):
                remedy = f"relative paths start at the working directory, {os.getcwd()}"
                yield solver.error("weights", f"weights {path!r}: there is no such file", remedy, number)


def _where(path: str, solver: str) -> str:
    """Where a net may be instead."""
    beside = os.path.join(os.path.dirname(solver), os.path.basename(path))
    found = f"; {beside} exists" if os.path.isfile(beside) else ""
    return f"paths in a solver are relative to the working directory, {os.getcwd()}{found}"


def _check_tests(solver: _Solver) -> Iterator[Finding]:
    message, iterations = solver.message, solver.message.all("test_iter")
    own = len(message.all("test_net")) + len(message.all("test_net_param"))
    shared = "net" in message or "net_param" in message
    if len(iterations) < own or (len(iterations) > own and not shared):
        problem = f"test_iter is given {times(len(iterations))}, but the number of test nets is {own}"
        yield solver.error("test_iter", problem, "give it once for each test net")
    tests, states = max(own, len(iterations)), len(message.all("test_state"))
    if states not in (0, tests):
        problem = f"test_state is given {times(states)}, but the number of test nets is {tests}"
        yield solver.error("test_state", problem, "give it once for each, or not at all")
    interval = solver.number("test_interval")
    if tests and interval <= 0:
        yield solver.error("test_iter", "test_iter without test_interval: Caffe aborts", "add `test_interval: N`")
    if not tests and interval > 0:
        problem = "test_interval without test_iter: there are no tests"
        yield solver.error("test_interval", problem, "add `test_iter: N`", level=WARNING)
    for number, count in enumerate(iterations):
        if isinstance(count, int) and count < 1:
            problem, remedy = f"test_iter is {count}: this test reads nothing", "leave test_iter out, or set at least 1"
            yield solver.error("test_iter", problem, remedy, number, WARNING)


def _check_learning_rate(solver: _Solver) -> Iterator[Finding]:
    message = solver.message
    if not solver.number("base_lr"):
        yield solver.error("base_lr", "base_lr is 0 or not given: nothing is learned", "add `base_lr: 0.01`, say")
    policy = message.get("lr_policy")
    if policy is None:
        remedy = f'add `lr_policy: "fixed"`; policies: {listed(POLICIES)}'
        yield solver.error("lr_policy", "it has no lr_policy: Caffe aborts", remedy)
        return
    needs = POLICIES.get(str(policy))
    if needs is None:
        remedy = f"{did_you_mean(str(policy), POLICIES)} Policies: {listed(POLICIES)}".lstrip()
        yield solver.error("lr_policy", f"unknown lr_policy {str(policy)!r}", remedy)
        return
    for name, then in needs.items():
        if name not in message:
            problem = f"lr_policy {str(policy)!r} needs {name}, which is not given: {then}"
            level = ERROR if then in (_STOPS, _ENDS) else WARNING
            yield solver.error("lr_policy", problem, f"add `{name}: ...`", level=level)
    steps = [step for step in message.all("stepvalue") if isinstance(step, (int, float))]
    if steps != sorted(steps):
        problem = f"stepvalues {steps} do not rise"
        remedy = "put them in order: Caffe takes one after the other"
        yield solver.error("stepvalue", problem, remedy, level=WARNING)


def _check_snapshots(solver: _Solver) -> Iterator[Finding]:
    if not solver.number("snapshot") and not solver.message.flag("snapshot_after_train", True):
        return
    prefix = solver.message.get("snapshot_prefix")
    if prefix is None:
        if solver.number("snapshot"):
            problem = f"no snapshot_prefix: snapshots are named {os.path.splitext(solver.file)[0]}_iter_N"
            yield solver.error("snapshot", problem, 'add `snapshot_prefix: "..."` for another place', level=NOTE)
        return
    folder = os.path.dirname(str(prefix)) or "."
    if not os.path.isdir(folder):
        problem = f"snapshot_prefix {str(prefix)!r}: there is no folder {folder!r}"
        yield solver.error("snapshot_prefix", problem, f"`mkdir -p {folder}`: Caffe aborts if it cannot write")
