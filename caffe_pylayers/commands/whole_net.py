"""A whole net in this process, which another process has tried: where Caffe aborts, this process goes on."""

import tempfile
import time
from typing import Any, List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Net, NetState
from caffe_pylayers.caffe_files.prototxt import text_of
from caffe_pylayers.commands.layer_files import refuse_special_files
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes import stock
from caffe_pylayers.processes.gpu import use_gpu
from caffe_pylayers.processes.probe import ask_caffe

_OURS = 77  # the exit status where an error of this package ends it
_TRY = f"""
import caffe
from caffe_pylayers.errors import PartedError
from caffe_pylayers.processes.gpu import use_gpu
path, phase, level, gpu, backward, *stages = sys.argv[1:]
try:
    if gpu:
        use_gpu(int(gpu))
    net = caffe.Net(path, int(phase), stages=stages, level=int(level))
    net.forward()
    if backward:
        net.backward()
except PartedError:
    sys.exit({_OURS})
"""


def whole_net(net: Net, state: NetState, gpu: Optional[int], backward: bool) -> Tuple[Any, float]:
    """The `caffe.Net` in a state, and the seconds that making it took. gpu: None for the CPU. backward: whether that will be asked of it.

    Raises ConfigError or DataError as its layers do, and where Caffe itself would end the process.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text_of(net.message))
        file.flush()
        caffe = stock.import_caffe()
        refuse_special_files(net.layers)
        phase = getattr(caffe, state.phase)
        device = "" if gpu is None else str(gpu)
        _try(net.path, [file.name, str(phase), str(state.level), device, "yes" * backward, *state.stages])
        if gpu is not None:
            use_gpu(gpu)
        begun = time.perf_counter()
        return caffe.Net(file.name, phase, stages=list(state.stages), level=state.level), time.perf_counter() - begun


def _try(path: str, arguments: List[str]) -> None:
    """Raise where Caffe cannot run a net: another process tries it, for an abort would end this one."""
    answer = ask_caffe(_TRY, *arguments)
    if answer.status in (0, _OURS):  # an error of this package comes again, as such
        return
    remedy = f"see `caffe-pylayers check {path}`"
    raise ConfigError(f"Caffe gives up: {answer.why_caffe_gave_up}", remedy=remedy, source=path)
