"""The `caffe` program, and the Python inside it."""

import json
import os
import re
import shlex
import shutil
import site
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import caffe_pylayers
from caffe_pylayers.commands.doctor.extension import compiled
from caffe_pylayers.commands.doctor.finding import ERROR, NOTE, OK, WARNING, Finding
from caffe_pylayers.commands.doctor.import_errors import VERSION, explain
from caffe_pylayers.commands.doctor.pycaffe import explain_import
from caffe_pylayers.processes.probe import Answer, ask

_NET = """
layer { name: "data"  type: "DummyData"  top: "data"  dummy_data_param { shape { dim: 2 } } }
layer { name: "probe"  type: "Python"  bottom: "data"  top: "out"
  python_param { module: "caffe_pylayers_doctor_probe"  layer: "ProbeLayer" } }
"""

# It writes what it knows before each import, since that may be the last that it does.
_MODULE = """
import json, os, sys
about = {"version": "%d.%d" % sys.version_info[:2], "release": sys.version.split()[0], "prefix": sys.prefix, "path": sys.path, "failed": {}}
def tell():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "about.json"), "w") as file:
        json.dump(about, file)
tell()
for name in ("numpy", "caffe", "cv2", "caffe_pylayers.config", "caffe_pylayers.layers.data_layers"):
    about["failed"][name] = "the program ended there"
    tell()
    try:
        __import__(name)
        del about["failed"][name]
    except BaseException as error:
        about["failed"][name] = "%s: %s" % (type(error).__name__, error)
    tell()
import caffe
class ProbeLayer(caffe.Layer):
    def setup(self, bottom, top):
        about["ran"] = True
        tell()
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        pass
    def backward(self, top, propagate_down, bottom):
        pass
"""

_SUBJECT = "caffe program"
_SEE_PATH = 'The `caffe` program says "No module named ..." for a module that Python finds'
_SEE_HOME = (
    "The `caffe` program dies on start with \"No module named 'encodings'\", or numpy fails to import in it only"
)


def caffe_program() -> Iterator[Finding]:
    """Which `caffe` there is, which Python it embeds, and whether that finds this package; if not, what it takes."""
    programs = _on_path()
    if not programs:
        beside = os.path.join(sys.prefix, "bin", "caffe")
        if not os.access(beside, os.X_OK):
            remedy = "`caffe-pylayers train`, or put the program's folder on PATH"
            yield Finding(_SUBJECT, NOTE, "none on PATH; nets can still be trained from Python", remedy)
            return
        programs = [beside]
        yield Finding(
            _SUBJECT,
            NOTE,
            f"{beside}, not on PATH",
            f"export PATH={os.path.dirname(beside)}:$PATH; or start it by its path",
        )
    if len(programs) > 1:
        yield Finding(_SUBJECT, NOTE, f"{programs[0]} is what `caffe` starts; later on PATH: {', '.join(programs[1:])}")
    yield _examined(programs[0])


def _on_path() -> List[str]:
    """Every program `caffe` on PATH, each once, in order."""
    found: Dict[str, str] = {}
    for folder in os.get_exec_path():
        program = shutil.which("caffe", path=folder) if folder else None
        if program:
            found.setdefault(os.path.realpath(program), program)
    return list(found.values())


def _examined(program: str) -> Finding:
    about, answer = _run(program, {})
    if about is not None and about.get("ran") and not about["failed"]:
        return Finding(_SUBJECT, OK, f"{program}, with Python {about['version']} inside, which finds this package")
    if about is None and answer.ok:
        return Finding(
            _SUBJECT, ERROR, f"{program} is another program: it cannot run a net", "put Caffe's first on PATH"
        )
    if about is not None and about["version"] != VERSION:
        version = about["version"]
        found = f"{program} embeds Python {version}, but this package is installed for {VERSION}"
        remedy = (
            f"`python{version} -m pip install .` in a clone of it, or a `caffe` that is linked with Python {VERSION}"
        )
        return Finding(_SUBJECT, ERROR, found, remedy)
    trouble = _trouble(about, answer)
    for variables in _remedies(_home(program)):
        better, _ = _run(program, variables)
        if better is not None and better.get("ran") and not better["failed"]:
            return _remedied(program, about, trouble, variables, better)
    if about is None and not _embeds_python(answer):
        found, remedy, see = explain(f"{answer.err}\n{answer.failure}", answer.failure)
        return Finding(_SUBJECT, ERROR, f"{program}: {found}", remedy, see)
    found, remedy, see = explain_import(f"{trouble}\n{answer.err}\n{answer.failure}", trouble)
    level = WARNING if about is not None and about.get("ran") else ERROR
    return Finding(_SUBJECT, level, f"{program}: {found}", remedy, see)


