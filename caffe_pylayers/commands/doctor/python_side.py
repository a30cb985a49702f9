"""This Python, its packages, and the variables that it reads."""

import os
import re
import sys
from importlib import metadata
from typing import Dict, Iterator, List, Tuple

import caffe_pylayers
from caffe_pylayers.commands.doctor.finding import ERROR, NOTE, OK, WARNING, Finding
from caffe_pylayers.commands.doctor.import_errors import VERSION, explain, pip, requirement
from caffe_pylayers.processes.probe import Answer, ask_python

#: What this package needs: the module, its package, and what needs it.
NEEDED = {
    "numpy": ("numpy", "everything"),
    "cv2": ("opencv-python", "images"),
    "h5py": ("h5py", "HDF5 sources"),
    "lmdb": ("lmdb", "LMDB sources"),
    "pydantic": ("pydantic", "options"),
    "yaml": ("PyYAML", "options in YAML"),
    "tqdm": ("tqdm", "progress"),
    "rich": ("rich", "tables of the commands"),
    "matplotlib": ("matplotlib", "pictures of the commands"),
    "google.protobuf": ("protobuf", "`import caffe`"),
}
_TRY_OPTIONAL = {"cupy": "import cupy; float(cupy.arange(3).sum())", "mpi4py": "from mpi4py import MPI"}
#: What it can do without, and what for.
OPTIONAL = {"cupy": ("CuPy", "losses on a GPU"), "mpi4py": ("mpi4py", "training under `mpirun`")}

_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")

_IMPORT_EACH = """
import importlib, sys, traceback
for name in sys.argv[1:]:
    print("begin", name, file=answers, flush=True)
    try:
        module = importlib.import_module(name)
        print("ok", getattr(module, "__version__", ""), getattr(module, "__file__", ""), file=answers, flush=True)
    except BaseException:
        traceback.print_exc()
        print("failed", file=answers, flush=True)
    print("end", name, file=sys.stderr, flush=True)
"""


def python() -> Iterator[Finding]:
    """Which Python this is."""
    here = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.platform != "linux":
        yield Finding("Python", WARNING, f"{here}, on {sys.platform}", "workers (`prefetch`) need Linux; leave it out")
    else:
        yield Finding("Python", OK, here)


def package() -> Iterator[Finding]:
    """Where this package lies, and whether there is another copy of it."""
    own = os.path.dirname(os.path.realpath(caffe_pylayers.__file__))
    copies = [os.path.join(folder or os.getcwd(), "caffe_pylayers") for folder in sys.path]
    others = {os.path.realpath(copy) for copy in copies if os.path.isfile(os.path.join(copy, "__init__.py"))} - {own}
    where = f"{caffe_pylayers.__version__}, {own}"
    if others:
        remedy = "the order of PYTHONPATH decides which one a run uses: remove one of them"
        yield Finding("caffe_pylayers", WARNING, f"{where}; another copy: {', '.join(sorted(others))}", remedy)
    else:
        yield Finding("caffe_pylayers", OK, where)


