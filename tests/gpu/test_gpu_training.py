"""`caffe train -gpu 0` with Caffe's CUDA loss and with ours on CuPy: `pytest -m gpu`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2

pytestmark = pytest.mark.gpu

NET = """
layer { name: "d"  type: "Data"  top: "data"  top: "label"  transform_param { scale: 0.00390625 }  data_param { source: "data"  batch_size: 64  backend: LMDB } }
layer { name: "c"  type: "Convolution"  bottom: "data"  top: "c"  convolution_param { num_output: 20  kernel_size: 5  stride: 2  weight_filler { type: "xavier" } } }
layer { name: "r"  type: "ReLU"  bottom: "c"  top: "c" }
layer { name: "s"  type: "InnerProduct"  bottom: "c"  top: "s"  inner_product_param { num_output: 10  weight_filler { type: "xavier" } } }
"""
LOSSES = {
    "stock": 'layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "s"  bottom: "label"  top: "loss" }',
    "ours": 'layer { name: "loss"  type: "Python"  bottom: "s"  bottom: "label"  top: "loss"  loss_weight: 1'
    ' python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" } }',
}
SOLVER = (
    'net: "{0}.prototxt"  base_lr: 0.01  momentum: 0.9  lr_policy: "fixed"  display: 20  max_iter: 200  random_seed: 3\n'
    'snapshot_prefix: "{0}"  solver_mode: GPU\n'
)


@pytest.fixture
def folder(tmp_path):
    """Two solvers and an LMDB of ten noisy pictures."""
    rng = np.random.RandomState(0)
    centres = rng.rand(10, 1, 28, 28) * 255
    with lmdb.open(str(tmp_path / "data"), map_size=1 << 28) as environment, environment.begin(
        write=True
    ) as transaction:
        for i in range(2000):
            image = np.clip(centres[i % 10] + 60 * rng.randn(1, 28, 28), 0, 255).astype(np.uint8)
            datum = caffe_pb2.Datum(channels=1, height=28, width=28, data=image.tobytes(), label=i % 10)
            transaction.put(b"%06d" % i, datum.SerializeToString())
    for name, loss in LOSSES.items():
        (tmp_path / f"{name}.prototxt").write_text(NET + loss)
        (tmp_path / f"{name}_solver.prototxt").write_text(SOLVER.format(name))
    return tmp_path


def run(folder, *command):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return done.stdout + done.stderr


def test_caffe_train_has_the_losses_of_stock(folder):
    caffe = shutil.which("caffe", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    found = {
        name: [
            float(loss)
            for loss in re.findall(
                r"Iteration \d+.*?, loss = (\S+)",
                run(folder, caffe, "train", "-solver", f"{name}_solver.prototxt", "-gpu", 0),
            )
        ]
        for name in LOSSES
    }
    assert len(found["stock"]) >= 10
    np.testing.assert_allclose(found["ours"], found["stock"], rtol=2e-3)
    assert found["ours"][-1] < 0.5 * found["ours"][0]


def test_train_trains_on_a_gpu(folder):
    run(folder, sys.executable, "-m", "caffe_pylayers", "train", "ours_solver.prototxt", "--gpu", "0")
    assert (folder / "ours_iter_200.caffemodel").exists()
