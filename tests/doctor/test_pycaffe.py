"""`import caffe` fails, for every reason that can be made here; what is said of the others."""

import os
import re
import shutil
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.commands.doctor import import_errors
from caffe_pylayers.commands.doctor.extension import compiled, numpy_of
from caffe_pylayers.commands.doctor.import_errors import VERSION, explain
from tests.doctor.examined import HEADINGS, PYCAFFE, ROOT, broken_pycaffe, findings, import_caffe

PURELIB = sysconfig.get_path("purelib")


def test_no_caffe(bare_python, tmp_path):
    found = import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=str(ROOT), HOME=str(tmp_path))
    assert found["level"] == "error"
    assert "not on Python's path" in found["found"]


def test_no_caffe_but_one_that_can_be_found(bare_python, tmp_path):
    where = {"python": bare_python, "cwd": tmp_path, "PYTHONPATH": str(ROOT)}
    found = import_caffe(CAFFE_ROOT=str(PYCAFFE.parents[1]), **where)
    assert found["remedy"] == f"export PYTHONPATH={PYCAFFE.parent}:$PYTHONPATH"


def test_no_caffe_names_every_way_to_one(bare_python, tmp_path):
    found = import_caffe(
        python=bare_python, cwd=tmp_path, PYTHONPATH=str(ROOT), HOME=str(tmp_path), PATH="/usr/bin:/bin"
    )
    for way in ("export PYTHONPATH=", "`CAFFE_ROOT=/path/to/caffe make setup`", "`make setup` builds one"):
        assert way in found["remedy"]


def test_all_that_pycaffe_lacks_is_one_line_of_pip(bare_python, tmp_path):
    """With the packages of that line, and what these need, it is imported."""
    there = tmp_path / "packages"
    there.mkdir()
    packages = {
        "numpy": ["numpy", "numpy.libs"],
        "protobuf": ["google"],
        "scikit-image": [
            "skimage",
            "PIL",
            "pillow.libs",
            "imageio",
            "lazy_loader",
            "networkx",
            "packaging",
            "tifffile",
        ],
        "scipy": ["scipy", "scipy.libs"],
        "six": ["six.py"],
    }

    def install(*names):
        for name in names:
            for entry in packages[name]:
                if os.path.exists(os.path.join(PURELIB, entry)):
                    (there / entry).symlink_to(os.path.join(PURELIB, entry))

    def examined():
        path = os.pathsep.join([str(ROOT), str(there), str(PYCAFFE.parent)])
        return import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=path)

    install("numpy", "six")
    found = examined()
    assert found["level"] == "error"
    assert "it needs the modules google.protobuf, scipy, skimage, which are not installed" in found["found"]
    assert found["remedy"] == f"{bare_python} -m pip install protobuf scipy scikit-image"
    install("protobuf", "scipy")
    assert examined()["remedy"] == f"{bare_python} -m pip install scikit-image"
    install("scikit-image")
    assert examined()["level"] == "ok"


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


def test_a_caffe_without_python_layers(tmp_path):
    """As Makefile.config.example builds one: no layer has the type Python. Here its name is changed in the library."""
    with open("/proc/self/maps") as maps:
        library = next(Path(line.split()[-1]) for line in maps if "libcaffe.so" in line)
    content = library.read_bytes()
    assert content.count(b"\0Python\0") == 1
    (tmp_path / library.name).write_bytes(content.replace(b"\0Python\0", b"\0Nohtyp\0"))
    for examination, subject in (("pycaffe.import_caffe", "Python layer"), ("program.caffe_program", "caffe program")):
        found = findings(examination, LD_LIBRARY_PATH=str(tmp_path))[subject]
        assert found["level"] == "error" and "built without Python layers" in found["found"]
        assert "`WITH_PYTHON_LAYER := 1`" in found["remedy"] and "`-DBUILD_python_layer=ON`" in found["remedy"]


@pytest.mark.parametrize("first", ["FileDescriptor", "FieldDescriptor"])
def test_generated_code_of_an_old_protobuf(tmp_path, first):
    """Such code makes descriptors itself. The package of today takes that of the file, but only once, and refuses all others."""
    broken_pycaffe(tmp_path)
    serialized = caffe_pb2.DESCRIPTOR.serialized_pb + b"b\x06proto2"  # the syntax, which is not written any more
    file = f"descriptor.FileDescriptor(name='caffe/proto/caffe.proto', package='caffe', serialized_pb={serialized!r})\n"
    (tmp_path / "caffe/proto/caffe_pb2.py").write_text(
        "from google.protobuf import descriptor\n"
        f"{file * (first == 'FileDescriptor')}"
        "descriptor.FieldDescriptor(name='x', full_name='x', index=0, number=1, type=1, cpp_type=1, label=1,\n"
        "    has_default_value=False, default_value=0, message_type=None, enum_type=None, containing_type=None,\n"
        "    is_extension=False, extension_scope=None)\n"
    )
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert "caffe_pb2.py" in found["found"]
    assert "install 'protobuf<3.21'" in found["remedy"]


def against_numpy_1(folder):
    """A pycaffe that knows NumPy's C module by its old name only, under which NumPy 2 has a refusal."""
    new_name = [(b"numpy._core", b"numpy._none")] if numpy_of(compiled()) == 2 else []
    assert numpy_of(str(broken_pycaffe(folder, *new_name))) == 1


@pytest.fixture(scope="module")
def with_numpy(tmp_path_factory):
    """A folder that has NumPy, of .venv, and nothing else."""
    folder = tmp_path_factory.mktemp("numpy")
    for entry in Path(PURELIB).glob("numpy[.-]*"):
        (folder / entry.name).symlink_to(entry)
    (folder / "numpy").symlink_to(Path(PURELIB) / "numpy")
    return folder


