"""A test run that is killed leaves no process."""

import os
import resource
import subprocess
import sys
import time

import psutil
import pytest

from tests import reaper
from tests.pages import ROOT

#: A host as those of layers are started: in a session and with an environment of its own, with a process below that it leaves.
TEST = """
import subprocess, sys, time

HOST = "import subprocess, sys, time; subprocess.Popen([sys.executable, *sys.argv[1:]], start_new_session=True)"
BELOW = "import os, time; open(f'below {{os.getpid()}}', 'w').close(); time.sleep(1000)"

def test_that_is_killed():
    host = [sys.executable, "-c", HOST + "; time.sleep(1000)", "-c", BELOW, {name!r}]
    subprocess.Popen(host, start_new_session=True, env={{}})
    subprocess.run([sys.executable, "-c", HOST, "-c", BELOW, {name!r}], env={{}})
    time.sleep(1000)
"""

PYTEST = [
    sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_that_is_killed.py",
]  # fmt: skip


def of_the_run(name):
    """The processes of hosts of this name, and of the test runs that started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (name in process.cmdline() or process.cwd() == name):
                found.append(process)
        except psutil.Error:
            continue
    return found


def as_a_person_starts_it():
    resource.setrlimit(resource.RLIMIT_RTTIME, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    reaper.end_with_parent()


def wait_until(holds, seconds=200):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("killed", ["pytest", "pytest of two", "worker", "make"])
def test_nothing_is_left(tmp_path, killed):
    name = str(tmp_path)
    (tmp_path / "test_that_is_killed.py").write_text(TEST.format(name=name))
    (tmp_path / "Makefile").write_text(f"test:\n\t{' '.join(PYTEST)}\n")
    command = {"pytest": PYTEST, "make": ["make"]}.get(killed, [*PYTEST, "-n", "1", "--max-worker-restart", "0"])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE"))}
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        preexec_fn=as_a_person_starts_it,
    )
    try:
        wait_until(lambda: len(list(tmp_path.glob("below *"))) == 2)
        victim = psutil.Process(run.pid)
        if killed == "worker":
            (victim,) = victim.children()
        victim.kill()
        run.wait(200)
        wait_until(lambda: of_the_run(name) == [])
    finally:
        for process in of_the_run(name):
            process.kill()
        run.wait()
