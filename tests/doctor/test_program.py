"""The Python inside the `caffe` program; a remedy that is told is tried."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doctor.examined import ROOT, findings


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
    assert "is another program: it cannot run a net" in found["found"]


def test_no_program(bare_python):
    found = findings("program.caffe_program", python=bare_python, PATH="/usr/bin:/bin", PYTHONPATH=str(ROOT))
    assert found["caffe program"]["level"] == "note"
    assert "none on PATH" in found["caffe program"]["found"]
