"""Nets and solvers as Caffe reads them: the layers of a state, old nets upgraded."""

import subprocess
import sys
from pathlib import Path

import caffe
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from caffe_pylayers.caffe_files.nets import NetState, net_of, read_net, read_solver, states_of
from caffe_pylayers.caffe_files.prototxt import PrototxtError, parse, text_of
from caffe_pylayers.caffe_files.weights import read_weights
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.errors import ConfigError, DataError
from tests.refusals import refused

UPGRADE = Path(sys.prefix) / "bin" / "upgrade_net_proto_text"

# ------------------------------------------------------------------------------------------------------ old nets

#: Nets of 2014 and 2015, and what is said to be old in them.
OLD = {
    "layers of an enum": (
        """
        layers { name: "data"  type: DATA  top: "data"  top: "label"  include: { phase: TRAIN }
          data_param { source: "x"  batch_size: 3  scale: 0.1  mirror: true  crop_size: 4  mean_file: "m"  backend: LMDB }
          transform_param { mean_value: 3 } }
        layers { name: "ip"  type: INNER_PRODUCT  bottom: "data"  top: "ip"  blobs_lr: 1  blobs_lr: 2  weight_decay: 1
          weight_decay: 0  param: "w"  param: "b"  blob_share_mode: PERMISSIVE  inner_product_param { num_output: 3 } }
        layers { name: "relu"  type: RELU  bottom: "ip"  top: "ip" }
        layers { name: "loss"  type: SOFTMAX_LOSS  bottom: "ip"  bottom: "label"  loss_weight: 2 }
        """,
        ["layers { type: NAME }", "scale, mean_file, crop_size, mirror in data_param"],
    ),
    "images of a list": (
        'layers { name: "i"  type: IMAGE_DATA  top: "x"  image_data_param { source: "l"  mirror: true } }',
        ["layers { type: NAME }", "scale, mean_file, crop_size, mirror in image_data_param"],
    ),
    "a weight decay alone": (
        'layers { name: "c"  type: CONVOLUTION  bottom: "x"  top: "y"  weight_decay: 0.5 }', ["layers { type: NAME }"],
    ),
    "inputs with dims": (
        """
        input: "data"  input_dim: 1  input_dim: 3  input_dim: 8  input_dim: 9
        input: "more"  input_dim: 2  input_dim: 4  input_dim: 6  input_dim: 7
        layer { name: "relu"  type: "ReLU"  bottom: "data"  top: "data" }
        """,
        ["input, input_dim or input_shape"],
    ),
    "inputs with shapes": (
        'input: "a"  input: "b"  input_shape { dim: 1  dim: 2 }  input_shape { dim: 3 }', ["input, input_dim or input_shape"],
    ),
    "an input without a shape": ('input: "data"', ["input, input_dim or input_shape"]),
    "batch norm with three params": (
        'layer { name: "bn"  type: "BatchNorm"  param { lr_mult: 1 }  param { name: "v" }  param { decay_mult: 2 } }',
        ["lr_mult and decay_mult of BatchNorm"],
    ),
    "batch norm as it is written today": (
        'layer { name: "bn"  type: "BatchNorm"' + "  param { lr_mult: 0  decay_mult: 0 }" * 3 + " }", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_an_old_net_is_what_caffe_makes_of_it(name, tmp_path):
    text, upgrades = OLD[name]
    (tmp_path / "old.prototxt").write_text(text)
    done = subprocess.run(
        [str(UPGRADE), "old.prototxt", "new.prototxt"], cwd=tmp_path, stderr=subprocess.PIPE, timeout=200
    )
    assert done.returncode == 0, done.stderr
    net = read_net(str(tmp_path / "old.prototxt"))
    expected = text_format.Parse((tmp_path / "new.prototxt").read_text(), caffe_pb2.NetParameter())
    assert text_format.Parse(text_of(net.message), caffe_pb2.NetParameter()) == expected
    assert net.upgrades == upgrades


def test_every_layer_type_of_old_is_known():
    """Each by name as Caffe upgrades it, and by the number that weights have."""
    from caffe_pylayers.caffe_files.legacy_nets import V1_NUMBERS, V1_TYPES

    values = caffe_pb2.V1LayerParameter.LayerType.items()
    assert set(V1_TYPES) == {name for name, _ in values}
    assert {number: V1_TYPES[name] for name, number in values if number} == V1_NUMBERS
    assert {name for name in V1_TYPES.values() if name} <= set(caffe.layer_type_list())


def test_lines_outlive_the_upgrade():
    net = net_of(parse('\nlayers {\n  name: "ip"\n  type: INNER_PRODUCT\n  blobs_lr: 1\n  blobs_lr: 2\n}'), "net")
    (layer,) = net.layers
    assert (layer.line, layer.message.line_of("type")) == (2, 4)
    assert [field.line for field in layer.message.fields if field.name == "param"] == [5, 6]


@pytest.mark.parametrize(
    "text, line, says",
    [
        ('layers { layer { name: "ip"  type: "innerproduct" } }', 1, "a net in the form of 2013"),
        ('layers { name: "a" }\nlayer { name: "b" }', 2, "a `layer` in a net that also has `layers`, in line 1"),
    ],
)
def test_nets_that_cannot_be_upgraded(text, line, says):
    with pytest.raises(PrototxtError) as error:
        net_of(parse(text), "net")
    assert error.value.line == line
    assert says in error.value.problem


# -------------------------------------------------------------------------------------------------------- states

_RULES = {
    "always": "",
    "train": "include { phase: TRAIN }",
    "test": "include { phase: TEST }",
    "numbered": "include { phase: 1 }",
    "not_test": "exclude { phase: TEST }",
    "one_of_two": 'include { phase: TRAIN } include { stage: "a" }',
    "a": 'include { stage: "a" }',
    "a_and_b": 'include { stage: "a"  stage: "b" }',
    "not_a": 'include { not_stage: "a" }',
    "not_a_in_test": 'exclude { phase: TEST  stage: "a" }',
    "high": "include { min_level: 1 }",
    "low": "include { max_level: 0 }",
    "middle": "include { min_level: 1  max_level: 1 }",
}


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("stages", [(), ("a",), ("b",), ("a", "b")])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_state_has_the_layers_that_caffe_gives_it(phase, stages, level, tmp_path):
    text = "".join(
        f'layer {{ name: "{name}"  type: "DummyData"  top: "{name}"  {rule}  dummy_data_param {{ shape {{ dim: 1 }} }} }}\n'
        for name, rule in _RULES.items()
    )
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), getattr(caffe, phase), level=level, stages=list(stages))
    ours = read_net(str(tmp_path / "net.prototxt")).in_state(NetState(phase, stages, level))
    assert [layer.name for layer in ours] == list(net._layer_names)


