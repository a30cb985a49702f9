"""Python layers of other modules: the module can be imported, has the class, and that has the four methods.

Run as a program it imports them, in a process that they cannot harm; it writes a line of JSON for each.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any, Dict, Iterator, List, Sequence, TextIO, Tuple

from caffe_pylayers import ALIASES, LAYERS
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, listed, warning
from caffe_pylayers.commands.check.python_layers import is_module
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.commands.migrate.python_layers import own_class
from caffe_pylayers.errors import did_you_mean
from caffe_pylayers.processes.probe import ask_python

_METHODS = ("setup", "reshape", "forward", "backward")


_TIMEOUT = 60.0  # seconds that the import of all may take


def is_foreign(layer: Layer) -> bool:
    """Whether it is a Python layer of another package, whose module may be imported by its name."""
    module, kind, _ = layer.python
    return layer.type == "Python" and not layer.own and is_module(module) and bool(kind)


def check_layers(_: Sequence[View], report: Report) -> Iterator[Finding]:
    """What is wrong with the modules and classes that Python layers of other packages name."""
    foreign = [layer for layer in report.layers if is_foreign(layer)]
    wanted = list(dict.fromkeys(layer.python[:2] for layer in foreign))
    if not wanted or not report.runs_code:
        return
    code = "from caffe_pylayers.commands.check.foreign_layers import main; main(answers)"
    answer = ask_python(code, json.dumps(wanted), timeout=_TIMEOUT)
    found: Dict[Tuple[str, str], Dict[str, Any]] = dict(zip(wanted, map(json.loads, answer.out.splitlines())))
    for layer in foreign:
        module, kind = layer.python[:2]
        about = found.get((module, kind), {"error": f"its import did not finish: {answer.failure}"})
        if not about.get("no_caffe"):
            yield from _judged(layer, about)


def _judged(layer: Layer, about: Dict[str, Any]) -> Iterator[Finding]:
    module, kind, _ = layer.python
    at = "python_param.module"
    if "error" in about:
        remedy = (
            f"{own_class(layer)} of caffe_pylayers takes its place: `caffe-pylayers migrate {layer.file}` writes it"
            if own_class(layer)
            else f'{kind} is in `module: "caffe_pylayers"`'
            if kind in {*LAYERS, *ALIASES}
            else f"put its folder on PYTHONPATH; Python's path now: {', '.join(map(repr, about.get('path', []))) or 'empty'}"
        )
        yield error(
            layer,
            f"cannot import module {module!r}: {about['error']}",
            remedy if about.get("absent") else "fix it",
            at,
        )
        return
    if not about["has"]:
        guess = did_you_mean(kind, about["names"])
        remedy = guess or f"its classes: {listed(about['names'])}"
        yield error(layer, f"module {module!r} ({about['file']}) has no {kind!r}", remedy, "python_param.layer")
    elif about["is_layer"] is False:
        yield error(
            layer, f"{module}.{kind} is not a caffe.Layer", f"write `class {kind}(caffe.Layer):`", "python_param.layer"
        )
    elif about["missing"]:
        yield error(
            layer,
            f"{module}.{kind} has no {' and no '.join(about['missing'])}: Caffe calls all four methods",
            "define setup, reshape, forward and backward; `pass` is enough where there is nothing to do",
            "python_param.layer",
        )
    if about["by_cwd"]:
        yield warning(
            layer,
            f"module {module!r} is found in the working directory: a notebook has that on Python's path, but `caffe train` does not",
            "start it as `PYTHONPATH=. caffe train ...`",
            at,
        )


def main(answers: TextIO) -> None:
    """Import each module of the JSON list of (module, class) that is the first argument, and say how it went."""
    from caffe_pylayers.processes.stock import import_caffe

    here = os.getcwd()
    path = [os.path.abspath(folder) for folder in sys.path if folder]
    sys.path[0] = here
    by_cwd = here not in path
    try:
        layer = import_caffe().Layer
    except Exception:
        layer = None
    for module, kind in json.loads(sys.argv[1]):
        about = _imported(module, kind, layer)
        file = os.path.abspath(about.get("file") or "")
        about["by_cwd"] = (
            by_cwd
            and file.startswith(os.path.join(here, ""))
            and not any(
                file.startswith(os.path.join(folder, ""))
                for folder in path
                if folder.startswith(os.path.join(here, ""))
            )
        )
        print(json.dumps({**about, "path": path}), file=answers, flush=True)


def _imported(module: str, kind: str, layer: Any) -> Dict[str, Any]:
    try:
        found = importlib.import_module(module)
    except BaseException as problem:  # SystemExit too: whatever the module does
        absent = isinstance(problem, ImportError) and problem.name in (module, module.partition(".")[0])
        no_caffe = layer is None and isinstance(problem, ImportError) and (problem.name or "").startswith("caffe")
        return {"error": _told(problem), "absent": absent, "no_caffe": no_caffe}
    names: List[str] = [name for name in vars(found) if isinstance(vars(found)[name], type)]
    missing = object()
    has = getattr(found, kind, missing)
    is_layer = issubclass(has, layer) if layer is not None and isinstance(has, type) else None
    own = {
        name
        for each in getattr(has, "__mro__", ())
        if each.__module__.partition(".")[0] != "caffe"
        for name in vars(each)
    }
    lacks = [name for name in _METHODS if name not in own and is_layer]
    file = getattr(found, "__file__", None)
    return {"has": has is not missing, "is_layer": is_layer, "missing": lacks, "names": names, "file": file}


def _told(problem: BaseException) -> str:
    """The error, and the line of the module that it comes from."""
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if "importlib" not in frame.filename][1:]
    place = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    if isinstance(problem, SyntaxError) and problem.filename:
        place = f" ({problem.filename}:{problem.lineno})"
    return f"{type(problem).__name__}: {problem}{place}"
