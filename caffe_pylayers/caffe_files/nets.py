"""Nets and solvers as Caffe reads them: layers by phase and stage, nets of older Caffes upgraded in memory."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Dict, List, Optional, Sequence, Tuple

from caffe_pylayers import ALIASES, LAYERS
from caffe_pylayers.caffe_files import prototxt
from caffe_pylayers.caffe_files.legacy_nets import upgrade
from caffe_pylayers.caffe_files.prototxt import Field, Message, PrototxtError
from caffe_pylayers.caffe_files.states import TEST, TRAIN, NetState, meets, phase_of
from caffe_pylayers.errors import ConfigError, did_you_mean, unknown


def is_param(field: str) -> bool:
    """Whether a field of a layer has the parameters of its type, if it is no Python layer."""
    return field.endswith("_param") and field != "python_param"


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a net, and where it stands: `file:line`."""

    message: Message
    file: str

    @cached_property
    def name(self) -> str:
        return str(self.message.get("name", ""))

    @cached_property
    def type(self) -> str:
        return str(self.message.get("type", ""))

    @cached_property
    def bottoms(self) -> List[str]:
        return [str(name) for name in self.message.all("bottom")]

    @cached_property
    def tops(self) -> List[str]:
        return [str(name) for name in self.message.all("top")]

    @property
    def line(self) -> int:
        return self.message.line

    @cached_property
    def python(self) -> Tuple[str, str, str]:
        """(module, layer, param_str) of a Python layer."""
        python = self.message.message("python_param")
        return (str(python.get("module", "")), str(python.get("layer", "")), str(python.get("param_str", "")))

    @cached_property
    def params(self) -> Dict[str, Message]:
        """The parameters of its type, of Caffe or of a fork, which no Python layer reads."""
        fields = ((each.name, each.value) for each in self.message.fields if is_param(each.name))
        return {name: value for name, value in fields if isinstance(value, Message)}

    @property
    def described(self) -> str:
        """The layer as messages name one of Caffe's."""
        return f"{self.file}:{self.line} {self.type} layer {self.name!r}"

    @cached_property
    def own(self) -> str:
        """The layer of this package that it is meant to be, by its main name; "" where it is another's, or no Python layer.

        It may be none that there is. A module within the package counts too, where it is the one that has the layer.
        """
        module, kind, _ = self.python
        if self.type != "Python":
            return ""
        if module == "caffe_pylayers":
            return ALIASES.get(kind, kind)
        return kind if kind in LAYERS and module == f"caffe_pylayers.layers.{LAYERS[kind][0]}" else ""

    def in_state(self, state: NetState) -> bool:
        """Whether a net of that state has this layer."""
        include, exclude = self.message.messages("include"), self.message.messages("exclude")
        if include:
            return any(meets(rule, state) for rule in include)
        return not any(meets(rule, state) for rule in exclude)


@dataclass(frozen=True, eq=False)
class Net:
    """A net: all its layers, upgraded where the file is of an older Caffe.

    upgrades: what had to be, in words; empty for a net of today's form.
    """

    path: str
    message: Message
    layers: List[Layer]
    upgrades: List[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.message.get("name", ""))

    def in_state(self, state: NetState) -> List[Layer]:
        """The layers that a net of that state has, in order."""
        return [layer for layer in self.layers if layer.in_state(state)]

    @cached_property
    def makers(self) -> Dict[str, Layer]:
        """The first layer, in any state, with a top of each name."""
        return {top: layer for layer in reversed(self.layers) for top in reversed(layer.tops)}

    def layer(self, name: str, phase: str = TRAIN) -> Layer:
        """The layer of that name in a phase. Raises ConfigError, with the names that there are."""
        found = [layer for layer in self.layers if layer.name == name]
        if not found:
            names = ", ".join(dict.fromkeys(layer.name for layer in self.layers))
            raise ConfigError(f"no layer {name!r}", remedy=f"its layers: {names}", source=self.path)
        return next((layer for layer in found if layer.in_state(NetState(phase))), found[0])


#: Layers without bottoms that read no data: a program or a filler fills their tops.
_NOT_DATA = ("Input", "Parameter", "MemoryData", "DummyData")


def data_layers(net: Net, state: NetState, name: Optional[str] = None) -> List[Layer]:
    """The layers of a net in that state that read data, or the one of that name.

    Raises ConfigError where there is none, with the layers that there are.
    """
    layers = net.in_state(state)
    found = [layer for layer in layers if not layer.bottoms and layer.type not in _NOT_DATA]
    if name is not None:
        found = [layer for layer in found if layer.name == name]
    if not found:
        names = ", ".join(f"{layer.name} ({layer.type})" for layer in layers)
        raise ConfigError(
            f"it has no data layer{'' if name is None else f' {name!r}'} in {state}",
            remedy=f"its layers: {names or 'none'}",
            source=net.path,
        )
    return found


@dataclass(frozen=True, eq=False)
class Solver:
    """A solver, and the nets that it names: (net, state) of training first, then those of its tests.

    Paths in a solver are relative to the working directory, as in Caffe.
    """

    path: str
    message: Message
    train: Tuple[Net, NetState]
    tests: List[Tuple[Net, NetState]]

    @property
    def nets(self) -> List[Net]:
        """Each of its nets once."""
        return list({net.path: net for net, _ in [self.train, *self.tests]}.values())


def read_net(path: str) -> Net:
    """The net of a file. Raises ConfigError where it cannot be read or is a solver."""
    message = prototxt.read(path)
    if is_solver(message):
        raise PrototxtError(path, 1, "this is a solver, but a net is expected", remedy="give the net that it names")
    return net_of(message, path)