def _remedied(
    program: str, about: Optional[Dict[str, Any]], trouble: str, variables: Dict[str, str], better: Dict[str, Any]
) -> Finding:
    """What is wrong with a program that runs with these variables; better: what the Python inside says with them."""
    see = _SEE_PATH
    if "PYTHONHOME" in variables:
        see = _SEE_HOME
        library, what = "another Python", "does not start"
        if about is not None:
            library, what = about["prefix"], f"cannot import {next(iter(about['failed']), 'a layer')}"
        trouble = (
            f"the Python inside is {better['release']} of {better['prefix']}, but takes the standard library of {library}: "
            f"it {what}"
        )
    settings = " ".join(f"{name}={_quoted(name, value)}" for name, value in variables.items())
    return Finding(_SUBJECT, ERROR, f"{program}: {trouble}", f"{settings} caffe train ...   (tried: it works)", see)


def _run(program: str, variables: Dict[str, str]) -> "tuple[Optional[Dict[str, Any]], Answer]":
    """What the Python inside says about itself, or None where it did not come to that; and the program's answer."""
    with tempfile.TemporaryDirectory(prefix="caffe_pylayers_") as folder:
        for name, text in (("net.prototxt", _NET), ("caffe_pylayers_doctor_probe.py", _MODULE)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        environment = {**os.environ, **variables}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH", "")]))
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment.pop("GLOG_minloglevel", None)  # which would hide why
        command = [program, "time", "-model", os.path.join(folder, "net.prototxt"), "-iterations", "1"]
        try:
            answer = ask(command, 60, environment)
        except OSError as error:
            answer = Answer(1, "", str(error.strerror))
        place = os.path.join(folder, "about.json")
        if not os.path.exists(place):
            return None, answer
        with open(place, encoding="utf-8") as file:
            return json.load(file), answer


def _embeds_python(answer: Answer) -> bool:
    """Whether it was the Python inside that failed, and not what the program is linked with or built for."""
    return any(word in answer.err for word in ("Python path configuration", "encodings", "Traceback", "ModuleNotFound"))


def _trouble(about: Optional[Dict[str, Any]], answer: Answer) -> str:
    if about is None:
        return f"the Python inside does not start: {answer.failure}"
    if about["failed"]:
        module, why = next(iter(about["failed"].items()))
        return f"the Python inside ({about['version']}, {about['prefix']}) cannot import {module}: {why}"
    return f"a net with a Python layer fails: {answer.failure}"


def _home(program: str) -> str:
    """The prefix of the Python that a program is linked with; this Python's where that is not seen."""
    linked = re.search(r"libpython(\d\.\d+)\S* => (/\S+)", ask(["ldd", program]).out) if shutil.which("ldd") else None
    if linked is None:
        return sys.base_prefix
    version, library = linked.groups()
    prefixes = (str(folder) for folder in Path(library).resolve().parents)
    return next(
        (prefix for prefix in prefixes if os.path.exists(f"{prefix}/lib/python{version}/os.py")), sys.base_prefix
    )


def _remedies(home: str) -> Iterator[Dict[str, str]]:
    """Settings that give the program this Python's modules, the least first. home: the prefix of the program's own Python."""
    sites = [folder for folder in (*site.getsitepackages(), site.getusersitepackages()) if os.path.isdir(folder)]
    folders = _with_caffe(compiled(), sites)
    folders.append(os.path.dirname(os.path.dirname(os.path.abspath(caffe_pylayers.__file__))))  # an editable install's
    entries = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), *folders]
    path = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, entries)))}
    yield path
    yield {"PYTHONHOME": home, **path}
    yield {"PATH": f"{os.path.join(sys.prefix, 'bin')}:{os.environ.get('PATH', '')}", **path}


def _with_caffe(extension: Optional[str], sites: List[str]) -> List[str]:
    """The folders of packages, behind that of Caffe.

    A packaged Caffe is in one of them, and this stays in its place: in front, its other packages would hide those of an
    environment.
    """
    folder = os.path.dirname(os.path.dirname(extension)) if extension else None
    return sites if folder is None or folder in sites else [folder, *sites]


def _quoted(name: str, value: str) -> str:
    """A value as a shell takes it; what PATH is already stays $PATH."""
    if name == "PATH":
        return f"{shlex.quote(value.split(os.pathsep)[0])}:$PATH"
    return shlex.quote(value)
