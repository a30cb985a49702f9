"""Whole runs of Caffe on real data: a net with a data layer, a recorder and something to learn, in a folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Union

import psutil

from tests.forks.process import Process

ROOT = Path(__file__).resolve().parents[2]
CAFFE = Path(sys.prefix) / "bin" / "caffe"

NET = """
layer {{
  name: "train_data"  type: "Python"  {tops}
  {frozen}
  include {{ phase: TRAIN }}
  python_param {{ module: "caffe_pylayers"  layer: "{layer}"  param_str: "{train}" }}
}}
layer {{
  name: "train_data"  type: "Python"  {tops}
  {frozen}
  include {{ phase: TEST }}
  python_param {{ module: "caffe_pylayers"  layer: "{layer}"  param_str: "{test}" }}
}}
layer {{ name: "recorder"  type: "Python"  {bottoms}
  python_param {{ module: "recorder"  layer: "Recorder"  param_str: "record" }} }}
layer {{ name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"
  inner_product_param {{ num_output: 2  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss"  type: "Reduction"  bottom: "ip"  top: "loss"  loss_weight: 1
  reduction_param {{ operation: MEAN }} }}
"""

SOLVER = """
net: "net.prototxt"  type: "{solver}"
base_lr: 1e-6  lr_policy: "fixed"  weight_decay: 0.0005  clip_gradients: 10
display: 0  max_iter: {max_iter}  iter_size: {iter_size}
test_iter: 3  test_interval: 4  test_initialization: true
snapshot: {snapshot}  snapshot_prefix: "net"  solver_mode: CPU  random_seed: 1
"""


#: Every program that a test started, for whoever cleans up behind a test that failed.
started: List[Union[subprocess.Popen, Process]] = []


class Run:
    """A folder with net.prototxt and solver.prototxt, and what a run of them recorded."""

    def __init__(self, folder: Path, layer: str, **options) -> None:
        self.folder = folder
        folder.mkdir()
        tops = ["data", "positive", "negative"] if layer == "TripletDataLayer" else ["data", "label"]
        test = {**options, "restart_every": 3}
        (folder / "net.prototxt").write_text(
            NET.format(
                layer=layer,
                tops=" ".join(f'top: "{top}"' for top in tops),
                bottoms=" ".join(f'bottom: "{top}"' for top in tops),
                frozen="param { lr_mult: 0  decay_mult: 0 }" if options.get("resume") else "",
                train=options,
                test=test,
            )
        )
        self.solver()

    def solver(self, max_iter=14, iter_size=1, snapshot=0, solver="Adam") -> "Run":
        text = SOLVER.format(max_iter=max_iter, iter_size=iter_size, snapshot=snapshot, solver=solver)
        (self.folder / "solver.prototxt").write_text(text)
        return self

    def start(self, *command: str) -> subprocess.Popen:
        """Start a program in the folder, in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(),
            start_new_session=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=heed_ctrl_c,
        )
        started.append(process)
        return process

    def fork(self, *command: str) -> Process:
        """The same of a Python program, which is a fork of one that has imported Caffe."""
        process = Process(command, self.folder, environment())
        started.append(process)
        return process

    def caffe(self, *arguments: str) -> subprocess.Popen:
        return self.start(str(CAFFE), "train", "--solver=solver.prototxt", *arguments)

    def train(self, *arguments: str) -> str:
        """Train to the end; returns the log."""
        process = self.caffe(*arguments)
        log, _ = process.communicate(timeout=120)
        assert process.returncode == 0, log
        return log

    def record(self, phase: str = "train") -> List[str]:
        path = self.folder / f"record.{phase}"
        return path.read_text().split() if path.exists() else []

    def forget(self) -> None:
        for path in self.folder.glob("record.*"):
            path.unlink()

    def wait_for_batches(self, process: subprocess.Popen, number: int) -> None:
        while len(self.record()) < number:
            if process.poll() is not None:
                raise AssertionError(f"it ended with {process.returncode}:\n{process.communicate()[0]}")
            time.sleep(0.01)


def environment() -> Dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'tests'}", "GLOG_logtostderr": "1"}


def heed_ctrl_c() -> None:
    """As a program that is started from a terminal; one from the background of a shell inherits that it ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command_line(process: psutil.Process) -> str:
    """The command of a process; "" once it has ended, which it may at any moment."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def workers_of(process: subprocess.Popen) -> List[psutil.Process]:
    """The worker processes below a process, of which there are some."""
    below = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in below if "caffe_pylayers worker" in command_line(child)]
    assert workers, "no worker is there any more: the run is over too soon for what is to be seen"
    return workers


def assert_gone(processes: List[psutil.Process], seconds: float = 30.0) -> None:
    """Each of them has ended before long; it may be a zombie, which its parent or the system has not looked at yet."""
    deadline = time.monotonic() + seconds
    alive = processes
    while alive and time.monotonic() < deadline:
        alive = [process for process in alive if not has_ended(process)]
        time.sleep(0.01)
    for process in alive:
        process.send_signal(signal.SIGKILL)
    assert not alive, f"orphans: {alive}"


def has_ended(process: psutil.Process) -> bool:
    """Whether it computes no more: it is gone, or a zombie whose exit status its parent has yet to take."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
