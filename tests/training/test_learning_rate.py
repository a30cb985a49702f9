"""The rate of an iteration is the one that Caffe updates with."""

import caffe
import pytest

from caffe_pylayers.training.learning_rate import learning_rate
from caffe_pylayers.training.parameter import read_parameter

SOLVER = """
net_param {
  layer { name: "data"  type: "DummyData"  top: "data"  dummy_data_param { shape { dim: 1 dim: 1 } } }
  layer { name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"  inner_product_param { num_output: 1 } }
  layer { name: "loss"  type: "Reduction"  bottom: "ip"  top: "loss"  loss_weight: 1 }
}
base_lr: 0.3  max_iter: 40  snapshot_prefix: "net"  solver_mode: CPU
"""


@pytest.mark.parametrize(
    "policy",
    [
        '"fixed"',
        '"step"  stepsize: 7  gamma: 0.1',
        '"exp"  gamma: 0.9',
        '"inv"  gamma: 0.1  power: 0.75',
        '"multistep"  gamma: 0.5  stepvalue: 3  stepvalue: 20',
        '"poly"  power: 2',
        '"sigmoid"  gamma: 0.3  stepsize: 10',
    ],
)
def test_every_policy(tmp_path, monkeypatch, policy):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solver.prototxt").write_text(f"{SOLVER} lr_policy: {policy}")
    parameter = read_parameter("solver.prototxt")
    solver = caffe.get_solver("solver.prototxt")
    rates = []
    solver.add_callback(lambda: rates.append(solver.lr), lambda: None)
    solver.step(40)
    assert [learning_rate(parameter, iteration) for iteration in range(40)] == pytest.approx(rates, rel=1e-5)
