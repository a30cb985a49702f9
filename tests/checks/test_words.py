"""Fields that are strings, of which Caffe knows some: `check` knows the same ones."""

import faulthandler
import os

import caffe
import pytest

from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.check.solvers import REGULARIZATIONS
from caffe_pylayers.commands.check.words import CROP_MODES, FILLERS
from caffe_pylayers.processes.boot import fork, status_of
from tests.caffe_nets import layer_text, net_text

INPUTS = {"x": (2, 3, 4, 4), "same": (2, 3, 4, 4), "words": (2, 3), "cont": (2, 3)}

#: A layer with a filler {0}, and whether Caffe looks at it.
LAYERS = {
    "InnerProduct": ("x", "inner_product_param { num_output: 2  weight_filler { %s } }", True),
    "Convolution": ("x", "convolution_param { num_output: 2  kernel_size: 3  bias_filler { %s } }", True),
    "Deconvolution": ("x", "convolution_param { num_output: 2  kernel_size: 3  bias_term: false  bias_filler { %s } }", False),
    "Embed": ("words", "embed_param { num_output: 2  input_dim: 3  bias_term: false  weight_filler { %s } }", True),
    "Scale": ("x", "scale_param { bias_term: true  bias_filler { %s } }", True),
    "PReLU": ("x", "prelu_param { filler { %s } }", True),
}  # fmt: skip
MORE = {
    "a Scale without bias": (layer_text("Scale", ["x"], ["y"], "scale_param { bias_filler { %s } }"), False),
    "a Scale by a bottom": (layer_text("Scale", ["x", "same"], ["y"], "scale_param { axis: 0  filler { %s } }"), False),
    "DummyData": (layer_text("DummyData", [], ["y"], "dummy_data_param { shape { dim: 2 }  data_filler { %s } }"), True),
    "LSTM": (layer_text("LSTM", ["x", "cont"], ["y"], "recurrent_param { num_output: 2  weight_filler { %s } }"), True),
    **{
        kind: (layer_text(kind, [bottom], ["y"], more), used) for kind, (bottom, more, used) in LAYERS.items()
    },
}  # fmt: skip


@pytest.fixture
def found(tmp_path, monkeypatch):
    """A function: the layers of a net, and a solver's fields -> what is found, and whether Caffe trains it."""
    monkeypatch.chdir(tmp_path)

    def check(layer, solver=""):
        (tmp_path / "net.prototxt").write_text(net_text([layer], INPUTS, force_backward=False))
        (tmp_path / "solver.prototxt").write_text(
            f'net: "net.prototxt"  base_lr: 1  lr_policy: "fixed"  max_iter: 1  snapshot_prefix: "x"  {solver}\n'
        )
        findings = check_files(["solver.prototxt"], build=False).findings
        return [finding for finding in findings if "unknown" in finding.message], status_of(fork(train)) == 0

    return check


def train():
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    caffe.get_solver("solver.prototxt").step(1)


@pytest.mark.parametrize("name", MORE)
def test_an_unknown_filler_is_found_where_caffe_looks_at_it(name, found):
    layer, used = MORE[name]
    findings, trains = found(layer % 'type: "xaiver"')
    assert trains is not used
    assert [finding.level for finding in findings] == ["error"] * used
    if used:
        assert findings[0].message.startswith("unknown filler 'xaiver' in ")
        assert findings[0].remedy.startswith("did you mean 'xavier'? It is one of: 'constant', 'gaussian'")


@pytest.mark.parametrize("filler", FILLERS)
def test_fillers_that_caffe_has(filler, found):
    layer = layer_text(
        "Deconvolution",
        ["x"],
        ["y"],
        f'convolution_param {{ num_output: 2  kernel_size: 3  weight_filler {{ type: "{filler}" }} }}',
    )
    assert found(layer) == ([], True)


_LEARNED = (
    layer_text("InnerProduct", ["x"], ["y"], 'inner_product_param { num_output: 1  weight_filler { type: "xavier" } }')
    + layer_text("EuclideanLoss", ["y", "y"], ["loss"])
)  # fmt: skip


@pytest.mark.parametrize("kind", REGULARIZATIONS)
def test_regularizations_that_caffe_has(kind, found):
    assert found(_LEARNED, f'weight_decay: 1  regularization_type: "{kind}"') == ([], True)


def test_an_unknown_regularization(found):
    (finding,), trains = found(_LEARNED, 'weight_decay: 1  regularization_type: "L3"')
    assert not trains
    assert (finding.level, finding.message) == ("error", "unknown regularization_type 'L3'")
    assert finding.remedy == "It is one of: 'L1', 'L2'"
    (finding,), trains = found(_LEARNED, 'regularization_type: "L3"')
    assert trains
    assert finding.level == "warning"


def test_an_unknown_crop_mode(found):
    param = 'window_data_param { source: "none"  batch_size: 1  crop_mode: "%s" }'
    layer = layer_text("WindowData", [], ["d", "l"], param)
    assert all(found(layer % mode)[0] == [] for mode in CROP_MODES)
    ((finding,), _) = found(layer % "quadratic")
    assert finding.level == "warning"
    assert "unknown crop_mode 'quadratic', which Caffe silently takes for 'warp'" in finding.message
