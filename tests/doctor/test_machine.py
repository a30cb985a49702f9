"""What the machine gives, or a container refuses."""

import ctypes
import os

import pytest

from tests.doctor.examined import findings


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
