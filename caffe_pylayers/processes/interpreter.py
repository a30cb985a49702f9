"""Which Python this is: a Python program, or one embedded in another such as `caffe`."""

import os
import sys


def embedded() -> bool:
    """Whether this interpreter lives inside another program, as in `caffe train`."""
    try:
        program = os.path.realpath("/proc/self/exe")
    except OSError:
        return False
    return program != os.path.realpath(sys.executable or "")


def executable() -> str:
    """The program that runs this very Python.

    In an embedded interpreter `sys.executable` is whichever python3 comes first on PATH, often another one; the one
    under `sys.exec_prefix` is right.
    """
    if not embedded():
        return sys.executable
    folder = os.path.join(sys.exec_prefix, "bin")
    names = (f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3")
    found = [os.path.join(folder, name) for name in names if os.access(os.path.join(folder, name), os.X_OK)]
    if not found:
        raise RuntimeError(
            f"no Python program {' or '.join(names)} in {folder}, but workers need one; set PYTHONHOME to the prefix of "
            f"the Python that Caffe was built with, or use prefetch: false"
        )
    return found[0]


def environment() -> "dict[str, str]":
    """The environment for a Python child: no PYTHONHOME meant for the embedded one, one BLAS thread a worker."""
    variables = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if embedded():
        variables.pop("PYTHONHOME", None)
    return variables
