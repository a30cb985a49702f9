"""A net and a solver in a folder, trained by the `caffe` program and by `caffe-pylayers train`."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from caffe_pylayers.commands.program import main
from caffe_pylayers.processes.gpu import built_for_gpus
from tests.forks.process import Process
from tests.layers.runs import CAFFE, heed_ctrl_c, started

COMMAND = Path(sys.prefix) / "bin" / "caffe-pylayers"

#: What is said of a GPU that no machine has.
NO_GPU_99 = (
    "CUDA cannot use it: "
    if built_for_gpus()
    else "this Caffe is built without GPU support; leave --gpu out, and set solver_mode: CPU"
)

NET = """
layer {{ name: "train_data"  type: "Python"  top: "data"  top: "label"  include {{ phase: TRAIN }}
  param {{ lr_mult: 0  decay_mult: 0 }}
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"
    param_str: "{{{images}, 'mirror': True, 'shuffle': True, 'seed': 4, 'iter_size': {iter_size}, 'prefetch': 2, 'resume': True}}" }} }}
layer {{ name: "test_data"  type: "Python"  top: "data"  top: "label"  include {{ phase: TEST }}
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{{{images}, 'restart_every': 3}}" }} }}
layer {{ name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"
  convolution_param {{ num_output: 4  kernel_size: 5  stride: 4  weight_filler {{ type: "gaussian"  std: 0.1 }} }} }}
layer {{ name: "relu"  type: "ReLU"  bottom: "conv"  top: "conv" }}
{more}
layer {{ name: "scores"  type: "InnerProduct"  bottom: "conv"  top: "scores"
  inner_product_param {{ num_output: 5  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "label"  top: "loss" }}
layer {{ name: "accuracy"  type: "Accuracy"  bottom: "scores"  bottom: "label"  top: "accuracy" }}
"""

IMAGES = "'source_type': 'LMDB', 'source': '{}', 'batch_size': 5, 'resize': [30, 28], 'crop_size': 24, 'scale': 0.01"

DROPOUT = 'layer { name: "drop"  type: "Dropout"  bottom: "conv"  top: "conv" }'

SOLVER = """
net: "net.prototxt"  type: "SGD"
base_lr: 0.01  lr_policy: "multistep"  gamma: 0.5  stepvalue: 3  stepvalue: 7  momentum: 0.9  weight_decay: 0.0005
display: 1  max_iter: 12  average_loss: 3
test_iter: 3  test_interval: 4  test_initialization: true
snapshot: 5  snapshot_prefix: "snap/net"  solver_mode: CPU  random_seed: 7
"""


class Folder:
    """net.prototxt, solver.prototxt and the folder snap."""

    def __init__(self, path: Path, lmdb: str, more="", iter_size=1, **solver) -> None:
        self.path = path
        self.snap = path / "snap"
        self.snap.mkdir(parents=True)
        (path / "net.prototxt").write_text(NET.format(images=IMAGES.format(lmdb), more=more, iter_size=iter_size))
        self.write_solver(iter_size=iter_size, **solver)

    def write_solver(self, **fields) -> None:
        """The solver, with these fields set, or left out where they are None."""
        text = SOLVER
        for name, value in fields.items():
            text = re.sub(rf'\b{name}: ("[^"]*"|\S+)', "", text)
            if value is not None:
                text += f"{name}: {value}\n"
        (self.path / "solver.prototxt").write_text(text)

    def start(self, *command, **environment) -> subprocess.Popen:
        """Start a program in the folder, in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=self.path,
            env={**self.environment(), **environment},
            start_new_session=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=heed_ctrl_c,
        )
        started.append(process)
        return process

    def fork(self, *command) -> Process:
        """The same of a Python program, which is a fork of one that has imported Caffe."""
        process = Process([str(word) for word in command], self.path, self.environment())
        started.append(process)
        return process

    @staticmethod
    def environment():
        return {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "GLOG_minloglevel": "2"}

    def train(self, *arguments, status=0) -> str:
        """`caffe-pylayers train solver.prototxt`, to its end; returns what it printed."""
        return ended(self.start(COMMAND, "train", "solver.prototxt", *arguments), status)

    def train_here(self, *arguments, check=False, status=0) -> str:
        """The same inside this process, which is quicker; without a plot."""
        return self.here(
            "train", "solver.prototxt", "--no-plot", *([] if check else ["--no-check"]), *arguments, status=status
        )

    def here(self, *arguments, status=0) -> str:
        printed, before = io.StringIO(), os.getcwd()
        os.chdir(self.path)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                main(arguments)
        except SystemExit as end:
            assert end.code == status, printed.getvalue()
        finally:
            os.chdir(before)
        return printed.getvalue()

    def caffe(self, *arguments) -> str:
        """`caffe train`; returns its log."""
        command = (CAFFE, "train", "--solver=solver.prototxt", *arguments)
        return ended(self.start(*command, GLOG_minloglevel="0", GLOG_logtostderr="1"))

    def snapshots(self):
        """The bytes of all of them, by name."""
        return {path.name: path.read_bytes() for path in self.snap.glob("*_iter_*")}

    def rows(self):
        """The lines of the log without its times: the header first."""
        lines = [line.split(",") for line in (self.snap / "net_log.csv").read_text().splitlines()]
        return [[*line[:3], *line[5:]] for line in lines]

    def wait_for_rows(self, process, number) -> None:
        log = self.snap / "net_log.csv"
        while not log.exists() or log.read_text().count("\n") <= number:
            assert process.poll() is None, f"it ended with {process.returncode}:\n{process.communicate()[0]}"
            time.sleep(0.002)


def ended(process, status=0) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == status, output
    return output


def group(process, number=signal.SIGINT) -> None:
    """What a terminal does on Ctrl-C: a signal to the whole process group."""
    os.killpg(process.pid, number)