NUMPY_1 = numpy.__version__.startswith("1.")


def test_a_caffe_for_numpy_1(bare_python, with_numpy, tmp_path):
    """Beside NumPy 2 one line brings the NumPy that it needs, and what else it lacks."""
    against_numpy_1(tmp_path)
    found = import_caffe(PYTHONPATH=str(tmp_path))
    assert (found["level"] == "ok") == NUMPY_1
    assert ("does not run with NumPy 2" if NUMPY_1 else f"NumPy 1, but NumPy {numpy.__version__} is") in found["found"]
    assert found["remedy"].endswith("" if NUMPY_1 else "-m pip install 'numpy<2' 'opencv-python<4.12'")
    path = os.pathsep.join([str(ROOT), str(tmp_path), str(with_numpy)])
    found = import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=path)
    assert "it needs the modules google.protobuf, scipy, six, skimage" in found["found"]
    first = "" if NUMPY_1 else "'numpy<2' 'opencv-python<4.12' "
    assert found["remedy"] == f"{bare_python} -m pip install {first}protobuf scipy six scikit-image"


def test_a_caffe_for_numpy_1_without_numpy(bare_python, tmp_path):
    against_numpy_1(tmp_path)
    found = import_caffe(python=bare_python, cwd=tmp_path, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")
    assert found["remedy"].endswith("-m pip install protobuf 'numpy<2' scipy six scikit-image")


def test_a_caffe_for_numpy_1_that_is_not_on_the_path(bare_python, with_numpy, tmp_path):
    """The next fault is said at once."""
    (tmp_path / "python").mkdir()
    against_numpy_1(tmp_path / "python")
    where = {"python": bare_python, "cwd": tmp_path, "CAFFE_ROOT": str(tmp_path)}
    found = findings("pycaffe.import_caffe", PYTHONPATH=f"{ROOT}{os.pathsep}{with_numpy}", **where)
    assert found["import caffe"]["remedy"] == f"export PYTHONPATH={tmp_path}/python:$PYTHONPATH"
    assert ("NumPy" in found) != NUMPY_1
    if not NUMPY_1:
        assert found["NumPy"]["found"].startswith(
            f"{numpy.__version__}, but the Caffe in {tmp_path}/python is compiled"
        )
        assert "install 'numpy<2'" in found["NumPy"]["remedy"]


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
        (
            "ImportError: libboost_python36.so.1.65: cannot open shared object file",
            "Boost was replaced",
            "compile Caffe",
        ),
        ("ImportError: /x.so: undefined symbol: _Py_ZeroStruct", "_Py_ZeroStruct", "compile Caffe again"),
        (
            "/lib/python3.8/site-packages/lmdb/c.so: undefined symbol: Py_SET_REFCNT",
            "release of lmdb",
            "an older release",
        ),
        (
            "/lib/site-packages/caffe/_caffe.so: undefined symbol: _Py_ZeroStruct",
            "_Py_ZeroStruct",
            "compile Caffe again",
        ),
        ("ImportError: libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by", "GLIBCXX_3.4.30", "conda"),
        ("ModuleNotFoundError: No module named 'skimage'", "the module skimage", "pip install scikit-image"),
        ("ModuleNotFoundError: No module named 'google'", "protobuf package is missing", "pip install protobuf"),
        ("ImportError: dynamic module does not define module export function (PyInit__caffe)", "Python 2", VERSION),
        ("SyntaxError: Missing parentheses in call to 'print'. Did you mean", "Python 2", "Caffe 1.0"),
        (
            "F0101 x.cpp:1] Check failed: Unknown layer type: Python (known",
            "without Python layers",
            "WITH_PYTHON_LAYER",
        ),
        ("Fatal Python error\nModuleNotFoundError: No module named 'encodings'", "another Python", "PYTHONHOME"),
        (
            "RuntimeError: module was compiled against NumPy C-API version 0x12 (NumPy 2.0) but the running NumPy has",
            "against a newer NumPy",
            "install --upgrade",
        ),
        (
            "module compiled against API version 0x10 but this version of numpy is 0xe\nImportError: numpy.core.multiarray failed",
            "against a newer NumPy",
            "install --upgrade",
        ),
        ("cannot import name 'builder' from 'google.protobuf.internal'", "newer than the protobuf", "'protobuf>=3.20'"),
    ],
)
def test_errors_that_cannot_be_made_here(said, found, remedy):
    text, what, see = explain(said, "the last line")
    assert found in text and remedy in what
    assert see in HEADINGS | {""}


def test_an_unknown_error_is_shown_as_it_is():
    assert explain("Traceback\nKeyError: 'x'", "KeyError: 'x'") == ("KeyError: 'x'", "", "")


def test_every_reference_is_a_heading_of_the_page():
    assert {cause.see for cause in import_errors.CAUSES} - {""} <= HEADINGS


@pytest.mark.parametrize(
    "generated, needed",
    [("from google.protobuf import descriptor", "'protobuf<3.21'"), ("import builder as _builder", "protobuf")],
)
def test_protobuf_is_asked_for_as_the_caffe_here_runs_with_it(tmp_path, monkeypatch, generated, needed):
    broken_pycaffe(tmp_path)
    (tmp_path / "caffe/proto/caffe_pb2.py").write_text(f"{generated}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert explain("No module named 'google'", "")[1].endswith(f"install {needed}")


def test_lmdb_is_asked_for_as_python_3_8_runs_with_it(monkeypatch):
    assert import_errors.requirement("lmdb") == "lmdb"
    monkeypatch.setattr(import_errors, "sys", SimpleNamespace(version_info=(3, 8, 12)))
    assert import_errors.requirement("lmdb") == "'lmdb<2'"
