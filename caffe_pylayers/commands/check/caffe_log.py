"""What Caffe's log says of a net that could not be set up: the layer at which it stopped, and why."""

import re
import signal
from typing import Dict, Iterator, List, Optional, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding, of_layer
from caffe_pylayers.commands.check.python_layers import ours
from caffe_pylayers.commands.check.report import Shape
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.errors import PartedError
from caffe_pylayers.processes.probe import NEEDS_A_GPU, Answer

_SPLIT = re.compile(r"_\d+_split$")
#: `Check failed: a == b (1 vs. 2) words`; without values it cannot be told where the condition ends.
_COMPARED = re.compile(r"^Check failed: (?P<condition>.*?) \((?P<values>[^()]* vs\. [^()]*)\) ?(?P<words>.*)$")


def judge(view: View, answer: Answer, raised: Optional[PartedError]) -> Finding:
    """Why a net could not be set up, said of the layer at which it was. raised: the error of this package that ended it."""
    layer, shapes = _last_layer(view, answer)
    if answer.status is None:
        return _found(view, layer, WARNING, "not set up in time", "use --no-build, or find out what it waits for")
    if answer.needs_a_gpu:
        remedy = "use --no-build, a machine with a GPU, or a Caffe without GPU support"
        return _found(view, layer, WARNING, f"not set up: {NEEDS_A_GPU}, and here is none", remedy)
    message, remedy = _reason(answer, layer, raised)
    bottoms = ", ".join(f"{name!r} {size(shapes[name])}" for name in (layer.bottoms if layer else []) if name in shapes)
    if not remedy:
        remedy = f"its bottoms: {bottoms}" if bottoms else "see the layer's parameters"
    return _found(view, layer, ERROR, message, remedy)


def _found(view: View, layer: Optional[Layer], level: str, message: str, remedy: str) -> Finding:
    if layer is None:
        return Finding(view.net.path, view.net.message.line, "", level, message, remedy)
    return of_layer(layer, level, message, remedy)


def _last_layer(view: View, answer: Answer) -> Tuple[Optional[Layer], Dict[str, Shape]]:
    """The layer that Caffe was at when it ended, and the shapes of the blobs before it."""
    created: List[str] = []
    finished: List[str] = []
    shapes: Dict[str, Shape] = {}
    pending: Iterator[str] = iter(())
    by_name = {layer.name: layer for layer in view.layers}
    for _, _, text in answer.log:
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
    named = re.search(
        r"Too many params specified for layer (\S+)|Cannot share param .* with layer '(.*?)';", answer.err
    )
    if named:
        return by_name.get(named[1] or named[2]), shapes
    if len(created) > len(finished) or "Network initialization done" in answer.err:
        return (by_name.get(real[-1]) if real else None), shapes
    # It ended between two layers: the next could not be made at all.
    names = [layer.name for layer in view.layers]
    behind = names.index(real[-1]) + 1 if real and real[-1] in names else 0
    return (view.layers[behind] if behind < len(view.layers) else None), shapes


def _reason(answer: Answer, layer: Optional[Layer], raised: Optional[PartedError]) -> Tuple[str, str]:
    """What Caffe, or a Python layer, says of it, and a remedy where that says one."""
    if answer.fatal:
        return f"Caffe stops: {_in_words(answer.fatal.text.strip())}", ""
    if answer.status is not None and answer.status < 0:
        return (
            f"it ends Caffe silently, by {signal.Signals(-answer.status).name}",
            "look at its code, or use --no-build",
        )
    if raised is not None and layer is not None and ours(layer):
        return " ".join(raised.found.split()), raised.remedy
    if not answer.raised:
        return f"it cannot be set up: {answer.failure}", ""
    kind, _, text = answer.raised.partition(": ")
    kind = kind.rpartition(".")[2]
    places = re.findall(r'File "([^"]+)", line (\d+)', answer.err)
    place = f" ({places[-1][0]}:{places[-1][1]})" if places else ""
    return f"its Python code fails: {kind}: {text}{place}", "fix it there"


def _in_words(text: str) -> str:
    """Caffe's own words where it has some, or else the condition and its values."""
    check = _COMPARED.match(text)
    if check is None:
        return re.sub("^Check failed: (false )?", lambda found: "" if found[1] else "this must hold: ", text)
    return check["words"].strip() or f"this must hold: {check['condition']} ({check['values']})"
