"""Nets set up by the Caffe that is there, in a process of its own: Caffe ends the one in which something is wrong.

Run as a program it sets up the nets that a JSON file lists, and writes what they are like into another, a line a net.
"""

import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from caffe_pylayers.checks.findings import ERROR, WARNING, Finding, of_layer, parted
from caffe_pylayers.checks.python_layers import ours
from caffe_pylayers.checks.views import View
from caffe_pylayers.interpreter import environment
from caffe_pylayers.nets import Layer
from caffe_pylayers.probe import Answer, ask
from caffe_pylayers.prototxt import text_of

Shape = Tuple[int, ...]


@dataclass
class Built:
    """A net that Caffe has set up: the shapes of its blobs, and of the parameter blobs of each layer, by name."""

    blobs: Dict[str, Shape] = field(default_factory=dict)
    params: Dict[str, List[Shape]] = field(default_factory=dict)


def build(views: Sequence[View], timeout: float = 120.0) -> Tuple[Dict[View, Built], List[Tuple[View, Finding]]]:
    """Set up nets, each in its state; what those that could be are like, and why the others could not.

    timeout: seconds that one process, for a net or several, may take.
    """
    built: Dict[View, Built] = {}
    wrong: List[Tuple[View, Finding]] = []
    left = list(views)
    while left:  # a net that cannot be set up ends its process; those behind it get another
        answer, done = _set_up(left, timeout)
        built.update(zip(left, done))
        left = left[len(done) :]
        if left:
            view = left.pop(0)
            wrong.append((view, _judged(view, answer)))
    return built, wrong


