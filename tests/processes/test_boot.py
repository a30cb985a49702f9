"""How a child begins and ends: one function asks the kernel, one forks."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from caffe_pylayers.processes.boot import fork, leave, status_of

PACKAGE = Path(__file__).parent.parent.parent / "caffe_pylayers"


def raising():
    raise KeyError


@pytest.mark.parametrize(
    "function, status",
    [
        (lambda: None, 0),
        (raising, 1),
        (lambda: os._exit(7), 7),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    ],
)
def test_how_a_fork_ended(function, status):
    assert status_of(fork(function)) == status


def test_a_fork_ends_with_its_parent():
    reader, writer = os.pipe()

    def parent():
        os.write(writer, b"%d " % fork(lambda: time.sleep(60)))
        os.kill(os.getpid(), signal.SIGKILL)

    assert status_of(fork(parent)) == -signal.SIGKILL
    os.close(writer)
    with open(reader, "rb") as pipe:  # at its end when all who could write to it are gone
        begun = time.monotonic()
        child = int(pipe.read())
    assert time.monotonic() - begun < 30, child


def test_a_child_that_leaves_has_said_all():
    reader, writer = os.pipe()

    def child():
        sys.stdout = open(writer, "w")
        sys.stdout.write("all")
        leave()

    assert status_of(fork(child)) == 0
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "all"


def test_there_is_one_way_each():
    """To start a program, to fork, and to ask the kernel to be ended."""
    ways = re.compile(r"prctl\(|\bos\.fork\(|\bos\.waitpid\(|\bsubprocess\.(Popen|run|call|check_output|check_call)\(")
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for way in ways.finditer(path.read_text()):
            found.setdefault(way[0], []).append(str(path.relative_to(PACKAGE)))
    assert {way: sorted(files) for way, files in found.items()} == {
        "prctl(": ["processes/boot.py"],
        "os.fork(": ["processes/boot.py"],
        "os.waitpid(": ["processes/boot.py"],
        "subprocess.Popen(": ["processes/child.py", "processes/probe.py"],
    }