def test_states_of_nets():
    data = 'layer { name: "d"  type: "DummyData"  top: "d" }'
    assert states_of(net_of(parse(data), "net")) == [NetState("TRAIN"), NetState("TEST")]
    assert states_of(net_of(parse('state { stage: "a" }' + data), "net"), ["b"])[1] == NetState("TEST", ("a", "b"))
    assert states_of(net_of(parse('layer { name: "d"  type: "Input"  top: "d" }'), "net")) == [NetState("TEST")]


# ------------------------------------------------------------------------------------------------------- solvers


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net", "other"):
        (tmp_path / f"{name}.prototxt").write_text(
            f'name: "{name}"\nstate {{ stage: "own" }}\nlayer {{ name: "d"  type: "DummyData" }}'
        )
    return tmp_path


def _solver(folder, text):
    (folder / "solver.prototxt").write_text(text)
    solver = read_solver("solver.prototxt")
    return [(net.name, str(state)) for net, state in [solver.train, *solver.tests]]


@pytest.mark.parametrize(
    "text, nets",
    [
        ('net: "net.prototxt"', [("net", "TRAIN stage 'own'")]),
        ('net: "net.prototxt" test_iter: 1', [("net", "TRAIN stage 'own'"), ("net", "TEST stage 'own'")]),
        (
            'net: "net.prototxt" test_iter: 1 test_iter: 2 test_state { stage: "a" } test_state { }',
            [("net", "TRAIN stage 'own'"), ("net", "TEST stage 'own' stage 'a'"), ("net", "TEST stage 'own'")],
        ),
        (
            'train_net: "net.prototxt" test_net: "other.prototxt" test_net_param { name: "here" } test_iter: 1 test_iter: 1',
            [("net", "TRAIN stage 'own'"), ("here", "TEST"), ("other", "TEST stage 'own'")],
        ),
        (
            'test_net: "other.prototxt" net_param { name: "here" } test_iter: 1 test_iter: 1 train_state { stage: "t" }',
            [("here", "TRAIN stage 't'"), ("other", "TEST stage 'own'"), ("here", "TEST")],
        ),
    ],
)
def test_the_nets_of_a_solver_are_those_that_caffe_makes(text, nets, folder):
    """In the order of Solver::InitTestNets: test_net_param, test_net, then net."""
    assert _solver(folder, text) == nets


@pytest.mark.parametrize(
    "text, line, says",
    [
        (
            'base_lr: 1\nnet: "nets.prototxt"',
            2,
            "net 'nets.prototxt': there is no such file; paths in a solver are relative to",
        ),
        ("base_lr: 1", 1, "0 nets to train, but a solver must name one"),
        ('layer { name: "in" type: "Input" top: "data" }', 1, "this is a net, but a solver is expected"),
        ('net: "net.prototxt" train_net: "other.prototxt"', 1, "2 nets to train"),
    ],
)
def test_solvers_without_one_net(text, line, says, folder):
    with pytest.raises(PrototxtError) as error:
        _solver(folder, text)
    assert (error.value.where, error.value.line) == ("solver.prototxt", line)
    assert says in str(error.value)


def test_a_solver_is_no_net(folder):
    (folder / "solver.prototxt").write_text('net: "net.prototxt"')
    with pytest.raises(ConfigError) as error:
        read_net("solver.prototxt")
    assert error.value.source.startswith("solver.prototxt") and "this is a solver" in error.value.problem


def test_a_file_that_is_no_net_is_one_error(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.yaml").write_text("".join(f"class{number}: {number}\n" for number in range(1001)))
    state = caffe_pb2.SolverState(iter=3, learned_net="a_iter_3.caffemodel", current_step=0)
    (tmp_path / "a_iter_3.solverstate").write_bytes(state.SerializeToString())
    (tmp_path / "list.csv").write_text("a.jpg,1\nb.jpg,2\n")
    (tmp_path / "train.log").write_text("I1129 22:32:36.887219 27573 solver.cpp:332] Optimization Done.\n" * 9)
    for path in ("list.csv", "train.log"):
        (finding,) = check(path)
        assert "is it a net or a solver?" in finding.remedy
    for path, found in (
        ("classes.yaml", "neither a net nor a solver"),
        (str(photos.folder / photos.names[0]), "an image (JPEG)"),
        ("a_iter_3.solverstate", "a binary file"),
    ):
        (finding,) = check(path)
        assert found in finding.message and finding.remedy
        with pytest.raises(PrototxtError):
            read_net(path)
    with refused(DataError, "state of a solver", remedy="give a_iter_3.caffemodel"):
        read_weights("a_iter_3.solverstate")
