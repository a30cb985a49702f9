"""Each command that looks at a net takes its solver too: the solver's net, in the states that the solver gives it."""

import json

import caffe
import pytest

from caffe_pylayers.caffe_files.nets import NetState
from caffe_pylayers.commands.net_or_solver import net_in
from caffe_pylayers.errors import ConfigError

DATA = """
layer {{ name: "{name}" type: "Python" top: "data" top: "label" include {{ {rule} }} python_param {{ module: "caffe_pylayers"
  layer: "ImageDataLayer" param_str: "{{'source': '{list}', 'batch_size': 2, 'resize': 8, 'scale': 0.01, 'mean_value': 1}}" }} }}
"""
NET = (
    DATA.format(name="plain", rule='phase: TRAIN not_stage: "long"', list="four.csv")
    + DATA.format(name="long", rule='phase: TRAIN stage: "long"', list="six.csv")
    + DATA.format(name="test", rule="phase: TEST", list="four.csv")
    + """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
)
SOLVER = 'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 solver_mode: CPU\n'


@pytest.fixture
def folder(photos, tmp_path):
    """A net of two stages, and a solver that trains one of them."""
    for name, count in (("four.csv", 4), ("six.csv", 6)):
        lines = (f"{photos.folder}/{name},{number % 3}\n" for number, name in enumerate(photos.names[:count]))
        (tmp_path / name).write_text("".join(lines))
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(f'{SOLVER} train_state {{ stage: "long" }}')
    return tmp_path


def test_balance(folder, command):
    status, out, err = command("balance", "solver.prototxt", "--json")
    assert (status, json.loads(out)["records"]) == (0, 6), err
    status, out, err = command(
        "balance", "solver.prototxt", "--phase", "TEST", "--top", "label", "--batches", "1", "--json"
    )
    assert (status, json.loads(out)["records"]) == (0, 2), err


def test_preview(folder, command):
    for phase, name in (("TRAIN", "long"), ("TEST", "test")):
        _, out, err = command("preview", "solver.prototxt", "--phase", phase)
        assert err == ""
        assert out.startswith(f"{name}: ImageDataLayer, {phase}, batch 0: 2 of 2 samples")


def test_export(folder, command):
    """With the solver it is what it is with the net."""
    caffe.Net("net.prototxt", caffe.TEST).save("w.caffemodel")
    found = []
    for file in ("net.prototxt", "solver.prototxt"):
        status, out, err = command("export", "w.caffemodel", "--net", file, "--force", "--json")
        assert status == 0, err
        found.append(json.loads(out))
    assert found[0] == found[1]
    assert [layer["name"] for layer in found[0]["layers"]] == ["test", "ip", "loss"]


def test_deploy(folder, command):
    """With the solver it is what it is with the net."""
    caffe.Net("net.prototxt", caffe.TEST).save("w.caffemodel")
    found = []
    for file in ("net.prototxt", "solver.prototxt"):
        status, out, err = command("deploy", file, "w.caffemodel", "-o", "made", "--force", "--json")
        assert status == 0, err
        found.append(json.loads(out))
    assert found[0] == found[1]
    assert [layer["name"] for layer in found[0]["layers"]] == ["ip"]


def test_train_names_what_it_needs(folder, command):
    status, _, err = command("train", "net.prototxt")
    assert status == 2
    assert "this is a net, but a solver is expected; give the solver that names it" in err


@pytest.mark.parametrize("name", ["balance", "preview", "bench", "evaluate"])
def test_stages_are_the_solver_s(name, folder, command):
    more = ["w.caffemodel", "--blob", "x"] if name == "evaluate" else []
    status, _, err = command(name, "solver.prototxt", *more, "--stage", "long")
    assert status == 2
    assert "--stage" in err and "train_state" in err


@pytest.mark.parametrize("name", ["balance", "bench", "check", "deploy", "evaluate", "preview"])
def test_a_stage_that_no_layer_asks_for(name, folder, command):
    (folder / "w.caffemodel").touch()
    more = {"evaluate": ["w.caffemodel", "--blob", "x"], "deploy": ["w.caffemodel", "-o", "made"]}.get(name, [])
    status, out, err = command(name, "net.prototxt", *more, "--stage", "longer")
    assert status == 2 and not out
    assert (
        "net.prototxt: no layer has a rule for stage 'longer'; did you mean 'long'? Its layers have rules for 'long'"
        in err
    )
    (folder / "net.prototxt").write_text(NET.replace('not_stage: "long"', "").replace('stage: "long"', "min_level: 1"))
    err = command(name, "net.prototxt", *more, "--stage", "long")[2]
    assert "net.prototxt: no layer has a rule for stage 'long'. Leave out --stage" in err


def test_states(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert net_in("solver.prototxt")[1] == NetState("TRAIN", ("long",))
    assert net_in("solver.prototxt", "TEST")[1] == NetState(
        "TEST", ("long",)
    )  # it tests nothing: the net that it trains
    (folder / "net.prototxt").write_text(f'state {{ stage: "long" }} {NET}')
    assert net_in("net.prototxt", "TRAIN", ("long",))[1] == NetState("TRAIN", ("long", "long"))
    (folder / "own.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(
        SOLVER.replace("net:", "train_net:") + 'test_net: "own.prototxt" test_iter: 1 test_state { stage: "own" }'
    )
    net, state = net_in("solver.prototxt", "TEST")
    assert (net.path, state) == ("own.prototxt", NetState("TEST", ("own",)))
    with pytest.raises(ConfigError) as error:
        net_in("solver.prototxt", stages=("long",))
    assert error.value.source == "solver.prototxt"


def test_balance_tells_the_epoch_of_the_net(folder, command):
    assert "the net reads 6 records, 3 batches of 2 per epoch" in command("balance", "solver.prototxt")[1].splitlines()
    found = json.loads(command("balance", "solver.prototxt", "--phase", "TEST", "--json")[1])
    assert (found["batch_size"], found["batches_per_epoch"]) == (2, 2)
    assert "per epoch" not in command("balance", "six.csv")[1]
