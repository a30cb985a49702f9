"""Which snapshot a run goes on from."""

import os

import caffe
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers.caffe_files.snapshots import misfits, newest_sound_state, newest_state, read_state
from caffe_pylayers.errors import ConfigError, DataError

SOLVER = """
net_param {
  layer { name: "data"  type: "DummyData"  top: "data"  dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 1 } } }
  layer { name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"  inner_product_param { num_output: 4 } }
  layer { name: "loss"  type: "Reduction"  bottom: "ip"  top: "loss"  loss_weight: 1 }
}
base_lr: 0.1  lr_policy: "fixed"  max_iter: 1000  snapshot_prefix: "net"  solver_mode: CPU
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """One with snapshots of iterations 5 and 10, the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    for number in range(2):
        solver.step(5)
        solver.snapshot()
        os.utime(f"net_iter_{solver.iter}.solverstate", (100 + number, 100 + number))
    return tmp_path


def test_a_state(folder):
    state = read_state("net_iter_10.solverstate")
    assert (state.iteration, state.weights, state.history) == (10, "net_iter_10.caffemodel", [(4, 3), (4,)])


def test_a_blob_without_axes(tmp_path, monkeypatch):
    """One slope for all channels: Caffe writes no shape, in the state and in the weights."""
    monkeypatch.chdir(tmp_path)
    slope = 'layer { name: "slope"  type: "PReLU"  bottom: "ip"  top: "ip"  prelu_param { channel_shared: true } }\n  '
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace('layer { name: "loss"', slope + 'layer { name: "loss"'))
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    solver.snapshot()
    assert read_state("net_iter_2.solverstate").history == [(4, 3), (4,), ()]
    shapes = {name: [tuple(blob.shape) for blob in blobs] for name, blobs in solver.net.params.items()}
    assert shapes["slope"] == [()] and misfits("net_iter_2.caffemodel", shapes) == []


def test_the_newest_is_the_one_written_last(folder):
    """And not the one of the most iterations, which an earlier run may have left."""
    (folder / "net_iter_7000.txt").write_text("")
    (folder / "net_iter_x.solverstate").write_text("")
    assert newest_state("net")[0].iteration == 10
    os.utime("net_iter_5.solverstate", (300, 300))
    assert newest_state("net")[0].iteration == 5


def test_the_newest_whose_weights_are_numbers(folder):
    """After a loss of NaN: the state behind it is of no use, nor is one of before whose weights are NaN."""
    assert newest_sound_state("net", 10) == "net_iter_10.solverstate"
    assert newest_sound_state("net", 9) == "net_iter_5.solverstate"
    assert newest_sound_state("net", 4) == ""
    net = caffe_pb2.NetParameter()
    weights = folder / "net_iter_10.caffemodel"
    net.ParseFromString(weights.read_bytes())
    next(each for each in net.layer if each.name == "ip").blobs[0].data[1] = float("nan")
    weights.write_bytes(net.SerializeToString())
    assert newest_sound_state("net", 12) == "net_iter_5.solverstate"
    weights.write_bytes(b"")
    assert newest_sound_state("net", 12) == "net_iter_5.solverstate"


def test_every_state_that_is_cut_short_is_passed_over(folder):
    whole = (folder / "net_iter_10.solverstate").read_bytes()
    for size in range(len(whole)):
        (folder / "net_iter_10.solverstate").write_bytes(whole[:size])
        state, complaints = newest_state("net")
        assert state.iteration == 5
        assert len(complaints) == 1
        assert complaints[0].startswith("net_iter_10.solverstate: not a .solverstate, or cut short")
    (folder / "net_iter_10.solverstate").write_bytes(whole)
    weights = (folder / "net_iter_10.caffemodel").read_bytes()
    (folder / "net_iter_10.caffemodel").write_bytes(weights[:-3])
    assert "net_iter_10.caffemodel: not a .caffemodel, or cut short" in newest_state("net")[1][0]
    (folder / "net_iter_10.caffemodel").unlink()
    assert (
        "its weights 'net_iter_10.caffemodel' are not there; paths start at the working directory, /"
        in newest_state("net")[1][0]
    )


def test_there_is_none(folder):
    (folder / "net_iter_5.solverstate").write_bytes(b"")
    (folder / "net_iter_10.solverstate").unlink()
    with pytest.raises(ConfigError) as error:
        newest_state("net")
    assert "net_iter_N.solverstate" in error.value.problem
    assert error.value.remedy.startswith("net_iter_5.solverstate: not a .solverstate, or cut short")
    (folder / "net_iter_5.solverstate").rename(folder / "other_iter_5.solverstate")
    with pytest.raises(ConfigError) as error:
        newest_state("net")
    assert "net_iter_N.solverstate" in error.value.problem
    assert error.value.remedy == ". has other_iter_5.solverstate"


@pytest.mark.parametrize(
    "path, why",
    [
        ("net_iter_10.solverstate.h5", "a state in HDF5: .*; go on from a .solverstate"),
        ("net_iter_10.caffemodel", "weights alone, without a solver's state; give them with --weights"),
        ("nothing.solverstate", "nothing.solverstate: cannot read it: No such file"),
    ],
)
def test_what_is_no_state(folder, path, why):
    with pytest.raises(DataError, match=why):
        read_state(path)


def test_shapes_that_caffe_takes_and_not(tmp_path):
    """Weights of old Caffes have four axes."""
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="ip", type="InnerProduct")
    for shape in ((1, 1, 4, 3), (1, 1, 1, 4)):
        blob = layer.blobs.add(num=shape[0], channels=shape[1], height=shape[2], width=shape[3])
        blob.data.extend([0.0] * shape[2] * shape[3])
    path = tmp_path / "old.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert misfits(str(path), {"ip": [(4, 3), (4,)], "other": [(1,)]}) == []
    assert misfits(str(path), {"ip": [(3, 4), (4,)]}) == [
        "layer 'ip' has shape 1 x 1 x 4 x 3 and 1 x 1 x 1 x 4 in the weights, but 3 x 4 and 4 in the net"
    ]
    assert misfits(str(path), {"ip": [(4, 3)]}) == ["layer 'ip' has 2 blobs in the weights, but 1 in the net"]
    net.layer.add(name="relu", type="ReLU")
    path.write_bytes(net.SerializeToString())
    assert misfits(str(path), {"relu": [(1,)]}) == ["layer 'relu' has 0 blobs in the weights, but 1 in the net"]
