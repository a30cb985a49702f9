"""The wheel, installed next to a Caffe that is there, moves none of its versions and works with them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import caffe
import pytest

from caffe_pylayers.commands.doctor.extension import numpy_of
from tests.doctor.examined import findings, program_itself

ROOT = Path(__file__).resolve().parents[1]

#: What a Caffe environment of some years ago has, and where Python is newer than that, of its first years.
THEIRS = (
    "numpy==1.26.4 protobuf==3.20.3 h5py==3.10.0 lmdb==1.4.1 scikit-image==0.22.0 PyYAML==6.0.1 six"
    if sys.version_info < (3, 13)
    else "numpy==2.3.5 protobuf==5.29.5 h5py==3.15.1 lmdb==1.7.5 scikit-image==0.26.0 PyYAML==6.0.3 six"
).split()

NET = """
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
"""

PROGRAM = """
import os
os.environ["GLOG_minloglevel"] = "2"
import numpy as np
import caffe, caffe_pylayers
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
assert "site-packages" in caffe_pylayers.__file__
write_lmdb("db", [Datum(bytes([n] * 12), n % 3, 1, 3, 4) for n in range(30)])
open("net.prototxt", "w").write('''
layer { name: "train_data" type: "Python" top: "data" top: "label" python_param { module: "caffe_pylayers"
  layer: "ImageDataLayer" param_str: "{'source_type': 'LMDB', 'source': 'db', 'batch_size': 30, 'prefetch': True}" } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "weights" type: "Python" bottom: "label" top: "weights" python_param { module: "caffe_pylayers"
  layer: "SampleWeight" param_str: "'n_classes': 3, 'scale': 'mean_one'" } }
layer { name: "loss" type: "Python" bottom: "ip" bottom: "label" bottom: "weights" top: "loss" loss_weight: 1
  python_param { module: "caffe_pylayers" layer: "WeightedSoftmaxLoss" } }
''')
net = caffe.Net("net.prototxt", caffe.TRAIN)
loss = net.forward()["loss"]
assert abs(loss - np.log(3)) < 1e-6, loss
net.backward()
print("it works")
"""


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def versions(python, cwd):
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json", cwd=cwd))
    return {package["name"].lower(): package["version"] for package in listed}


def added_by(requirement, python, cwd):
    """The packages that pip would install or move."""
    command = ("-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "--only-binary=:all:", requirement)
    return {each["metadata"]["name"].lower() for each in json.loads(run(python, *command, cwd=cwd))["install"]}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools works in the folder, and would pack what an earlier build left there.
    shutil.copytree(ROOT / "caffe_pylayers", folder / "caffe_pylayers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(folder), cwd=folder)
    (path,) = folder.glob("caffe_pylayers-*.whl")
    return str(path)


def test_it_leaves_the_environment_as_it_is(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "env", cwd=tmp_path)
    python = str(tmp_path / "env" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:", *THEIRS, cwd=tmp_path)
    before = versions(python, tmp_path)
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", wheel, cwd=tmp_path)
    after = versions(python, tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) >= {
        "caffe-pylayers",
        "opencv-python",
        "pydantic",
        "tqdm",
        "click",
        "rich",
        "matplotlib",
    }
    run(python, "-m", "pip", "check", cwd=tmp_path)
    added = added_by(f"{wheel}[onnx]", python, tmp_path)
    assert "onnx" in added and added & set(after) <= {"caffe-pylayers"}
    for extra, cupy in (("gpu11", "cupy-cuda11x"), ("gpu", "cupy-cuda12x"), ("gpu13", "cupy-cuda13x")):
        added = added_by(f"{wheel}[{extra}]", python, tmp_path)
        assert cupy in added and added & set(after) <= {"caffe-pylayers"}
    (tmp_path / "ip.prototxt").write_text(NET)
    program = str(tmp_path / "env" / "bin" / "caffe-pylayers")
    assert "`import caffe` fails" in run(program, "check", "ip.prototxt", cwd=tmp_path)
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip()
    Path(site, "caffe.pth").write_text(str(Path(caffe.__file__).parents[1]))
    assert "it works" in run(python, "-c", PROGRAM, cwd=tmp_path)
    assert "`import caffe` fails" not in run(program, "check", "ip.prototxt", cwd=tmp_path)
    # With the environment active, the Python inside the `caffe` program finds it too.
    command = f". env/bin/activate && {program_itself()} time -model net.prototxt -iterations 1"
    run("bash", "-c", command, cwd=tmp_path)
    if sys.version_info < (3, 13):  # no package for a later one is compiled with NumPy 1
        (extension,) = Path(site, "h5py").glob("_conv.*.so")
        assert numpy_of(str(extension)) == 1  # h5py 3.10 is older than NumPy 2
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "numpy==2.0.2", cwd=tmp_path)
        found = findings("python_side.packages", python=python, PYTHONPATH="")["h5py"]
        assert "against NumPy 1, but NumPy 2 is installed" in found["found"]
        run("bash", "-c", found["remedy"], cwd=tmp_path)
        run(python, "-c", "import caffe, h5py", cwd=tmp_path)


def test_it_has_only_the_package(wheel):
    names = run(sys.executable, "-m", "zipfile", "--list", wheel, cwd=ROOT)
    tops = {line.split("/")[0] for line in names.splitlines()[1:]}
    assert tops == {"caffe_pylayers", next(name for name in tops if name.endswith(".dist-info"))}
    assert "caffe_pylayers/py.typed" in names
    assert "caffe_pylayers/netspec.pyi" in names
