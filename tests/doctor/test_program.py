"""The Python inside the `caffe` program; a remedy that is told is tried."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from caffe_pylayers.commands.doctor import program
from tests.doctor.examined import PYCAFFE, ROOT, findings, program_itself


def another_release(folder):
    """This Python at another place, with a standard library that fits no other program, as that of another patch release."""
    library = Path(os.__file__).parent
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for place in (folder / "bin", folder / "lib" / name):
        place.mkdir(parents=True)
    shutil.copy2(Path(sys._base_executable).resolve(), folder / "bin" / name)
    (folder / "bin" / "python3").symlink_to(name)
    for shared in library.parent.glob("libpython*"):
        (folder / "lib" / shared.name).symlink_to(shared)
    for entry in library.iterdir():
        if entry.name not in ("datetime.py", "__pycache__", "site-packages", "dist-packages"):
            (folder / "lib" / name / entry.name).symlink_to(entry)
    refuse = f"import os\nif os.path.realpath('/proc/self/exe') != {os.fspath(folder / 'bin' / name)!r}:\n    raise ImportError\n"
    (folder / "lib" / name / "datetime.py").write_text(refuse + (library / "datetime.py").read_text())
    return folder / "bin" / name


@pytest.mark.parametrize("first", ["", f"{sys.base_prefix}/bin:", "another release"])
def test_a_program_that_does_not_find_the_packages_and_the_remedy_works(first, tmp_path):
    program = program_itself()
    special = {}
    if first == "another release":
        python = another_release(tmp_path / "python")
        packages = sysconfig.get_path("purelib")
        special = {"python": python, "PYTHONPATH": os.pathsep.join([str(ROOT), packages, str(PYCAFFE.parent)])}
        first = f"{python.parent}:"
    path = f"{program.parent}:{first}/usr/bin:/bin"
    found = findings("program.caffe_program", PATH=path, **special)["caffe program"]
    assert found["level"] == "error" and str(program) in found["found"]
    settings = found["remedy"].split(" caffe train ...")[0]
    if special:
        assert f"of {sys.base_prefix}, but takes the standard library of {tmp_path}/python: " in found["found"]
        assert f"PYTHONHOME={sys.base_prefix} " in settings
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


def test_a_packaged_caffe_does_not_bring_its_folder_before_an_environment():
    sites = ["/env/lib/python3.9/site-packages", "/usr/lib/python3/dist-packages"]
    assert program._with_caffe("/usr/lib/python3/dist-packages/caffe/_caffe.so", sites) == sites
    assert program._with_caffe("/opt/caffe/python/caffe/_caffe.so", sites) == ["/opt/caffe/python", *sites]
    assert program._with_caffe(None, sites) == sites
