"""Every example trains on the real Caffe, and keeps the rules that the package's users are told."""

import ast
import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from tests.example_data import EXAMPLES, copy_examples

DEPLOYS = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/deploy.prototxt"))
NETS = sorted(
    name
    for name in (str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.prototxt"))
    if name not in DEPLOYS and not name.endswith("solver.prototxt")
)


def read_net(name, folder=EXAMPLES):
    return text_format.Parse((Path(folder) / name).read_text(), caffe_pb2.NetParameter())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the examples and a few records of every source that they name. Their tests are of one batch."""
    folder = tmp_path_factory.mktemp("examples")
    copy_examples(folder)
    for net in NETS:
        (folder / net).write_text(re.sub(r"'restart_every': \d+", "'restart_every': 1", (folder / net).read_text()))
    return folder


def train(folder, net, max_iter=2, more=(), **fields):
    """Run the example's own solver on a net of it for a few iterations; what the caffe program said."""
    example = os.path.dirname(net)
    solver = text_format.Parse((folder / example / "solver.prototxt").read_text(), caffe_pb2.SolverParameter())
    settings = {"net": net, "max_iter": max_iter, "display": 1, "snapshot_prefix": os.path.splitext(net)[0], **fields}
    if solver.test_iter:
        settings["test_interval"] = max_iter
        solver.test_iter[0] = 1
    for name, value in settings.items():
        setattr(solver, name, value)
    (folder / "solver.prototxt").write_text(text_format.MessageToString(solver))
    program = os.path.join(os.path.dirname(sys.executable), "caffe")
    done = subprocess.run(
        [program, "train", "--solver", "solver.prototxt", *more],
        cwd=folder,
        env=dict(os.environ, GLOG_minloglevel="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Optimization Done" in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def trained(data):
    """What Caffe says as it trains a net, which it does once."""
    return functools.lru_cache(maxsize=None)(lambda net: train(data, net))


@pytest.mark.parametrize("net", NETS)
def test_an_example_trains(trained, net):
    output = trained(net)
    losses = [float(loss) for loss in re.findall(r"Iteration \d+.*?, loss = (\S+)", output)]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    assert min(losses) > 0
    assert "loss_weight is 0" not in output
    for test_output in re.findall(r"Test net output #0: accuracy = (\S+)", output):
        assert 0 <= float(test_output) <= 1


@pytest.mark.parametrize("net", NETS)
def test_the_solver_beside_it_names_a_net_of_the_example(net):
    example = EXAMPLES / os.path.dirname(net)
    solver = text_format.Parse((example / "solver.prototxt").read_text(), caffe_pb2.SolverParameter())
    assert (EXAMPLES / solver.net).parent == example
    assert (EXAMPLES / solver.net).exists()


def test_the_resumed_example_goes_on_where_it_was(data):
    net = "resume/train_val.prototxt"
    whole = re.findall(r"Iteration (\d+).*?, loss = (\S+)", train(data, net, max_iter=4, snapshot=2, random_seed=1))
    state = ["--snapshot", "resume/train_val_iter_2.solverstate"]
    rest = re.findall(r"Iteration (\d+).*?, loss = (\S+)", train(data, net, max_iter=4, more=state, random_seed=1))
    assert [number for number, _ in rest] == ["2", "3", "4"]
    np.testing.assert_allclose(
        [float(loss) for _, loss in rest], [float(loss) for _, loss in whole[2:]], rtol=1e-4, err_msg=str((whole, rest))
    )


@pytest.mark.parametrize(
    "example, made",
    [
        ("segmentation", ("train.txt", "test.txt", "weights.txt")),
        ("deeplab_metrics", ("train.txt", "test.txt")),
        ("edges", ("edges/train.txt", "edges/test.txt")),
    ],
)
def test_the_first_lines_of_an_example_make_its_files(example, made, command, tmp_path):
    copy_examples(tmp_path)
    for name in made:
        (tmp_path / name).unlink()
    net = Path(example, "train_val.prototxt")
    for arguments in re.findall("^# +caffe-pylayers ((?:list|balance) .*)", net.read_text(), re.MULTILINE):
        status, _, error = command(*shlex.split(arguments))
        assert (status, error) == (0, "")
    assert all((tmp_path / name).exists() for name in made)
    assert caffe.Net(str(net), caffe.TRAIN).forward()["loss1" if example == "edges" else "loss"] > 0


def test_a_teacher_stays_as_it_is_and_the_student_learns(data, trained, monkeypatch):
    monkeypatch.chdir(data)
    trained("distillation/teacher.prototxt")
    solver = text_format.Parse(Path("distillation/solver.prototxt").read_text(), caffe_pb2.SolverParameter())
    solver.ClearField("test_iter")
    Path("student.prototxt").write_text(text_format.MessageToString(solver))
    student = caffe.get_solver("student.prototxt")
    teacher = caffe.Net("distillation/teacher.prototxt", caffe.TEST, weights="distillation/teacher_iter_2.caffemodel")
    student.net.copy_from("distillation/teacher_iter_2.caffemodel")
    before = {name: blobs[0].data.copy() for name, blobs in student.net.params.items()}
    student.step(2)
    for name in ("teacher_conv1", "teacher_conv2", "teacher_scores"):
        for kept, blob in zip(teacher.params[name], student.net.params[name]):
            np.testing.assert_array_equal(blob.data, kept.data)
    assert all((student.net.params[name][0].data != before[name]).any() for name in ("conv1", "scores"))


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_a_deploy_net_answers_as_the_trained_net_does(data, trained, deploy, monkeypatch):
    monkeypatch.chdir(data)
    example = os.path.dirname(deploy)
    trunks = {"fashion_mining": "fashion_triplet"}  # trains another way what is deployed as the triplets' net is
    for net in (name for name in NETS if trunks.get(os.path.dirname(name), os.path.dirname(name)) == example):
        trained(net)
        weights = f"{os.path.splitext(net)[0]}_iter_2.caffemodel"
        as_trained = caffe.Net(net, caffe.TEST, weights=weights)
        deployed = caffe.Net(deploy, caffe.TEST, weights=weights)
        as_trained.forward()
        images = as_trained.blobs["data"].data
        answer = {"fashion_triplet": "unit", "fashion_long_tail": "scores"}[example]
        deployed.blobs["data"].reshape(*images.shape)
        deployed.blobs["data"].data[...] = images
        deployed.forward()
        np.testing.assert_allclose(deployed.blobs[answer].data, as_trained.blobs[answer].data, atol=1e-5)


@pytest.mark.parametrize("name", NETS + DEPLOYS)
def test_an_example_keeps_the_rules(name):
    for layer in read_net(name).layer:
        if layer.type != "Python":
            continue
        kind = layer.python_param.layer
        options = ast.literal_eval(layer.python_param.param_str or "{}")
        assert layer.python_param.module == "caffe_pylayers"
        if kind.endswith("DataLayer"):
            assert layer.name in ("train_data", "test_data")
        if kind.endswith("Loss"):
            assert layer.loss_weight[0] == pytest.approx(0.008 if kind == "CenterLoss" else 1)
            assert len(layer.loss_weight) == len(layer.top)
        if options.get("resume"):
            assert (layer.param[-1].lr_mult, layer.param[-1].decay_mult) == (0, 0)
        if kind in ("ComputeH", "SampleWeight"):
            assert options["scale"] == "mean_one"
