"""The doctor: each trouble is made for real, and what is said of it is looked at; a remedy that can be tried is tried."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import caffe
import pytest

from caffe_pylayers import probe
from caffe_pylayers.doctor import import_errors, python_side
from caffe_pylayers.doctor.import_errors import VERSION, explain
from tests import transcripts
from tests.test_cli import run

ROOT = Path(__file__).resolve().parents[1]
PYCAFFE = Path(caffe.__file__).resolve().parent
HEADINGS = set(re.findall("^### (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE))

EXAMINE = """
import json, sys
from dataclasses import asdict
from caffe_pylayers.doctor import machine, program, pycaffe, python_side
print(json.dumps([asdict(finding) for finding in eval(sys.argv[1])()]))
"""


def findings(examination, python=sys.executable, cwd=None, before=None, **environment):
    """What one examination finds, as subject -> finding; the last where a subject has several."""
    done = subprocess.run(
        [str(python), "-c", EXAMINE, examination],
        cwd=cwd,
        env={**transcripts.environment(), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {finding["see"] for finding in found} - {""} <= HEADINGS
    assert all(finding["found"] for finding in found)
    return {finding["subject"]: finding for finding in found}


def import_caffe(**arguments):
    return findings("pycaffe.import_caffe", **arguments)["import caffe"]


def broken_pycaffe(folder, *changes):
    """A copy of pycaffe, with the bytes of its _caffe.so changed."""
    shutil.copytree(PYCAFFE, folder / "caffe", ignore=shutil.ignore_patterns("__pycache__", "test", "imagenet"))
    extension = folder / "caffe" / "_caffe.so"
    content = extension.read_bytes()
    for old, new in changes:
        assert content.count(old)
        content = content.replace(old, new)
    extension.write_bytes(content)
    return extension


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)], check=True)
    return folder / "bin" / "python"


# --- the command -----------------------------------------------------------------------------------------------


def test_where_all_is_well():
    done = run("doctor", "--json")
    report = json.loads(done.stdout)
    found = {finding["subject"]: finding for finding in report["findings"]}
    for subject in ("Python", "import caffe", "Python layer", "prefetch", "InfogainLoss", "caffe program", "numpy"):
        assert found[subject]["level"] == "ok", found[subject]
    assert caffe.__version__ in found["import caffe"]["found"]
    assert f"with Python {VERSION} inside" in found["caffe program"]["found"]
    ill = [finding for finding in report["findings"] if finding["level"] in ("warning", "error")]
    assert report["ill"] == len(ill) and done.returncode == bool(ill)
    assert not [finding for finding in ill if finding["level"] == "error"], ill


# --- import caffe ----------------------------------------------------------------------------------------------


def test_no_caffe(bare_python, tmp_path):
    found = import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=str(ROOT), HOME=str(tmp_path))
    assert found["level"] == "error"
    assert "not on Python's path" in found["found"]


def test_no_caffe_but_one_that_can_be_found(bare_python, tmp_path):
    where = {"python": bare_python, "cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    found = import_caffe(CAFFE_ROOT=str(PYCAFFE.parents[1]), **where)
    assert found["remedy"] == f"export PYTHONPATH={PYCAFFE.parent}:$PYTHONPATH"


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_shared_library_that_was_cut_short(tmp_path, size):
    """Of 100 KB the import does not fail, it is killed by SIGBUS."""
    os.truncate(broken_pycaffe(tmp_path), size)
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert "is damaged" in found["found"] and str(tmp_path) in found["found"]
    assert found["remedy"] == "copy or compile it again"


def test_pycaffe_that_was_never_compiled(tmp_path):
    broken_pycaffe(tmp_path).unlink()
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert f"no _caffe.so for Python {VERSION}" in found["found"]
    assert "make pycaffe" in found["remedy"]


def test_libraries_that_are_missing_are_all_named(tmp_path):
    broken_pycaffe(tmp_path, (b"libglog.so", b"libglox.so"), (b"libprotobuf.so", b"libprotobux.so"))
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert re.search(r"libglox\.so\.\d is not found; .*libglox\.so\.\d, libprotobux\.so", found["found"])
    assert "LD_LIBRARY_PATH" in found["remedy"]


def test_pycaffe_of_another_python(tmp_path):
    broken_pycaffe(tmp_path, (f"libpython{VERSION}.so".encode(), b"libpython3.99.so"[: len(f"libpython{VERSION}.so")]))
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert re.search(rf"compiled for Python 3\.9\d? .*; this is Python {VERSION}", found["found"])


def test_generated_code_of_an_old_protobuf(tmp_path):
    """Such code makes descriptors itself, which the package of today refuses."""
    broken_pycaffe(tmp_path)
    (tmp_path / "caffe/proto/caffe_pb2.py").write_text(
        "from google.protobuf import descriptor\n"
        "descriptor.FieldDescriptor(name='x', full_name='x', index=0, number=1, type=1, cpp_type=1, label=1,\n"
        "    has_default_value=False, default_value=0, message_type=None, enum_type=None, containing_type=None,\n"
        "    is_extension=False, extension_scope=None)\n"
    )
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert "caffe_pb2.py" in found["found"]
    assert "install 'protobuf<3.21'" in found["remedy"]


def test_numpy_2(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path), "numpy==2.0.2"],
        check=True,
    )
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert "compiled for NumPy 1" in found["found"]
    assert "install 'numpy<2' 'opencv-python<4.12'" in found["remedy"]
    program = findings("program.caffe_program", PYTHONPATH=str(tmp_path))["caffe program"]
    assert "compiled for NumPy 1" in program["found"]


def test_a_folder_of_that_name_in_the_working_directory(tmp_path):
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").touch()
    found = import_caffe(cwd=tmp_path)
    assert f"{tmp_path}/caffe is not pycaffe" in found["found"]
    assert "rename that folder" in found["remedy"]


def test_the_source_tree_in_place_of_its_python_folder(bare_python, tmp_path):
    """A folder without __init__.py is a package too, for Python: an empty one."""
    shutil.copytree(PYCAFFE, tmp_path / "caffe/python/caffe", ignore=shutil.ignore_patterns("__pycache__", "test"))
    found = import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert "source folder" in found["found"]
    assert found["remedy"] == f"export PYTHONPATH={tmp_path}/caffe/python:$PYTHONPATH"


@pytest.mark.parametrize(
    "said, found, remedy",
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "libGL.so.1", "libgl1"),
        ("ImportError: libcudart.so.8.0: cannot open shared object file: No", "a library of CUDA", "LD_LIBRARY_PATH"),
        ("ImportError: libboost_python36.so.1.65: cannot open shared object file", "Boost was replaced", "compile Caffe"),
        ("ImportError: /x.so: undefined symbol: _Py_ZeroStruct", "_Py_ZeroStruct", "compile Caffe again"),
        ("ImportError: libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by", "GLIBCXX_3.4.30", "conda"),
        ("ModuleNotFoundError: No module named 'skimage'", "the module skimage", "pip install scikit-image"),
        ("ModuleNotFoundError: No module named 'google'", "protobuf package is missing", "pip install protobuf"),
        ("ImportError: dynamic module does not define module export function (PyInit__caffe)", "Python 2", VERSION),
        ("SyntaxError: Missing parentheses in call to 'print'. Did you mean", "Python 2", "Caffe 1.0"),
        ("F0101 x.cpp:1] Check failed: Unknown layer type: Python (known", "without Python layers", "WITH_PYTHON_LAYER"),
        ("Fatal Python error\nModuleNotFoundError: No module named 'encodings'", "another Python", "PYTHONHOME"),
        ("cannot import name 'builder' from 'google.protobuf.internal'", "newer protobuf", "'protobuf>=3.20'"),
    ],
)  # fmt: skip
def test_errors_that_cannot_be_made_here(said, found, remedy):
    text, what, see = explain(said, "the last line")
    assert found in text and remedy in what
    assert see in HEADINGS | {""}


def test_an_unknown_error_is_shown_as_it_is():
    assert explain("Traceback\nKeyError: 'x'", "KeyError: 'x'") == ("KeyError: 'x'", "", "")


def test_every_reference_is_a_heading_of_the_page():
    assert {cause.see for cause in import_errors.CAUSES} - {""} <= HEADINGS


# --- the caffe program -----------------------------------------------------------------------------------------


def program_itself():
    """The program that the launcher in .venv starts."""
    launcher = (Path(sys.prefix) / "bin" / "caffe").read_text()
    return Path(re.findall("^exec '(.*)' ", launcher, re.MULTILINE)[0])


@pytest.mark.parametrize("first", ["", f"{sys.base_prefix}/bin:"])
def test_a_program_that_does_not_find_the_packages_and_the_remedy_works(first, tmp_path):
    program = program_itself()
    path = f"{program.parent}:{first}/usr/bin:/bin"
    found = findings("program.caffe_program", PATH=path)["caffe program"]
    assert found["level"] == "error" and str(program) in found["found"]
    settings = found["remedy"].split(" caffe train ...")[0]
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data"  type: "DummyData"  top: "x"  dummy_data_param { shape { dim: 2  dim: 3 } } }\n'
        'layer { name: "unit"  type: "Python"  bottom: "x"  top: "y"\n'
        '  python_param { module: "caffe_pylayers"  layer: "L2Normalize" } }\n'
    )
    command = f"{settings} caffe time -model net.prototxt -iterations 1"
    environment = {"PATH": path, "HOME": os.environ["HOME"]}
    tried = subprocess.run(["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr


def test_another_program_of_that_name(tmp_path):
    program = tmp_path / "caffe"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    found = findings("program.caffe_program", PATH=f"{tmp_path}:{sys.prefix}/bin:/usr/bin:/bin")["caffe program"]
    assert "is another program: it runs no net" in found["found"]


def test_no_program(bare_python):
    found = findings("program.caffe_program", python=bare_python, PATH="/usr/bin:/bin", PYTHONPATH=str(ROOT))
    assert found["caffe program"]["level"] == "note"
    assert "none on PATH" in found["caffe program"]["found"]


# --- packages and variables ------------------------------------------------------------------------------------


def test_packages_that_are_not_there(bare_python):
    found = findings("python_side.packages", python=bare_python, PYTHONPATH=str(ROOT))
    assert set(found) == {package for package, _ in python_side.NEEDED.values()}
    assert {finding["level"] for finding in found.values()} == {"error"}
    assert found["opencv-python"]["remedy"].endswith("install 'opencv-python<4.12'")
    assert found["numpy"]["remedy"] == f"{bare_python} -m pip install 'numpy<2'"


def test_an_import_that_crashes_is_a_finding_and_not_the_end(tmp_path, monkeypatch):
    (tmp_path / "crashes.py").write_text("import os\nos.abort()\n")
    (tmp_path / "raises.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = python_side.import_each(["json", "raises", "crashes", "absent", "csv"])
    assert list(found) == ["json", "raises", "crashes", "absent", "csv"]
    assert found["json"][1] == "" and found["csv"][1] == ""
    assert "libGL.so.1" in found["raises"][1] and "SIGABRT" not in found["raises"][1]
    assert "SIGABRT" in found["crashes"][1]
    assert "No module named 'absent'" in found["absent"][1]


def test_a_python_that_does_not_start(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/no/such/folder")
    found = python_side.import_each(["json", "csv"])
    assert "encodings" in found["json"][1] and "encodings" in found["csv"][1]


def test_a_cupy_that_finds_no_gpu(tmp_path):
    (tmp_path / "cupy.py").write_text(
        "def arange(count): raise RuntimeError('cudaErrorNoDevice: no CUDA-capable device')\n"
    )
    assert findings("python_side.optional")["optional"]["level"] == "note"
    found = findings("python_side.optional", PYTHONPATH=str(tmp_path))["CuPy"]
    assert found["level"] == "warning" and "it does not run: RuntimeError: cudaErrorNoDevice" in found["found"]


def test_two_opencvs(tmp_path):
    for name in ("opencv_python", "opencv_python_headless"):
        folder = tmp_path / f"{name}-4.10.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 4.10.0\n")
    found = findings("python_side.packages", PYTHONPATH=str(tmp_path))["OpenCV"]
    assert "opencv-python 4.10.0 and opencv-python-headless 4.10.0" in found["found"]
    assert "uninstall -y opencv-python opencv-python-headless &&" in found["remedy"]


def test_two_copies_of_this_package(tmp_path):
    shutil.copytree(
        ROOT / "caffe_pylayers", tmp_path / "a/caffe_pylayers", ignore=shutil.ignore_patterns("__pycache__")
    )
    found = findings("python_side.package", cwd="/", PYTHONPATH=f"{tmp_path}/a:{ROOT}")["caffe_pylayers"]
    assert found["level"] == "warning"
    assert f"{tmp_path}/a/caffe_pylayers; another copy: {ROOT}/caffe_pylayers" in found["found"]


@pytest.mark.parametrize(
    "name, value, found",
    [
        ("PYTHONPATH", "/no/such", "not there: /no/such"),
        ("PYTHONPATH", f"{ROOT}:", "the working directory"),
        ("PYTHONHOME", sys.base_prefix, "wrong for any other Python"),
        ("GLOG_minloglevel", "2", "prints no losses"),
    ],
)
def test_variables(name, value, found):
    assert findings("python_side.variables") == {}
    told = findings("python_side.variables", **{name: value})[name]
    assert found in told["found"]
    assert told["level"] in ("note", "warning")


# --- the machine -----------------------------------------------------------------------------------------------


def test_packages_of_another_python_on_the_path(tmp_path):
    folder = tmp_path / "python2.7" / "dist-packages"
    folder.mkdir(parents=True)
    told = findings("python_side.variables", PYTHONPATH=str(folder))["PYTHONPATH"]
    (tmp_path / f"python{VERSION}" / "site-packages").mkdir(parents=True)
    assert findings("python_side.variables", PYTHONPATH=f"{tmp_path}/python{VERSION}/site-packages") == {}
    assert told["level"] == "warning" and f"packages of another Python than this {VERSION}: {folder}" in told["found"]


def limited(name, value):
    def before():
        import resource

        resource.setrlimit(getattr(resource, name), (value, value))

    return before


def test_few_open_files():
    assert findings("machine.open_files") == {}
    found = findings("machine.open_files", before=limited("RLIMIT_NOFILE", 100))["ulimit -n"]
    assert "100 open files" in found["found"]


def test_a_limit_of_address_space():
    assert "ulimit -v" in findings("machine.memory", before=limited("RLIMIT_AS", 1 << 35))


def test_no_memfd_create():
    """As under a container's seccomp profile."""
    found = findings("machine.memory", before=forbid_memfd_create)["memfd_create"]
    assert found["level"] == "error" and "seccomp" in found["remedy"]