def _set_up(views: Sequence[View], timeout: float) -> Tuple[Answer, List[Built]]:
    """One process for these nets: how it ended, and the nets that it set up, the first ones of them."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = []
        for number, view in enumerate(views):
            file = os.path.join(folder, f"net_{number}.prototxt")
            with open(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text_of(view.net.message))
            wanted.append([file, view.state.phase, list(view.state.stages), view.state.level])
        order, results = os.path.join(folder, "order.json"), os.path.join(folder, "results")
        with open(order, "w") as stream:
            json.dump(wanted, stream)
        variables = {**environment(), "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"}
        code = "from caffe_pylayers.checks.building import main; main()"
        answer = ask([sys.executable, "-c", code, order, results], timeout, variables)
        done = []
        if os.path.exists(results):
            with open(results) as stream:
                done = [_built(json.loads(line)) for line in stream if line.endswith("\n")]
    return answer, done


def _built(about: Dict[str, Any]) -> Built:
    blobs = {name: tuple(shape) for name, shape in about["blobs"].items()}
    params = {name: [tuple(shape) for shape in shapes] for name, shapes in about["params"].items()}
    return Built(blobs, params)


def main() -> None:
    """Set up the nets of the file that is the first argument; write what they are like into the second."""
    from caffe_pylayers.stock import import_caffe

    caffe = import_caffe()
    with open(sys.argv[1]) as stream:
        wanted = json.load(stream)
    for number, (file, phase, stages, level) in enumerate(wanted):
        print(f"\n{_BEGIN}{number}", file=sys.stderr, flush=True)
        net = caffe.Net(file, getattr(caffe, phase), stages=stages, level=level)
        params: Dict[str, List[List[int]]] = {}
        for name, layer in zip(net._layer_names, net.layers):
            params.setdefault(name, [list(layer.blobs[i].shape) for i in range(len(layer.blobs))])
        blobs = {name: list(blob.shape) for name, blob in net.blobs.items()}
        with open(sys.argv[2], "a") as stream:
            stream.write(json.dumps({"blobs": blobs, "params": params}) + "\n")
        del net, layer


# ------------------------------------------------------------------------------------------ what Caffe's log says

_BEGIN = "caffe-pylayers check begins net "
_SPLIT = re.compile(r"_\d+_split$")
_CHECK = re.compile(r"^Check failed: (?P<condition>.*?)(?: \((?P<values>.* vs\. .*?)\))?(?:  ?(?P<words>\S.*))?$")


def _judged(view: View, answer: Answer) -> Finding:
    """Why a net could not be set up, said of the layer at which it was."""
    log = answer.err.rpartition(_BEGIN)[2]
    layer, shapes = _last_layer(view, log)
    if answer.status is None:
        return _found(view, layer, WARNING, "not set up in time", "use --no-build, or see what it waits for")
    message, remedy = _reason(log, answer, layer)
    bottoms = ", ".join(
        f"{name!r} {_size(shapes[name])}" for name in (layer.bottoms if layer else []) if name in shapes
    )
    if not remedy:
        remedy = f"its bottoms: {bottoms}" if bottoms else "see the layer's parameters"
    return _found(view, layer, ERROR, message, remedy)


def _found(view: View, layer: Optional[Layer], level: str, message: str, remedy: str) -> Finding:
    message = f"{message} (in {view.state})"
    if layer is None:
        return Finding(view.net.path, view.net.message.line, "", level, message, remedy)
    return of_layer(layer, level, message, remedy)


def _last_layer(view: View, log: str) -> Tuple[Optional[Layer], Dict[str, Shape]]:
    """The layer that Caffe was at when it ended, and the shapes of the blobs before it."""
    created: List[str] = []
    finished: List[str] = []
    shapes: Dict[str, Shape] = {}
    pending: Iterator[str] = iter(())
    by_name = {layer.name: layer for layer in view.layers}
    for line in log.splitlines():
        text = line.partition("] ")[2]
        if text.startswith("Creating Layer "):
            created.append(text[len("Creating Layer ") :])
        elif text.startswith("Setting up "):
            finished.append(text[len("Setting up ") :])
            layer = by_name.get(finished[-1])
            pending = iter(layer.tops if layer else ())
        elif text.startswith("Top shape: "):
            top = next(pending, None)
            if top is not None:
                shapes[top] = tuple(int(each) for each in re.findall(r"\d+", text.partition("(")[0]))
    real = [name for name in created if not _SPLIT.search(name)]
    named = re.search(r"Too many params specified for layer (\S+)", log)
    if named:
        return by_name.get(named[1]), shapes
    if len(created) > len(finished) or "Network initialization done" in log:
        return (by_name.get(real[-1]) if real else None), shapes
    # It ended between two layers: the next could not be made at all.
    names = [layer.name for layer in view.layers]
    behind = names.index(real[-1]) + 1 if real and real[-1] in names else 0
    return (view.layers[behind] if behind < len(view.layers) else None), shapes


def _reason(log: str, answer: Answer, layer: Optional[Layer]) -> Tuple[str, str]:
    """What Caffe, or a Python layer, says of it, and a remedy where that says one."""
    fatal = re.search(r"^F\d+ .*?\] (.*)$", log, re.MULTILINE)
    if fatal:
        return f"Caffe stops: {_in_words(fatal[1].strip())}", ""
    lines = [line for line in log.splitlines() if line.strip()]
    if answer.status is not None and answer.status < 0:
        return (
            f"Caffe ends without a word ({answer.failure})",
            "does the layer's class define setup, reshape, forward and backward?",
        )
    told = "\n".join(lines[_last_traceback(lines) :])
    error = re.search(r"^(?:[\w.]+\.)?(\w+): (.*)", told, re.DOTALL | re.MULTILINE)
    if error is None:
        return f"it cannot be set up: {answer.failure}", ""
    kind, text = error[1], " ".join(error[2].split())
    own = ours(layer) if layer else ""
    if own and kind in ("ConfigError", "DataError"):
        text = text[len(own) + 2 :] if text.startswith(f"{own}: ") else text
        return parted(text, "")
    places = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(lines))
    place = f" ({places[-1][0]}:{places[-1][1]})" if places else ""
    return f"its Python code fails: {kind}: {text}{place}", "mend it there"


def _last_traceback(lines: Sequence[str]) -> int:
    """The number of the line where the last error begins: the first one not indented behind its traceback."""
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    begin = starts[-1] + 1 if starts else 0
    return next((number for number in range(begin, len(lines)) if not lines[number].startswith(" ")), len(lines) - 1)


def _in_words(text: str) -> str:
    """Caffe's own words where it has some, or else the condition and its values."""
    check = _CHECK.match(text)
    if check is None:
        return text
    values = f" ({check['values']})" if check["values"] else ""
    if check["words"]:
        return check["words"].strip()
    return f"it must be that {check['condition']}{values}"


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a number"
