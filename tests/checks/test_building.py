"""What only Caffe itself finds, when it sets a net up: said of the layer at which it stops, in words."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.commands.check.caffe_log import judge
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.processes.probe import NEEDS_A_GPU, Answer
from tests import caffe_nets
from tests.checks.good_nets import NET, SOLVER, write_good
from tests.checks.real_caffe import ending, training_step
from tests.layers.runs import assert_gone, heed_ctrl_c

_DATA = """layer {
  name: "data"  type: "DummyData"  top: "data"  top: "label"  include { phase: TRAIN }
  dummy_data_param { shape { dim: 4  dim: 3  dim: 6  dim: 6 }  shape { dim: 4 } }
}
layer { name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"  convolution_param { num_output: 8  kernel_size: 3 } }
"""

_PYTHON = 'layer { name: "mine"  type: "Python"  bottom: "data"  top: "mine"  python_param { module: "layers_of_mine"  layer: "%s" } }'

# fmt: off
#: What is added to the net, the layer, the line behind the net's five where it stands, words of message and remedy.
BROKEN = {
    "a kernel larger than its image": ('layer { name: "big"  type: "Convolution"  bottom: "conv"  top: "big"  convolution_param { num_output: 8  kernel_size: 9 } }',
        "big", 1, "this must hold: shape[i] >= 0 (-4 vs. 0)", "its bottoms: 'conv' 4 x 8 x 4 x 4"),
    "shapes that cannot be added": ('layer { name: "sum"  type: "Eltwise"  bottom: "data"  bottom: "conv"  top: "sum" }',
        "sum", 1, "bottom[0]->shape() == bottom[i]->shape()", "'data' 4 x 3 x 6 x 6, 'conv' 4 x 8 x 4 x 4"),
    "too few bottoms for a stock layer": ('layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "conv"  top: "loss" }',
        "loss", 1, "SoftmaxWithLoss Layer takes 2 bottom blob(s)", "its bottoms: 'conv'"),
    "labels of another count": ('layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "conv"  bottom: "label"  top: "loss" }',
        "loss", 1, "Number of labels must match number of predictions", "'label' 4"),
    "params that the layer has not": ('layer { name: "relu"  type: "ReLU"  bottom: "conv"  top: "conv"  param { lr_mult: 2 } }',
        "relu", 1, "Too many params specified for layer relu", "its bottoms"),
    "weights that cannot be shared": ('layer { name: "ip"  type: "InnerProduct"  bottom: "conv"  top: "ip"  param { name: "w" }  inner_product_param { num_output: 2 } }\n'
        'layer { name: "ip2"  type: "InnerProduct"  bottom: "ip"  top: "ip2"  param { name: "w" }  inner_product_param { num_output: 2 } }',
        "ip2", 2, "Cannot share param 'w' owned by layer 'ip'", "its bottoms: 'ip' 4 x 2"),
    "a Python layer that fails": (_PYTHON % "Failing", "mine", 1, "its Python code fails: ValueError: could not convert string to float: ''", "fix it there"),
    "a Python layer that ends Caffe": (_PYTHON % "Aborting", "mine", 1, "it ends Caffe silently, by SIGABRT", "look at its code"),
    "an option that does not fit the shapes": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "label"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss"  param_str: "{\'axis\': 4}" } }',
        "loss", 1, "axis 4 is not an axis of scores of shape (4, 8, 4, 4)", "'label' 4"),
    "labels of another count, in a loss of this package": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "label"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" } }',
        "loss", 1, "bottom 'label' (label) has 4 numbers, but scores is 4 x 8 x 4 x 4", "give it 64 numbers, or change the size of scores"),
    "a distribution of another size": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "data"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "SoftCrossEntropyLoss" } }',
        "loss", 1, "bottom 'data' (distribution) has 432 numbers (4 x 3 x 6 x 6)", "give it 512 numbers"),
    "more labels than samples": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "data"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "WeightedHingeLoss" } }',
        "loss", 1, "bottom 'data' (label) has 432 numbers (4 x 3 x 6 x 6)", "give it 4 numbers"),
    "a number of targets that differs": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "data"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "WeightedEuclideanLoss" } }',
        "loss", 1, "bottom 'data' (target) has 432 numbers (4 x 3 x 6 x 6)", "give it 512 numbers, or change the size of prediction"),
    "a pos_weight for another number of labels": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "conv"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "WeightedSigmoidCrossEntropyLoss"  param_str: "{\'pos_weight\': [1, 2]}" } }',
        "loss", 1, "option 'pos_weight' has 2 numbers, but the scores have 8 labels", "give it 8"),
    "an axis that the scores of DiceLoss have not": ('layer { name: "loss"  type: "Python"  bottom: "conv"  bottom: "label"  top: "loss"  loss_weight: 1\n'
        '  python_param { module: "caffe_pylayers"  layer: "DiceLoss"  param_str: "{\'axis\': 4}" } }',
        "loss", 1, "axis 4 is not an axis of scores of shape (4, 8, 4, 4)", "its bottoms"),
}
# fmt: on


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is found in all of these nets, given together, by their file."""
    folder = tmp_path_factory.mktemp("nets")
    write_good(folder)
    with open(folder / "layers_of_mine.py", "a") as module:
        module.write("\nclass Aborting(Double):\n    def setup(self, bottom, top):\n        import os; os.abort()\n")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("PYTHONPATH", str(folder))
    files = [f"{number}.prototxt" for number in range(len(BROKEN))]
    patch.syspath_prepend(str(folder))
    for file, (layer, *_) in zip(files, BROKEN.values()):
        (folder / file).write_text(f"{_DATA}{layer}\n")
    try:
        yield check_files(files).findings
    finally:
        patch.undo()


@pytest.mark.parametrize("name", BROKEN)
def test_where_caffe_stops_is_found(name, found):
    file = f"{list(BROKEN).index(name)}.prototxt"
    _, layer, line, says, remedy = BROKEN[name]
    (finding,) = (finding for finding in found if finding.file == file)
    assert (finding.layer, finding.line, finding.level) == (layer, line + 5, "error")
    assert says in finding.message
    assert remedy in finding.remedy
    assert not ending(lambda: training_step(file)).ok


@pytest.fixture
def good(tmp_path, monkeypatch):
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.stock_data
def test_nothing_is_wrong_with_good_nets(good):
    report = check_files(["solver.prototxt", "deploy.prototxt", "stock.prototxt"])
    assert report.findings == []
    assert report.summary == (
        "10 of 48 records read, --all-data reads all: nothing wrong in 1 solver, 3 nets (TRAIN, TEST), 17 layers, 5 sources"
    )


def test_a_test_net_whose_layers_have_other_sizes(good):
    (good / "net.prototxt").write_text(NET.replace("'restart_every'", "'crop_size': 8, 'restart_every'"))
    for file in ("net.prototxt", "solver.prototxt"):
        (finding,) = check(file)
        assert (finding.layer, finding.level) == ("scores", "error")
        assert finding.message.startswith(
            "it has 5 x 72 and 5 in TEST, but the layer with this name has 5 x 200 and 5 in TRAIN"
        )
        assert str(finding).startswith("net.prototxt:29: error: layer 'scores': it has 5 x 72")
        assert str(finding).endswith("; make them equal, or give them different names")


def test_each_test_net_of_a_solver_has_its_stages(good):
    (good / "net.prototxt").write_text(
        NET
        + 'layer { name: "extra"  type: "Convolution"  bottom: "data"  top: "extra"  include { phase: TEST  stage: "big" }\n'
        "  convolution_param { num_output: 1  kernel_size: 99 } }\n"
    )
    assert check("net.prototxt") == []
    (good / "solver.prototxt").write_text(SOLVER + 'test_iter: 3\ntest_state { }\ntest_state { stage: "big" }\n')
    (finding,) = check("solver.prototxt")
    assert finding.layer == "extra"
    (finding,) = check("net.prototxt", stages=["big"])
    assert finding.layer == "extra"


_WITHOUT_CAFFE = """
import sys
class NoCaffe:
    def find_spec(self, name, path=None, target=None):
        if name == "caffe":
            raise ModuleNotFoundError("No module named 'caffe'", name="caffe")
sys.meta_path.insert(0, NoCaffe())
from caffe_pylayers.commands.program import main
main(["check", "net.prototxt"])
"""


def test_without_caffe_options_and_layout_are_checked(good):
    from caffe_pylayers.processes.probe import ask

    answer = ask([sys.executable, "-c", _WITHOUT_CAFFE], cwd=str(good))
    assert answer.ok, answer
    says = "not checked: fields, layer types and shapes, because `import caffe` fails: ModuleNotFoundError: No module named"
    assert answer.out.startswith(says)
    assert "; 4 of 20 records read, --all-data reads all: nothing wrong in 1 net" in answer.out
    broken = NET.replace('bottom: "pool"  top: "scores"', 'bottom: "pol"  top: "scores"').replace(
        "'n_classes'", "'classes'"
    )
    (good / "net.prototxt").write_text(broken)
    answer = ask([sys.executable, "-c", _WITHOUT_CAFFE], cwd=str(good))
    assert answer.status == 1
    assert "layer 'scores': unknown bottom blob 'pol'" in answer.out
    assert "layer 'weights': unknown option 'classes'" in answer.out
    assert answer.err == ""


def test_nothing_is_left_behind(good):
    before = sorted(path.name for path in good.iterdir())
    modules = set(sys.modules)
    assert check("net.prototxt") == []
    assert sorted(path.name for path in good.iterdir()) == before
    assert "layers_of_mine" not in set(sys.modules) - modules


_SLOW = """
import caffe, pathlib, time
class Slow(caffe.Layer):
    def setup(self, bottom, top):
        pathlib.Path("began").touch()
        time.sleep(100)
    reshape = forward = backward = None
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_goes_on_where_it_is_ended(good, how):
    (good / "slowly.py").write_text(_SLOW)
    layer = _PYTHON.replace("layers_of_mine", "slowly") % "Slow"
    (good / "slow.prototxt").write_text(f"{_DATA}{layer}\n")
    program = "from caffe_pylayers.commands.program import main; main(['check', 'slow.prototxt'])"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=good, stdout=subprocess.DEVNULL, preexec_fn=heed_ctrl_c
    )
    while not (good / "began").exists():
        assert process.poll() is None
        time.sleep(0.05)
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) == 2
    process.send_signal(how)
    assert process.wait(200) == (130 if how == signal.SIGINT else -how)
    assert_gone(below)


def test_a_data_layer_of_caffe_that_finds_no_gpu_is_no_mistake_of_the_net(tmp_path):
    """As a Caffe for GPUs logs it on a machine without one."""
    place = caffe_nets.write('layer { name: "data"  type: "Data"  top: "data" }', tmp_path)
    log = (
        "I20261130 18:12:53.302940 28996 net.cpp:86] Creating Layer data\n"
        "F20261130 18:12:53.302940 28996 internal_thread.cpp:26] Check failed: error == cudaSuccess (35 vs. 0)\n"
    )
    net = nets.read_net(place)
    found = judge(View.of(net, nets.NetState()), Answer(-signal.SIGABRT, "", log), None)
    assert (found.level, found.layer) == ("warning", "data")
    assert found.message == f"not set up: {NEEDS_A_GPU}, and here is none"
    assert "--no-build" in found.remedy
