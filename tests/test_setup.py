"""`make setup`: what it leaves in .venv, and what it says when it cannot."""

import ast
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SETUP = ROOT / "scripts" / "setup.sh"


def run(*command, env=None, **keywords):
    """The finished process; an environment that is given is the whole environment."""
    return subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, timeout=300, **keywords
    )


def step(script, *arguments, **variables):
    """Run steps of the real setup script, with some of its variables set after it was read."""
    settings = "".join(f"{name}=${{step_{name}}}; " for name in variables)
    env = {**os.environ, **{f"step_{name}": str(value) for name, value in variables.items()}}
    return run("bash", "-c", f'. "$1"; shift; {settings} {script}', "step", SETUP, *arguments, env=env)


def caffe_python():
    """Caffe's python folder, as .venv finds it."""
    (path_file,) = VENV.glob("lib/python*/site-packages/stock_caffe.pth")
    return Path(path_file.read_text().strip())


# --- what setup leaves -------------------------------------------------------------------------------------


def test_python_imports_both_in_an_empty_environment(tmp_path):
    done = run(
        VENV / "bin/python",
        "-c",
        "import caffe, caffe_pylayers; print(caffe.__file__); print(caffe_pylayers.__file__)",
        env={},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [
        str(caffe_python() / "caffe/__init__.py"),
        str(ROOT / "caffe_pylayers/__init__.py"),
    ]


LAYER = """
import os, sys
import numpy
import caffe, caffe_pylayers

class Scale(caffe.Layer):
    def setup(self, bottom, top):
        print("pid", os.getpid())
        print("executable", sys.executable)
        print("caffe", caffe.__file__)
        print("package", caffe_pylayers.__file__)
        print("numpy", numpy.__file__)
        print("path", sys.path, flush=True)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
"""

NET = """
layer { name: "data" type: "DummyData" top: "data" top: "target"
        dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "scale" type: "Python" bottom: "ip" top: "scaled"
        python_param { module: "layer_of_the_user" layer: "Scale" } }
layer { name: "loss" type: "EuclideanLoss" bottom: "scaled" bottom: "target" top: "loss" }
"""

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 display: 1 snapshot_after_train: false
"""


@pytest.fixture
def training(tmp_path):
    """A folder with a solver and a net; its layer is in the folder `layers` beside it."""
    folder = tmp_path / "one training"
    layers = tmp_path / "layers of the user"
    folder.mkdir()
    layers.mkdir()
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER)
    (layers / "layer_of_the_user.py").write_text(LAYER)
    return folder, layers


def train(folder, pythonpath):
    """`caffe train` through the launcher, with nothing but PYTHONPATH: (pid, exit code, output)."""
    process = subprocess.Popen(
        [str(VENV / "bin/caffe"), "train", "-solver", "solver.prototxt"],
        env={"PYTHONPATH": pythonpath, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=str(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _ = process.communicate(timeout=100)
    return process.pid, process.returncode, output


def test_program_trains_with_a_layer_of_the_user(training):
    folder, layers = training
    pid, code, output = train(folder, str(layers))
    assert code == 0, output
    assert "Optimization Done" in output
    told = dict(re.findall(r"^(pid|executable|caffe|package|numpy) (.*)$", output, re.M))
    assert int(told["pid"]) == pid  # the launcher became the program: signals and exit codes are Caffe's own
    assert Path(told["executable"]).parent == VENV / "bin"
    assert told["caffe"] == str(caffe_python() / "caffe/__init__.py")
    assert told["package"] == str(ROOT / "caffe_pylayers/__init__.py")
    assert told["numpy"].startswith(str(VENV))


def test_program_does_not_look_into_the_current_directory(training):
    folder, layers = training
    shutil.copy(str(layers / "layer_of_the_user.py"), str(folder))
    _, code, output = train(folder, "::")
    assert code != 0
    assert "No module named 'layer_of_the_user'" in output


def test_program_keeps_its_own_caffe_before_another_one_on_pythonpath(training):
    folder, layers = training
    other = layers / "caffe"
    other.mkdir()
    (other / "__init__.py").write_text("raise ImportError('a Caffe of another build')")
    _, code, output = train(folder, str(layers))
    assert code == 0, output
    assert f"caffe {caffe_python() / 'caffe/__init__.py'}" in output


def test_other_programs_of_caffe_start():
    for name in ("convert_imageset", "compute_image_mean"):
        done = run(VENV / "bin" / name, "--help", env={})
        assert name in done.stdout + done.stderr


@pytest.mark.parametrize("compiled_with, needed", [("numpy.core.", "numpy<2"), ("numpy._core.", "numpy>=2")])
def test_numpy_is_one_that_the_users_caffe_bears(tmp_path, compiled_with, needed):
    """What is compiled with NumPy 2 imports its C module by a new name, what is compiled with NumPy 1 by the old one."""
    extension = (caffe_python() / "caffe/_caffe.so").read_bytes()
    there = extension.replace(b"numpy._core.", b"numpy.core.").replace(b"numpy.core.", compiled_with.encode())
    (tmp_path / "_caffe.so").write_bytes(there)
    done = step("numpy_requirement", caffe_root="/opt", caffe_extension=tmp_path / "_caffe.so", python_version="3.11")
    assert done.stdout.strip() == needed, done.stderr


@pytest.mark.parametrize("environment", ["own", "empty", "activated"])
def test_second_setup_has_nothing_to_do(environment):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # as in no other make
    if environment == "empty":
        kept = ("PATH", "HOME", "XDG_CACHE_HOME", "PYTHON", "CAFFE_ROOT")
        env = {name: env[name] for name in kept if name in env}
    elif environment == "activated":
        env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    done = run("make", "setup", env=env, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[setup] nothing to do: .venv is up to date"


# --- a Caffe that somebody else packaged -------------------------------------------------------------------


@pytest.fixture
def packaged(tmp_path):
    """A Caffe as Debian 11 has it below /usr: this one's, among the packages of its Python. One of them breaks NumPy."""
    packages = tmp_path / "usr/lib/python3/dist-packages"
    shutil.copytree(
        str(caffe_python() / "caffe"), str(packages / "caffe"), ignore=shutil.ignore_patterns("test", "__pycache__")
    )
    (packages / "caffe/_caffe.so").rename(packages / "caffe" / f"_caffe{EXTENSION_SUFFIXES[0]}")
    (packages / "numpy.py").write_text("raise ImportError('the NumPy of another Python')")
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/caffe").symlink_to(caffe_python().parent / "bin/caffe")
    return tmp_path / "usr"


def test_a_packaged_caffe_is_found(packaged):
    script = 'locate_caffe "$1" && caffe_is_packaged && echo "$caffe_python $caffe_extension $caffe_programs"'
    folder = packaged / "lib/python3/dist-packages"
    extension = folder / "caffe" / f"_caffe{EXTENSION_SUFFIXES[0]}"
    assert step(script, packaged).stdout == f"{folder} {extension} {packaged / 'bin'}\n"


def test_of_a_packaged_caffe_only_caffe_is_on_the_path(packaged, tmp_path):
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    (site_packages,) = venv.glob("lib/python*/site-packages")
    (site_packages / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})")
    done = step('locate_caffe "$1" && link_caffe', packaged, venv=venv, python_prefix=sys.base_prefix)
    assert done.returncode == 0, done.stderr
    assert (site_packages / "stock_caffe.pth").read_text() == f"{venv}/stock_caffe\n"
    net = ROOT / "scripts/check/net.prototxt"
    command = [venv / "bin/caffe", "time", "-model", net, "-iterations", "1"]
    done = run(*command, env={"PYTHONPATH": str(net.parent), "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("whose, shared", [("its own", True), ("another Python's", False)])
def test_what_a_packaged_caffe_imports_is_shared_if_it_is_of_the_same_python(packaged, whose, shared):
    folder = sysconfig.get_path("purelib") if shared else packaged / "lib/python3/dist-packages"
    done = step("shares_packages", caffe_python=folder, python=sys.executable)
    assert (done.returncode == 0) == shared


@pytest.mark.parametrize(
    "imports, requirement",
    [
        ("from google.protobuf import reflection as _reflection", "protobuf<3.21"),
        ("from google.protobuf.internal import builder as _builder", "protobuf"),
    ],
)
def test_protobuf_is_one_that_a_caffe_runs_with(tmp_path, imports, requirement):
    (tmp_path / "caffe/proto").mkdir(parents=True)
    (tmp_path / "caffe/proto/caffe_pb2.py").write_text(f"{imports}\n")
    assert step("protobuf_requirement", caffe_root="/opt/caffe", caffe_python=tmp_path).stdout == f"{requirement}\n"


# --- what it says when it cannot ---------------------------------------------------------------------------


def test_sdist_that_is_not_the_pinned_one_is_refused(tmp_path):
    pinned = step('echo "$SDIST_SHA256"').stdout.strip()
    sdist = tmp_path / "sdist" / "brocolli-caffe-3.0.0.tar.gz"
    sdist.parent.mkdir()
    sdist.write_bytes(b"half a download")
    done = step("fetch_sdist", cache=tmp_path)
    assert done.returncode == 1
    assert str(sdist) in done.stderr
    assert pinned in done.stderr
    assert run("sha256sum", sdist).stdout.split()[0] in done.stderr
    assert "run 'make setup' again" in done.stderr


def test_caffe_root_without_a_caffe(tmp_path):
    done = run("make", "setup", env={**os.environ, "CAFFE_ROOT": str(tmp_path), "CAFFE_GPU": ""}, cwd=ROOT)
    assert done.returncode != 0
    assert f"no usable Caffe in CAFFE_ROOT={tmp_path}" in done.stderr
    assert re.search(r"python/caffe/_caffe.so +not found", done.stderr)
    assert re.search(r"build/tools/caffe, or bin/caffe +not found", done.stderr)
    assert "CAFFE_ROOT= make setup" in done.stderr


def test_caffe_root_that_is_no_folder(tmp_path):
    done = run("make", "setup", env={**os.environ, "CAFFE_ROOT": str(tmp_path / "none"), "CAFFE_GPU": ""}, cwd=ROOT)
    assert done.returncode != 0
    assert f"CAFFE_ROOT={tmp_path / 'none'} is not a folder" in done.stderr


OURS = "{}.{}".format(*sys.version_info[:2])
OTHERS = {"3.10" if OURS != "3.10" else "3.11": "PYTHON=python3.1", "2.7": f"Compile it again for {sys.base_prefix}"}


@pytest.mark.parametrize("other, remedy", OTHERS.items())
def test_caffe_root_built_for_another_python(tmp_path, other, remedy):
    extension = (caffe_python() / "caffe/_caffe.so").read_bytes()
    extension = extension.replace(f"libpython{OURS}".encode(), f"libpython{other}".encode())
    boost = [f"libboost_python{version.replace('.', '')}".encode() for version in (OURS, other)]
    extension = extension.replace(*boost)
    (tmp_path / "python/caffe").mkdir(parents=True)
    (tmp_path / "python/caffe/_caffe.so").write_bytes(extension)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/caffe").symlink_to(VENV / "bin/caffe")
    done = run("make", "setup", env={**os.environ, "CAFFE_ROOT": str(tmp_path), "CAFFE_GPU": ""}, cwd=ROOT)
    assert done.returncode != 0
    assert f"is built for Python {other}" in done.stderr
    assert f"is Python {OURS}" in done.stderr or "needs Python 3.8 or later" in done.stderr
    assert remedy in done.stderr


def test_failed_setup_leaves_the_old_one_usable(tmp_path):
    run("make", "setup", env={**os.environ, "CAFFE_ROOT": str(tmp_path), "CAFFE_GPU": ""}, cwd=ROOT)
    done = run("make", "setup", cwd=ROOT)
    assert "nothing to do" in done.stdout


@pytest.fixture
def without_root():
    """Run a step of the setup script as another user, with bash and the few programs that it uses, and no sudo."""
    prefix = []
    if os.getuid() == 0:
        prefix = [shutil.which("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
    # Another user may not read the checkout, so the real script is copied to where anybody may.
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(str(ROOT / "scripts"), folder + "/scripts")
        run("chmod", "-R", "a+rX", folder)
        programs = Path(folder, "bin")
        programs.mkdir(mode=0o755)
        for name in ("bash", "dirname", "dpkg-query", "find", "id", "sed"):
            (programs / name).symlink_to(shutil.which(name))
        setup = f"{folder}/scripts/setup.sh"
        yield lambda script: run(
            *prefix,
            programs / "bash",
            "-c",
            f'. "$1"; {script}',
            "step",
            setup,
            env={"PATH": str(programs)},
            cwd=folder,
        )


INSTALL = "sudo apt-get install -y --no-install-recommends libneither-dev libnor-dev\n"


@pytest.mark.parametrize(("lists", "command"), [("true", INSTALL), ("false", "sudo apt-get update && " + INSTALL)])
def test_missing_packages_without_root_print_the_command(without_root, lists, command):
    done = without_root(f"has_package_lists() {{ {lists}; }}; require_packages bash libneither-dev libnor-dev")
    assert done.returncode == 1
    assert done.stderr.endswith(f"\n    {command}")


def test_package_that_was_renamed_is_not_missing(without_root):
    """Such as libglib2.0-0, which libglib2.0-0t64 provides on Debian 13: any installed name will do, and what it provides."""
    provided = run("dpkg-query", "-W", "-f", "${db:Status-Status}, ${Provides}\n").stdout
    names = re.findall(r"(?m)^installed, (?:.*, )?([a-z0-9.+-]+)", provided)
    assert names
    assert without_root("missing_packages bash libneither-dev " + " ".join(names)).stdout == "libneither-dev\n"


def test_interpreter_without_a_shared_library():
    done = step(
        "check_interpreter",
        caffe_root="",
        python="/opt/python/bin/python3.11",
        python_version="3.11",
        python_makes_venv="yes",
        python_library="",
    )
    assert done.returncode == 1
    assert "no shared library libpython3.11.so" in done.stderr
    assert "--enable-shared" in done.stderr
    assert "PYTHON=/usr/bin/python3" in done.stderr


def test_even_python_2_tells_its_version():
    """So `make setup` can refuse it by its version: no f-strings and annotations, which are of Python 3."""
    nodes = list(ast.walk(ast.parse((ROOT / "scripts/interpreter.py").read_text())))
    assert not [node.lineno for node in nodes if isinstance(node, (ast.JoinedStr, ast.AnnAssign))]


def test_interpreter_that_is_none(tmp_path):
    done = run("make", "setup", env={**os.environ, "PYTHON": str(tmp_path / "python3")}, cwd=ROOT)
    assert done.returncode != 0
    assert f"the interpreter '{tmp_path / 'python3'}' does not run" in done.stderr


def test_disk_that_is_too_small(tmp_path):
    done = step('need_space "$1" 99999999 "building Caffe" "name another folder"', tmp_path / "not/yet/there")
    assert done.returncode == 1
    assert "building Caffe needs 99999999 MiB" in done.stderr
    assert "MiB are free" in done.stderr


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = step("start_log", cache=tmp_path / "file/caffe_pylayers")
    assert done.returncode == 1
    assert "XDG_CACHE_HOME=" in done.stderr


@pytest.mark.parametrize(
    "given, folder", [(None, "/big disk"), ("", "/home/me/.cache"), ("/other", "/other"), ("here", f"{ROOT}/here")]
)
def test_cache_folder_is_remembered(tmp_path, given, folder):
    (tmp_path / "setup.XDG_CACHE_HOME").write_text("/big disk")
    env = {"PATH": os.environ["PATH"], "HOME": "/home/me", **({} if given is None else {"XDG_CACHE_HOME": given})}
    script = '. "$1"; venv=$2; find_cache; echo "$cache"'
    done = run("bash", "-c", script, "step", SETUP, tmp_path, env=env, cwd=ROOT)
    assert done.stdout == f"{folder}/caffe_pylayers\n", done.stderr


@pytest.mark.parametrize("target", ["demo", "results", "bench", "soak", "gpu", "docs"])
def test_targets_use_the_remembered_cache_folder(tmp_path, target):
    """With a Python that says where it would look; the target `setup` counts as done."""
    shutil.copy(str(ROOT / "Makefile"), str(tmp_path))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/setup.XDG_CACHE_HOME").write_text("/big disk")
    (tmp_path / ".venv/bin/python").write_text('#!/bin/sh\necho "$XDG_CACHE_HOME"\n')
    (tmp_path / ".venv/bin/python").chmod(0o755)
    done = run("make", "-s", "-o", "setup", target, cwd=tmp_path)
    assert set(done.stdout.splitlines()) == {"/big disk"}, done.stderr


# --- a Caffe for GPUs ---------------------------------------------------------------------------------------


@pytest.fixture
def toolkit(tmp_path):
    """A function that makes a folder look like CUDA's toolkit; its compiler says that version, and where it is."""

    def make(version, libraries=("cublas", "curand", "cudart"), name="cuda"):
        folder = tmp_path / name
        for part in ("bin", "include", "lib64"):
            (folder / part).mkdir(parents=True)
        for header in ("cublas_v2.h", "curand.h"):
            (folder / "include" / header).touch()
        for library in libraries:
            (folder / "lib64" / f"lib{library}.so").touch()
        nvcc = folder / "bin/nvcc"
        nvcc.write_text(
            f"#!/bin/sh\necho '#$ TOP={folder}/bin/..' >&2\necho 'Cuda compilation tools, release {version}, V{version}.99'\n"
        )
        nvcc.chmod(0o755)
        return folder

    return make


def found_cuda(tmp_path, **environment):
    """What find_cuda says and finds, with no CUDA but what the environment names."""
    script = '. "$1"; cache=$2; find_cuda; echo "found $cuda_version in $cuda"'
    return run("bash", "-c", script, "step", SETUP, tmp_path, env={"PATH": "/usr/bin:/bin", **environment})


@pytest.mark.parametrize("given, used", [(None, "remembered"), ("", ""), ("/other", "/other")])
def test_the_toolkit_is_remembered(tmp_path, given, used):
    for name, value in (("GPU", "1"), ("CUDA_ARCH", "9.0")):
        (tmp_path / f"setup.CAFFE_{name}").write_text(value)
    (tmp_path / "setup.CUDA_HOME").write_text("remembered")
    env = {"PATH": os.environ["PATH"], **({} if given is None else {"CUDA_HOME": given})}
    script = '. "$1"; venv=$2; caffe_root=; choose_gpu; echo "$gpu, $cuda_arch, $CUDA_HOME"'
    assert run("bash", "-c", script, "step", SETUP, tmp_path, env=env).stdout == f"1, 9.0, {used}\n"


@pytest.mark.parametrize("version", ["11.8", "12.4", "13.0"])
def test_a_toolkit_is_found_by_what_its_compiler_says(tmp_path, toolkit, version):
    folder = toolkit(version)
    starter = tmp_path / "bin/nvcc"  # as a link on PATH, or a script that starts it
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec {folder}/bin/nvcc "$@"\n')
    starter.chmod(0o755)
    for environment in ({"CUDA_HOME": str(folder)}, {"PATH": f"{starter.parent}:/usr/bin:/bin"}):
        assert f"found {version} in {folder}\n" in found_cuda(tmp_path, **environment).stdout


def test_a_toolkit_that_does_not_do_is_told_and_not_used(tmp_path, toolkit):
    old, half = toolkit("10.2", name="old"), toolkit("12.4", ("cudart",), name="half")
    done = found_cuda(tmp_path, CUDA_HOME=str(old), CUDA_PATH=str(half), PATH=f"{half}/bin:/usr/bin:/bin")
    assert f"not used: {old}/bin/nvcc is of CUDA 10.2" in done.stdout
    assert f"not used: the CUDA 12.4 in {half} lacks cuBLAS or cuRAND" in done.stdout
    assert done.stdout.count(str(half)) == 1
    assert f"in {tmp_path}/cuda-13.0\n" in done.stdout or "in /usr/local/cuda" in done.stdout


def test_cuda_home_without_a_compiler(tmp_path):
    done = found_cuda(tmp_path, CUDA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"CUDA_HOME={tmp_path} has no bin/nvcc that runs" in done.stderr
    assert "CUDA_HOME= make setup" in done.stderr


@pytest.mark.parametrize(
    "given, found",
    [("9.0", "90"), ("8.6 9.0", "86 90"), ("86;90", "86 90"), ("7.5,8.0", "75 80"), ("", None), ("Hopper", "")],
)
def test_architectures(given, found):
    done = step("gpu_architectures", cuda_arch=given, cuda_version="13.0")
    if found is None:  # those of the GPUs of this machine, or the oldest
        assert re.fullmatch(r"\d+( \d+)*", done.stdout)
    elif found:
        assert done.stdout == found
    else:
        assert "CAFFE_CUDA_ARCH='Hopper' is not a list of compute capabilities" in done.stderr


def test_one_wants_either_a_caffe_that_is_there_or_one_for_gpus(tmp_path):
    done = run("make", "setup", env={**os.environ, "CAFFE_ROOT": str(tmp_path), "CAFFE_GPU": "1"}, cwd=ROOT)
    assert done.returncode != 0
    assert "CAFFE_GPU=1 builds a Caffe, but CAFFE_ROOT=" in done.stderr
    assert f"CAFFE_GPU= CAFFE_ROOT='{tmp_path}' make setup" in done.stderr
    done = run("make", "setup", env={**os.environ, "CAFFE_GPU": "yes"}, cwd=ROOT)
    assert "CAFFE_GPU=yes is neither 1 nor 0" in done.stderr


@pytest.mark.parametrize("version, changed", [("11.8", False), ("12.9", False), ("13.0", True)])
def test_the_source_is_changed_for_cuda_13_only(tmp_path, version, changed):
    """In a line of the real source, which is there where `make setup` has built Caffe."""
    cache = step("find_cache; echo $cache").stdout.strip()
    sdist = Path(cache, "sdist/brocolli-caffe-3.0.0.tar.gz")
    if not sdist.exists():  # CAFFE_ROOT: there is nothing to build
        assert (VENV / "setup.CAFFE_ROOT").read_text()
        return
    name = "brocolli-caffe-3.0.0/src/caffe/common.cpp"
    assert run("tar", "-xzf", sdist, "-C", tmp_path, name).returncode == 0
    source = tmp_path / name
    assert "prop.clockRate" in source.read_text()
    done = step('patch_for_cuda "$1"', tmp_path / "brocolli-caffe-3.0.0", cuda_version=version, log=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert ("prop.clockRate" in source.read_text()) is not changed


@pytest.mark.parametrize("version, extra", [("11.8", "gpu11"), ("12.4", "gpu"), ("13.1", "gpu13")])
def test_the_extra_with_cupy_for_that_cuda_is_there(version, extra):
    assert step("gpu_extra", cuda_version=version).stdout.strip() == extra
    assert re.search(f"^{extra} =$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)


def test_failing_step_shows_the_end_of_its_log(tmp_path):
    done = step(
        'start_log; logged sh -c "seq 9; echo the reason; exit 1" || fail_with_log 2 "it failed." "Try."',
        cache=tmp_path,
    )
    assert done.returncode == 1
    (log,) = tmp_path.glob("log/*.log")
    assert done.stderr == (f"\n[setup] ERROR: it failed.\n  The last lines of {log}:\n  | 9\n  | the reason\n  Try.\n")


@pytest.mark.parametrize("text", ["plain", "with space", "it's", '$HOME `ls` "', "back\\slash & more"])
def test_words_of_the_launcher_are_quoted(text):
    word = step('quoted "$1"', text).stdout
    assert run("sh", "-c", f"printf %s {word}").stdout == text


def test_documentation_has_the_pinned_version():
    assert "brocolli-caffe==3.0.0" in (ROOT / "docs/troubleshooting.md").read_text()


def test_second_build_waits_for_the_first_and_takes_it(tmp_path):
    script = 'python_choice="$1"; caffe_root=""; packages=(); find_interpreter; '
    prefix = step(script + "build_folder", sys.executable, cache=tmp_path).stdout
    assert Path(prefix).parent == tmp_path
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        script = f'. "$1"; cache=$2; shift 2; {script} cached_caffe; echo "$caffe_python"'
        waiting = subprocess.Popen(
            ["bash", "-c", script, "step", str(SETUP), str(tmp_path), sys.executable],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert "another 'make setup' is building Caffe: waiting for it" in waiting.stdout.readline()
        os.symlink(str(caffe_python().parent), prefix)
    output, _ = waiting.communicate(timeout=200)
    assert waiting.returncode == 0
    assert output == f"{prefix}/python\n"


@pytest.mark.soak
def test_build_that_is_killed_leaves_nothing_half_done(tmp_path):
    steps = 'find_cache; start_log; find_interpreter; prepare_system; cached_caffe; echo "built $caffe_python"'
    script = f'. "$1"; python_choice="$2"; caffe_root=""; packages=(); {steps}'
    command = ["bash", "-c", script, "step", str(SETUP), sys.executable]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stderr:
        if " 10 of " in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    cache = tmp_path / "caffe_pylayers"
    assert not list(cache.glob("caffe-*"))
    assert list(cache.glob("work.*"))

    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    (built,) = cache.glob("caffe-*")
    assert done.stdout.splitlines()[-1] == f"built {built}/python"
    assert not list(cache.glob("work.*"))
    python = VENV / "bin/python"
    done = run(python, "-c", "import caffe; print(caffe.__file__)", env={"PYTHONPATH": f"{built}/python"})
    assert done.stdout.strip() == f"{built}/python/caffe/__init__.py"


@pytest.mark.soak
def test_what_a_newcomer_does():
    """As scripts/machines/packaged_caffe.sh tries it beside other Caffes."""
    path = f"{VENV / 'bin'}:{os.environ['PATH']}"
    done = run(sys.executable, ROOT / "scripts/machines/tries.py", env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stdout
