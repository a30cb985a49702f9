"""Nets set up by the Caffe that is there, each in a process of its own: Caffe ends the one in which something is wrong.

Run as a program it sets up the nets that a folder holds, and writes beside each what it is like, and Caffe's log.
"""

import functools
import json
import os
import signal
import sys
import tempfile
from typing import Any, Dict, List, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files.prototxt import text_of
from caffe_pylayers.commands.check.caffe_log import judge
from caffe_pylayers.commands.check.findings import Finding
from caffe_pylayers.commands.check.report import Built
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.errors import PartedError
from caffe_pylayers.files.output_file import output_file
from caffe_pylayers.processes.boot import fork, status_of
from caffe_pylayers.processes.probe import Answer, ask_caffe

_TIMEOUT = 120  # seconds for a net


def build(views: Sequence[View]) -> Tuple[Dict[View, Built], Dict[View, Finding]]:
    """Set up nets, each in its state; what those that could be are like, and why the others could not."""
    built: Dict[View, Built] = {}
    wrong: Dict[View, Finding] = {}
    if not views:
        return built, wrong
    with tempfile.TemporaryDirectory() as folder:
        wanted = []
        for number, view in enumerate(views):
            with open(f"{folder}/{number}.prototxt", "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text_of(view.net.message))
            wanted.append([view.state.phase, view.state.level, list(view.state.stages)])
        # With the working directory, from where `caffe` takes modules too.
        code = "sys.path.insert(0, '')\nfrom caffe_pylayers.commands.check.building import main\nmain()"
        patience = 60 + _TIMEOUT * len(views)
        answer = ask_caffe(code, folder, json.dumps(wanted), timeout=patience, quiet=False)
        for number, view in enumerate(views):
            if os.path.exists(f"{folder}/{number}.built"):
                with open(f"{folder}/{number}.built") as stream:
                    built[view] = _built(json.load(stream))
            else:
                wrong[view] = judge(view, _ending(f"{folder}/{number}", answer), _raised(f"{folder}/{number}"))
    return built, wrong


def _built(about: Dict[str, Any]) -> Built:
    blobs = {name: tuple(shape) for name, shape in about["blobs"].items()}
    params = {name: [tuple(shape) for shape in shapes] for name, shapes in about["params"].items()}
    return Built(blobs, params)


def _ending(place: str, answer: Answer) -> Answer:
    """How the process of one net ended. answer: that of the process that started them all."""
    if not os.path.exists(f"{place}.status"):
        return answer
    with open(f"{place}.status") as stream:
        status = int(stream.read())
    with open(f"{place}.log", errors="replace") as stream:
        return Answer(None if status == -signal.SIGALRM else status, "", stream.read())


def _raised(place: str) -> Optional[PartedError]:
    """The error of this package that ended the process of one net; None where another thing did."""
    if not os.path.exists(f"{place}.error"):
        return None
    with open(f"{place}.error") as stream:
        return PartedError(**json.load(stream))


def main() -> None:
    """Set up the nets of the folder that is the first argument, in the states that the second lists."""
    from caffe_pylayers.processes.stock import import_caffe

    folder, wanted = sys.argv[1], json.loads(sys.argv[2])
    caffe = import_caffe()
    for number, state in enumerate(wanted):
        status = status_of(fork(functools.partial(_set_up, caffe, f"{folder}/{number}", *state)))
        with open(f"{folder}/{number}.status", "w") as stream:
            stream.write(str(status))


def _set_up(caffe: Any, place: str, phase: str, level: int, stages: List[str]) -> None:
    """Set up the net of `place`.prototxt, and write what it is like."""
    signal.alarm(_TIMEOUT)
    log = os.open(f"{place}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        net = caffe.Net(f"{place}.prototxt", getattr(caffe, phase), stages=stages, level=level)
        params: Dict[str, List[List[int]]] = {}
        for name, layer in zip(net._layer_names, net.layers):
            params.setdefault(name, [list(layer.blobs[i].shape) for i in range(len(layer.blobs))])
        about = {"blobs": {name: list(blob.shape) for name, blob in net.blobs.items()}, "params": params}
        with output_file(f"{place}.built") as partial, open(partial, "w") as stream:
            json.dump(about, stream)
    except BaseException as error:
        if isinstance(error, PartedError):
            with open(f"{place}.error", "w") as stream:
                json.dump(error.parts, stream)
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        raise