#: Fields of NetParameter.
OF_NETS = ("name", "layer", "layers", "input", "input_shape", "input_dim", "force_backward", "state", "debug_info")


def require_net(message: Message, path: str) -> None:
    """Raise PrototxtError where the fields of a file are those of something else: a log, a list, a YAML."""
    if message.fields and not any(field.name in OF_NETS for field in message.fields):
        first = message.fields[0]
        found = f"it is neither a net nor a solver, which have no field {first.name!r}"
        raise PrototxtError(path, first.line, found, 'a net has `layer { ... }`, a solver `net: "train_val.prototxt"`')


def net_of(message: Message, path: str) -> Net:
    """The net that a message is. path: of its file, for messages."""
    require_net(message, path)
    message, upgrades = upgrade(message, path)
    layers = [Layer(layer, path) for layer in message.messages("layer")]
    return Net(path, message, layers, upgrades)


def is_solver(message: Message) -> bool:
    """Whether a message is a solver's, and not a net's."""
    return any(
        name in message for name in (*_NETS, "base_lr", "lr_policy", "max_iter", "solver_mode", "snapshot_prefix")
    )


_NETS = ("net", "net_param", "train_net", "train_net_param", "test_net", "test_net_param")


def read_solver(path: str) -> Solver:
    """The solver of a file, with its nets. Raises ConfigError where one of them cannot be read."""
    return solver_of(prototxt.read(path), path)


def solver_of(message: Message, path: str) -> Solver:
    """The solver that a message is. path: of its file, for messages.

    As in Solver::InitTestNets, tests are of test_net_param, then of test_net, then of the net that is trained.
    """
    read: Dict[str, Net] = {}
    shared = _nets(message, path, "net_param", read) + _nets(message, path, "net", read)
    own = _nets(message, path, "train_net_param", read) + _nets(message, path, "train_net", read)
    if not shared + own and ("layer" in message or "layers" in message):
        raise PrototxtError(path, 1, "this is a net, but a solver is expected", remedy="give the solver that names it")
    if len(shared + own) != 1:
        raise PrototxtError(
            path,
            message.line,
            f"{len(shared + own)} nets to train, but a solver must name one",
            remedy='name one, as `net: "train_val.prototxt"` or `train_net`',
        )
    train = (shared + own)[0]
    tests = _nets(message, path, "test_net_param", read) + _nets(message, path, "test_net", read)
    tests += shared * max(0, len(message.all("test_iter")) - len(tests))
    states = message.all("test_state")
    return Solver(
        path,
        message,
        (train, _state(TRAIN, train, message.get("train_state"))),
        [
            (test, _state(TEST, test, states[number] if number < len(states) else None))
            for number, test in enumerate(tests)
        ],
    )


def _nets(message: Message, path: str, name: str, read: Dict[str, Net]) -> List[Net]:
    """The nets of the fields of one name; a file is read once."""
    nets = []
    for entry in message.fields:
        if entry.name != name:
            continue
        if isinstance(entry.value, Message):
            nets.append(net_of(entry.value, path))
            continue
        place = net_file(entry, path)
        if place not in read:
            read[place] = read_net(place)
        nets.append(read[place])
    return nets


def net_file(entry: Field, path: str) -> str:
    """The file that a field of a solver names. path: of the solver. Raises PrototxtError if it is not there."""
    place = str(entry.value)
    if not os.path.exists(place):
        raise PrototxtError(
            path,
            entry.line,
            f"{entry.name} {place!r}: there is no such file",
            remedy=f"paths in a solver are relative to the working directory, {os.getcwd()}",
        )
    return place


def _state(phase: str, net: Net, of_solver: Any) -> NetState:
    """The solver's default, then what the net itself says, then what the solver says; stages add up."""
    stages: List[str] = []
    level = 0
    for message in (net.message.get("state"), of_solver):
        if isinstance(message, Message):
            phase = phase_of(message.get("phase", phase))
            stages += [str(stage) for stage in message.all("stage")]
            level = message.whole("level", level)
    return NetState(phase, tuple(stages), level)


def stages_named(net: Net) -> List[str]:
    """The stages that the rules of its layers name, each once."""
    rules = [rule for layer in net.layers for name in ("include", "exclude") for rule in layer.message.messages(name)]
    return list(
        dict.fromkeys(str(stage) for rule in rules for name in ("stage", "not_stage") for stage in rule.all(name))
    )


def require_stages(net: Net, stages: Sequence[str]) -> None:
    """Raise ConfigError for a stage that no layer's rule names: it would change nothing."""
    named = stages_named(net)
    for stage in stages:
        if stage not in named:
            known = f"Its layers have rules for {', '.join(map(repr, named))}" if named else "Leave out --stage"
            problem, remedy = unknown(f"no layer has a rule for stage {stage!r}", did_you_mean(stage, named), known)
            raise ConfigError(problem, remedy=remedy, source=net.path)


def states_of(net: Net, stages: Sequence[str] = ()) -> List[NetState]:
    """The states that a net is for: TRAIN and TEST, or only TEST where it has an Input, as deploy nets have.

    stages: beside those that the net itself is in.
    """
    own = [str(stage) for stage in net.message.message("state").all("stage")]
    both = [NetState(phase, (*own, *stages)) for phase in (TRAIN, TEST)]
    deploy = any(layer.type == "Input" for layer in net.in_state(both[1]))
    return both[1:] if deploy else both
