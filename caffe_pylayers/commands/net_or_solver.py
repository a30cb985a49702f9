"""The net that a command looks at: of a file that has it, or of a solver that names it."""

from typing import Sequence, Tuple

from caffe_pylayers.caffe_files import nets, prototxt
from caffe_pylayers.caffe_files.nets import TRAIN, Net, NetState
from caffe_pylayers.errors import ConfigError


def net_in(path: str, phase: str = TRAIN, stages: Sequence[str] = ()) -> Tuple[Net, NetState]:
    """The net of a file and its state in a phase.

    Of a solver it is the net that it trains, or the first that it tests, in the state that the solver gives it. A solver
    that tests nothing has the net that it trains in TEST too. Raises ConfigError where a file cannot be read, for
    stages beside a solver, and for a stage that no layer asks for.
    """
    message = prototxt.read(path)
    if not nets.is_solver(message):
        net = nets.net_of(message, path)
        nets.require_stages(net, stages)
        own = net.message.message("state").all("stage")
        return net, NetState(phase, (*map(str, own), *stages))
    if stages:
        raise ConfigError(
            f"it is a solver, but stage {stages[0]!r} is given",
            remedy="leave out --stage: a solver has the stages of its nets in train_state and test_state",
            source=path,
        )
    solver = nets.solver_of(message, path)
    net, state = solver.train
    if phase == TRAIN:
        return net, state
    return solver.tests[0] if solver.tests else (net, NetState(phase, state.stages, state.level))