def forbid_memfd_create():
    number = {"x86_64": 319, "aarch64": 279}[os.uname().machine]

    class Filter(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]

    # Load the number of the call; if it is that one, return EPERM; else allow.
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    filters = (Filter * len(steps))(*(Filter(*step) for step in steps))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert prctl(22, 2, ctypes.byref(Program(len(steps), filters)), 0, 0) == 0  # PR_SET_SECCOMP, a filter


def test_a_cache_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    assert findings("machine.folders", XDG_CACHE_HOME=str(tmp_path))["cache folder"]["level"] == "ok"
    found = findings("machine.folders", XDG_CACHE_HOME=str(tmp_path / "file"))["cache folder"]
    assert "cannot be written" in found["found"] and "XDG_CACHE_HOME" in found["remedy"]


@pytest.mark.parametrize(
    "script, level, found",
    [("echo 'Tesla T4, 15360 MiB, 535.1'", "ok", "Tesla T4"), ("echo 'NVML mismatch'; exit 18", "warning", "NVML")],
)
def test_a_gpu_as_the_driver_shows_it(tmp_path, script, level, found):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    told = findings("machine.gpu", PATH=f"{tmp_path}:{os.environ['PATH']}")["GPU"]
    assert told["level"] == level and found in told["found"]


# --- probes ----------------------------------------------------------------------------------------------------


def test_a_probe_that_hangs_is_ended():
    begun = time.monotonic()
    answer = probe.ask(["sleep", "60"], timeout=0.3)
    assert time.monotonic() - begun < 10
    assert answer.status is None and not answer.ok and "no answer in time" in answer.failure


def test_the_last_words_of_a_probe():
    answer = probe.ask_python("import caffe\ncaffe.set_mode_gpu()\ncaffe.set_device(0)")
    assert answer.status == -signal.SIGABRT
    assert answer.failure == "Cannot use GPU in CPU-only Caffe: check mode. (common.cpp:66)"
    assert probe.ask_python("raise KeyError('x')").failure == "KeyError: 'x'"
