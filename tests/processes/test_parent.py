"""Children end with their parent, also those that a thread of it started, while a fork of it holds their sockets."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests import transcripts
from tests.layers.runs import Run, assert_gone

PARENT = """
import os, sys, threading, time
{prepare}
thread = threading.Thread(target=start)
thread.start()
thread.join()
if os.fork() == 0:
    time.sleep(120)
    os._exit(0)
print("ready", flush=True)
time.sleep(120)
"""

LAYER = """
os.environ["GLOG_minloglevel"] = "2"
import caffe
net = caffe.Net("net.prototxt", caffe.TRAIN)
start = net.forward
"""

CONVERSION = """
from caffe_pylayers.commands.convert.workers import Workers
kept = []
def start():
    kept.append(Workers(2))
"""


def used(processes, seconds):
    """The seconds of processor time that they take together meanwhile."""
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    time.sleep(seconds)
    return sum(sum(process.cpu_times()[:2]) for process in processes) - before


@pytest.mark.parametrize("prepare", [LAYER, CONVERSION], ids=["layer", "conversion"])
def test_children_of_a_thread(photos, tmp_path, prepare):
    run = Run(
        tmp_path / "run",
        "ImageDataLayer",
        source_type="LMDB",
        source=photos.lmdb,
        batch_size=5,
        resize=20,
        prefetch=2,
        workers=2,
    )
    environment = {**transcripts.environment(), "PYTHONPATH": f"{os.path.dirname(os.path.dirname(__file__))}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(prepare=prepare)],
        cwd=run.folder,
        env=environment,
        stdout=subprocess.PIPE,
    )
    below = []
    try:
        assert parent.stdout.readline() == b"ready\n"
        below = psutil.Process(parent.pid).children()
        children = [
            process for process in below if any(word.startswith("caffe_pylayers ") for word in process.cmdline())
        ]
        (fork,) = set(below) - set(children)
        assert len(children) == 2
        assert any(used(children, 1) < 0.25 for _ in range(20))  # they have started
        assert used(children, 2) < 0.5  # those that have nothing to do sleep
        parent.kill()
        parent.wait()
        assert_gone(children)
        assert fork.is_running()
    finally:
        parent.kill()
        for process in below:
            if process.is_running():
                process.send_signal(signal.SIGKILL)
        parent.communicate()
