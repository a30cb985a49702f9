"""The learning rate of an iteration, as SGDSolver::GetLearningRate has it.

pycaffe's `solver.lr` is no mere look: under `multistep` each call may go one step further, and the run with it.
"""

import math
from typing import Any, Callable, Dict

from caffe_pylayers.errors import ConfigError


def learning_rate(solver: Any, iteration: int) -> float:
    """The rate by which an iteration, counted from 0, updates. solver: a caffe.proto SolverParameter.

    Raises ConfigError for an unknown lr_policy.
    """
    if solver.lr_policy not in _POLICIES:
        raise ConfigError(f"lr_policy {solver.lr_policy!r}: Caffe has {', '.join(_POLICIES)}")
    try:
        return float(solver.base_lr * _POLICIES[solver.lr_policy](solver, iteration))
    except OverflowError:  # gamma above 1; Caffe's floats become infinite
        return math.inf


def _step(solver: Any, iteration: int) -> float:
    if solver.stepsize <= 0:
        raise ConfigError(f"lr_policy 'step' needs a stepsize above 0, not {solver.stepsize}")
    return float(solver.gamma ** (iteration // solver.stepsize))


def _sigmoid(solver: Any, iteration: int) -> float:
    exponent = min(-solver.gamma * (iteration - solver.stepsize), 700.0)  # e ** 710 overflows
    return 1 / (1 + math.exp(exponent))


_POLICIES: Dict[str, Callable[[Any, int], float]] = {
    "fixed": lambda solver, iteration: 1.0,
    "step": _step,
    "exp": lambda solver, iteration: solver.gamma**iteration,
    "inv": lambda solver, iteration: (1 + solver.gamma * iteration) ** -solver.power,
    "multistep": lambda solver, iteration: solver.gamma ** sum(iteration >= step for step in solver.stepvalue),
    "poly": lambda solver, iteration: max(0.0, 1 - iteration / solver.max_iter) ** solver.power,
    "sigmoid": _sigmoid,
}