def variables() -> Iterator[Finding]:
    """PYTHONPATH, PYTHONHOME and the like."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.environ.get("PYTHONPATH") else []
    absent = [entry for entry in entries if entry and not os.path.exists(entry)]
    if absent:
        yield Finding(
            "PYTHONPATH", WARNING, f"not there: {', '.join(absent)}", "fix the path, or take it out of PYTHONPATH"
        )
    versions = [(entry, re.search(r"/python(\d\.\d+)/", f"{entry}/")) for entry in entries]
    foreign = [entry for entry, match in versions if match and match[1] != VERSION]
    if foreign:
        found = f"packages for another Python than this {VERSION}: {', '.join(foreign)}"
        remedy = "take them out of PYTHONPATH; install for each Python with its own pip"
        yield Finding("PYTHONPATH", WARNING, found, remedy)
    if "" in entries:
        yield Finding("PYTHONPATH", NOTE, "an empty entry (`::`, or a colon at an end) is the working directory")
    home = os.environ.get("PYTHONHOME")
    if home and os.path.realpath(home) != os.path.realpath(sys.base_prefix):
        yield Finding(
            "PYTHONHOME", WARNING, f"{home}, but the prefix of this Python is {sys.base_prefix}", "unset PYTHONHOME"
        )
    elif home:
        found = f"{home}: right for the `caffe` program, wrong for any other Python"
        remedy = "set it for the `caffe` program alone: PYTHONHOME=... caffe train ..."
        see = 'Another Python started from a layer fails with "SRE module mismatch" or "No module named ..."'
        yield Finding("PYTHONHOME", NOTE, found, remedy, see)
    level = os.environ.get("GLOG_minloglevel", "0")  # noqa: SIM112 (its name)
    if level not in ("", "0"):
        yield Finding("GLOG_minloglevel", NOTE, f"{level}: Caffe prints no losses of a run", "unset GLOG_minloglevel")
    encoding = sys.getfilesystemencoding()
    if encoding.lower().replace("-", "") != "utf8":
        yield Finding(
            "file names", WARNING, f"encoding {encoding}: names beyond ASCII are not found", "export LC_ALL=C.UTF-8"
        )


def packages() -> Iterator[Finding]:
    """What this package is built on, each imported in a process that may crash."""
    for name, answer in import_each(list(NEEDED)).items():
        package, purpose = NEEDED[name]
        found, why = answer
        if not why:
            yield Finding(package, OK, found)
            continue
        text, remedy, see = explain(why, why.strip().splitlines()[-1] if why.strip() else "")
        if f"No module named '{name}'" in why:
            text, remedy = f"not installed; needed for {purpose}", pip(f"install {requirement(package)}")
        else:
            text = f"`import {name}` fails: {text}"
        yield Finding(
            package, ERROR, text, remedy or pip(f"install --force-reinstall --no-deps {requirement(package)}"), see
        )
    yield from _opencv()


def _opencv() -> Iterator[Finding]:
    found = [f"{name} {version}" for name, version in _installed(_OPENCV)]
    if len(found) > 1:
        names = " ".join(entry.split()[0] for entry in found)
        why = f"{' and '.join(found)} are both installed: each has overwritten files of the other"
        remedy = pip(f"uninstall -y {names}") + " && " + pip("install 'opencv-python-headless<4.12'")
        yield Finding("OpenCV", WARNING, why, remedy)


def optional() -> Iterator[Finding]:
    """What it can do without: said where it is not there, or where it is broken."""
    missing = []
    for name, (found, why) in import_each(list(OPTIONAL)).items():
        package, purpose = OPTIONAL[name]
        if not why:
            answer = ask_python(_TRY_OPTIONAL[name])
            works = Finding(package, OK, found)
            yield works if answer.ok else Finding(package, WARNING, f"{found}; but it does not run: {answer.failure}")
        elif f"No module named '{name}'" in why:
            missing.append(f"{package} ({purpose})")
        else:
            text, remedy, see = explain(why, why.strip().splitlines()[-1])
            yield Finding(package, WARNING, f"`import {name}` fails: {text}", remedy, see)
    if missing:
        yield Finding(
            "optional", NOTE, f"not installed; each is needed only for what is in brackets: {', '.join(missing)}"
        )


def import_each(names: List[str]) -> Dict[str, Tuple[str, str]]:
    """Module -> (version and file, why it cannot be imported or ""). One process, and another after each crash."""
    results: Dict[str, Tuple[str, str]] = {}
    while len(results) < len(names):
        left = names[len(results) :]
        results.update(_answers(left, ask_python(_IMPORT_EACH, *left)))
    return results


def _answers(names: List[str], answer: Answer) -> Dict[str, Tuple[str, str]]:
    """What the process said of each of the names that it came to; the last it died of, if it did."""
    results = {}
    words = answer.err
    told = answer.out.split("begin ")[1:]
    for name, text in zip(names, told):
        why, _, words = words.partition(f"end {name}\n")
        lines = text.splitlines()
        if len(lines) > 1 and lines[1].startswith("ok"):
            _, version, file = lines[1].split(" ", 2)
            results[name] = ", ".join(part for part in (_version(name, version), os.path.dirname(file)) if part), ""
        else:
            results[name] = "", why if len(lines) > 1 else f"{why}\n{answer.failure}"
    return results or {names[0]: ("", f"{answer.err}\n{answer.failure}")}


def _version(module: str, own: str) -> str:
    """The version of a module's package; pip's where the module does not say."""
    if own:
        return own
    return next((version for _, version in _installed((NEEDED.get(module, (module,))[0],))), "")


def _installed(names: Tuple[str, ...]) -> Iterator[Tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
