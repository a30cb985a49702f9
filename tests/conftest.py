"""What all tests need: a quiet Caffe, one BLAS thread, Hypothesis without deadlines, and an end for what they start."""

import contextlib
import importlib
import os
import signal
import warnings

os.environ.setdefault("GLOG_minloglevel", "2")  # before the first import of caffe, which reads it once
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What pycaffe imports may be old, and warn of itself; the tests make an error of each warning.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    importlib.import_module("caffe")

import pytest
from hypothesis import settings

from tests import reaper
from tests.forks.process import write_programs
from tests.layers import runs
from tests.photos import write_photos

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_configure(config):
    reaper.watch_this_process()


#: What takes longest comes first, so that no process of `pytest -n 2 --dist loadfile` is left with it at the end.
LONG = (
    "test_promises",
    "test_demo",
    "test_commands_page",
    "test_conversion_interrupted",
    "test_processes",
    "test_changed_sources",
    "test_docs",
    "test_tasks",
    "test_hdf5",
    "test_streams",
    "test_throughput",
)


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """File names of any bytes stand in the log of some tests; what one process of pytest tells another must be text."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder for PATH: `caffe-pylayers` and `python`, of which all starts but the first are forks."""
    return write_programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(autouse=True)
def nothing_runs_on():
    """A test that fails must not leave a run behind that slows all others."""
    yield
    while runs.started:
        process = runs.started.pop()
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run a command of `caffe-pylayers` in this process, in tmp_path; returns its status, stdout and stderr."""
    from caffe_pylayers.commands.program import main

    monkeypatch.chdir(tmp_path)

    def run_here(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return (ended.value.code, *capsys.readouterr())

    return run_here
