"""The state of a net, and the rules of layers that ask for one."""

from dataclasses import dataclass
from typing import Any, Tuple

from caffe_pylayers.caffe_files.prototxt import Message

TRAIN, TEST = "TRAIN", "TEST"


@dataclass(frozen=True)
class NetState:
    """What `include` and `exclude` rules ask: phase, stages and level of a net (NetState of caffe.proto)."""

    phase: str = TRAIN
    stages: Tuple[str, ...] = ()
    level: int = 0

    def __str__(self) -> str:
        return " ".join([self.phase, *(f"stage {stage!r}" for stage in self.stages)])


def meets(rule: Message, state: NetState) -> bool:
    """Whether a state meets a rule, as Net::StateMeetsRule has it."""
    phase = rule.get("phase")
    if phase is not None and phase_of(phase) != state.phase:
        return False
    if not rule.whole("min_level", state.level) <= state.level <= rule.whole("max_level", state.level):
        return False
    stages = set(state.stages)
    return set(map(str, rule.all("stage"))) <= stages and not set(map(str, rule.all("not_stage"))) & stages


def phase_of(value: Any) -> str:
    """A phase by name; protobuf reads numbers too."""
    return {0: TRAIN, 1: TEST}.get(value, str(value))
