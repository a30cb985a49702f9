"""Packages, and variables that Python reads."""

import shutil
import sys
from importlib.util import find_spec

import pytest

from caffe_pylayers.commands.doctor import python_side
from caffe_pylayers.commands.doctor.import_errors import VERSION
from tests.doctor.examined import ROOT, findings


def test_packages_that_are_not_there(bare_python):
    found = findings("python_side.packages", python=bare_python, PYTHONPATH=str(ROOT))
    assert set(found) == {package for package, _ in python_side.NEEDED.values()}
    assert {finding["level"] for finding in found.values()} == {"error"}
    assert found["opencv-python"]["remedy"].endswith("install 'opencv-python<4.12'")
    assert found["numpy"]["remedy"] == f"{bare_python} -m pip install numpy"  # no Caffe is there that needs another


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
    if find_spec("cupy") is None:  # CAFFE_GPU=1 brings it
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


def test_packages_of_another_python_on_the_path(tmp_path):
    folder = tmp_path / "python2.7" / "dist-packages"
    folder.mkdir(parents=True)
    told = findings("python_side.variables", PYTHONPATH=str(folder))["PYTHONPATH"]
    (tmp_path / f"python{VERSION}" / "site-packages").mkdir(parents=True)
    assert findings("python_side.variables", PYTHONPATH=f"{tmp_path}/python{VERSION}/site-packages") == {}
    assert told["level"] == "warning" and f"packages for another Python than this {VERSION}: {folder}" in told["found"]
