"""Programs that begin as forks (`tests.forks`) are processes as others are, with all that whoever starts them decides."""

import os
import resource
import signal
import subprocess
import sys

import psutil
import pytest

from tests.forks.process import Process


def python(folder, code, *arguments, **environment):
    return Process([sys.executable, "-c", code, *arguments], folder, environment)


def test_what_it_gets_and_how_it_ends(tmp_path):
    """Streams, folder, variables, arguments, a session of its own; Caffe is imported, and no thread runs."""
    code = """
import os, sys, threading
print(os.getcwd(), sorted(os.environ.items()), sys.argv, sys.path[:2], os.getsid(0) == os.getpid(), sys.stdin.read())
print("caffe" in sys.modules, __name__, os.listdir("/proc/self/task") == [str(os.getpid())], file=sys.stderr)
raise SystemExit(7)
"""
    process = python(tmp_path, code, "a", PYTHONPATH="/there")
    output, _ = process.communicate(timeout=60)
    assert sorted(output.splitlines()) == sorted(
        [f"{tmp_path} [('PYTHONPATH', '/there')] ['-c', 'a'] ['', '/there'] True ", "True __main__ True"]
    )
    assert process.returncode == process.poll() == process.wait() == 7


@pytest.mark.parametrize(
    "code, status, says",
    [
        ("print('yes', end='')", 0, "yes"),
        ("import atexit; atexit.register(print, 'at the end')", 0, "at the end\n"),
        ("import threading, time; threading.Timer(0.1, print, ['thread']).start()", 0, "thread\n"),
        ("raise SystemExit('words')", 1, "words\n"),
        ("raise ValueError('a mistake')", 1, "ValueError: a mistake\n"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
        ("import os; os.abort()", -signal.SIGABRT, ""),
    ],
)
def test_it_ends_as_python_does(tmp_path, code, status, says):
    process = python(tmp_path, code)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status
    assert output.endswith(says)


def test_signals_and_patience(tmp_path):
    process = python(tmp_path, "print('begun', flush=True)\nwhile True: pass")
    assert process.stdout.readline() == "begun\n"
    for late in (process.wait, process.communicate):
        with pytest.raises(subprocess.TimeoutExpired):
            late(timeout=0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    process.kill()  # it has ended: nothing happens


def test_it_ends_with_the_test_run(tmp_path):
    """It and its server have the mark by which the reaper knows what to end."""
    process = python(tmp_path, "while True: pass")
    mark, _ = resource.getrlimit(resource.RLIMIT_RTTIME)
    fork = psutil.Process(process.pid)
    for each in (fork, fork.parent()):
        assert each.rlimit(psutil.RLIMIT_RTTIME)[0] == mark
    assert fork.parent() not in psutil.Process().children()
    process.kill()
    process.communicate()


def test_programs_on_path(programs, tmp_path):
    """The first `python`, and the first of each command, starts; later ones are forks, with the same answers."""

    def shell(command):
        path = f"{programs}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=60
        )

    for forked in (False, True):
        told = shell("python -c 'import sys; print(\"caffe\" in sys.modules); sys.exit(3)'; echo $?")
        assert told.stdout == f"{forked}\n3\n"
    described = [shell("caffe-pylayers describe LabelSmoothing | head -n 1") for _ in range(2)]
    assert [(each.stdout, each.stderr) for each in described] == [("LabelSmoothing\n", "")] * 2
    assert (programs / "caffe-pylayers describe").is_dir() and (programs / "python ").is_dir()
    assert shell("python -c 'import os; os.abort()'").returncode == -signal.SIGABRT
