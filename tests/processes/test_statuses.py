"""In a program that ignores SIGCHLD the kernel forgets how children ended."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.processes import probe, statuses


@pytest.fixture
def ignored():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


def ended(command):
    process = subprocess.Popen([sys.executable, "-c", command])
    return statuses.ending(process.wait())


def test_an_ending_that_nobody_knows_is_called_so(ignored):
    kill = "import os; os.kill(os.getpid(), 9)"
    assert "nobody knows how" in ended(kill)
    with statuses.kept():
        assert ended(kill) == "signal SIGKILL"
    assert statuses.are_lost()


def test_a_question_hears_of_an_abort(ignored):
    assert probe.ask([sys.executable, "-c", "import os; os.abort()"]).status == -signal.SIGABRT


def test_children_have_the_statuses_of_their_forks(ignored, tmp_path):
    """HDF5 is indexed by a fork of a child."""
    path = str(tmp_path / "a.h5")
    write_hdf5(path, [Record(np.zeros((4, 4, 3), np.uint8), (1,))])
    assert len(open_source("HDF5", path)) == 1
