"""What all tests need: a quiet Caffe, one BLAS thread, Hypothesis without deadlines, and an end for what they start."""

import contextlib
import os
import signal
import warnings

from caffe_pylayers.processes.blas import processor_flags

os.environ.setdefault("GLOG_minloglevel", "2")  # before the first import of caffe, which reads it once
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if processor_flags() >= {"avx2", "fma"}:  # an old OpenBLAS may not know a new processor, and then it is slow
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")

# What pycaffe imports may be old, and warn of itself; the tests make an error of each warning.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import caffe

import pytest
from hypothesis import settings

from caffe_pylayers.layers import device
from caffe_pylayers.processes.gpu import no_gpu
from tests import caffe_nets, reaper, stock_data_layers
from tests.forks.process import write_programs
from tests.layers import runs
from tests.losses.device_arrays import Device, ndarray, readable
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if pyfuncitem.get_closest_marker("stock_data") and no_gpu():
        stock_data_layers.require_failure(pyfuncitem)
        return True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """File names of any bytes stand in the log of some tests; what one process of pytest tells another must be text."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def nets_anywhere(tmp_path_factory):
    """Nets that are written into no folder of a test lie in pytest's, which pytest empties."""
    caffe_nets.anywhere = str(tmp_path_factory.mktemp("nets"))


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


@pytest.fixture
def on_device(monkeypatch):
    """A function that runs another with device arrays in place of NumPy's."""

    def on_device(function, *args):
        taken = []
        with monkeypatch.context() as patch:
            patch.setattr(device, "current", lambda: taken.append(Device) or Device)
            result = function(*args)
        assert taken
        return result

    return on_device


@pytest.fixture
def seen_by_the_host(monkeypatch):
    """The shapes of the blobs that are taken in host memory, but for scalars."""
    shapes = []
    take = {name: getattr(caffe._caffe.Blob, name).fget for name in ("data", "diff")}

    def watched(name):
        def watch(blob):
            if blob.count > 1:
                shapes.append((name, tuple(blob.shape)))
            return take[name](blob)

        return property(watch)

    for name, of_device in take.items():
        monkeypatch.setattr(caffe._caffe.Blob, name, watched(name))
        monkeypatch.setattr(Device, name, staticmethod(lambda blob, of_device=of_device: ndarray(of_device(blob))))
    monkeypatch.setattr(Device, "read", staticmethod(lambda blob: readable(take["data"](blob))))
    return shapes
