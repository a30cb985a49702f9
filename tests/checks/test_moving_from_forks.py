"""What `check` says of nets of forks: whoever does just that has the nets that `tests.layers.fork_nets` moves by hand."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.caffe_files.prototxt import Message, parse, text_of
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.migrate.forks import _NOWHERE, _STOCK
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, layer_text
from tests.layers.fork_nets import NETS, moved


@pytest.fixture
def found(tmp_path, monkeypatch):
    """A function: the text of a net -> what is found."""
    monkeypatch.chdir(tmp_path)

    def check(net):
        (tmp_path / "net.prototxt").write_text(net)
        return check_files(["net.prototxt"], build=False).findings

    return check


def follow(layer, remedy):
    """The layer, as the remedy says."""
    _, written, rest = remedy.split("`", 2)
    old = rest.partition(";")[0].replace(" in place of its ", "").split(" and ")
    return [*parse(written).fields, *(field for field in layer.fields if field.name not in old)]


def as_told(net, findings):
    """The net, in which each layer of an unknown type is as the remedy says."""
    remedies = {finding.line: finding.remedy for finding in findings if "unknown layer type" in finding.message}
    fields = []
    for field in parse(net).fields:
        layer = field.value
        if isinstance(layer, Message) and layer.line_of("type") in remedies:
            field = field._replace(value=Message(follow(layer, remedies[layer.line_of("type")])))
        fields.append(field)
    return text_of(Message(fields))


def in_any_order(net):
    return [sorted(text_of(Message([field])) for field in layer.fields) for layer in parse(net).messages("layer")]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What is found in each net that is as the remedies say, by its name; Caffe sets up all of them at once."""
    folder = tmp_path_factory.mktemp("moved")
    for name, net in NETS.items():
        (folder / name).write_text(net)
        (folder / name).write_text(as_told(net, check_files([str(folder / name)], build=False).findings))
    report = check_files([str(folder / name) for name in NETS])
    assert report.skipped == []
    return {
        name: (
            (folder / name).read_text(),
            [each.message for each in report.findings if each.file == str(folder / name)],
        )
        for name in NETS
    }


@pytest.mark.parametrize("name", NETS)
def test_the_remedies_move_a_net(name, left):
    net, messages = left[name]
    assert in_any_order(net) == in_any_order(moved(NETS[name]))
    without = ["option 'scale' has no effect, because 'upsample_h' and 'upsample_w' are given"]
    assert messages == (without if name == "segnet" else [])


INPUT = layer_text("Input", [], ["x", "t", "w"], "input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } }") + layer_text(
    "Input", [], ["cos", "label"], "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } }"
)
#: Layers of forks, and a field that the moved layer has.
MEANT = {
    "Fast R-CNN's weights": (layer_text("SmoothL1Loss", ["x", "t", "w"], ["y"]), "{'bottoms': ['inside_weight']}"),
    "a vector per sample": (layer_text("L2Normalization", ["x"], ["y"]), "{'across_spatial': True}"),
    "an engine": (layer_text("Interp", ["x"], ["y"], "interp_param { zoom_factor: 2  engine: CAFFE }"), "{'zoom_factor': 2}"),
    "a loss without a top": (layer_text("L1Loss", ["x", "t"], ["y"]).replace('top: "y"', ""), 'top: "y_layer"'),
    "SphereFace's schedule": (layer_text("MarginInnerProduct", ["x", "label"], ["y"], "margin_inner_product_param { num_output: 3  type: DOUBLE  base: 9 }"),
                              "{'num_output': 3, 'type': 'DOUBLE', 'base': 9, 'gamma': 0.0, 'power': 1.0, 'lambda_min': 0.0}"),
    "another fork's ArcFace": (layer_text("Arcface", ["cos", "label"], ["y"], "arcface_param { m: 0.4 }"), "{'m': 0.4}"),
    "a margin of 0": (layer_text("LabelSpecificAdd", ["cos", "label"], ["y"], "label_specific_add_param { transform_test: true }"), "{'bias': 0.0}"),
    "three margins": (layer_text("CombinedMargin", ["cos", "label"], ["y"], "combined_margin_param { m1: 2 }"), "{'m1': 2, 'm2': 0.5, 'm3': 0.35}"),
    "centres of 0": (layer_text("CenterLoss", ["x", "label"], ["y"], "param { decay_mult: 0 } center_loss_param { num_output: 3 }"),
                     "{'num_output': 3, 'center_filler': {'type': 'constant'}}"),
    "another name of an option": (layer_text("WingLoss", ["x", "t"], ["y"], "wing_loss_param { omega: 3 }"), "{'omega': 3}"),
}  # fmt: skip


@pytest.mark.parametrize("layer, has", MEANT.values(), ids=MEANT)
def test_what_a_fork_means_without_saying_so(layer, has, found):
    new = as_told(INPUT + layer, found(INPUT + layer))
    assert has in new
    assert found(new) == []


def test_a_field_that_becomes_no_option_is_named(found):
    layer = layer_text("L1Loss", ["x", "t"], ["y"], "l1_loss_param { l2_per_location: true }")
    (remedy,) = (each.remedy for each in found(INPUT + layer) if "type" in each.message)
    assert remedy.endswith("; L1Loss has no option 'l2_per_location'")


def test_a_normalize_without_a_scale(found):
    """SSD's learns a scale; that of another fork has no parameter, and its weights no blob."""
    net = INPUT + layer_text("Normalize", ["x"], ["y"])
    new = as_told(net, found(net))
    assert 'layer: "L2Normalize"' in new and found(new) == []
    (remedy,) = (each.remedy for each in found(net))
    assert '`layer: "Normalize"`' in remedy


def test_an_upsample_that_repeats_is_a_deconvolution(found):
    """Nets of YOLO have another layer of this name, with one bottom."""
    net = INPUT + layer_text("Upsample", ["x"], ["y"], "upsample_param { scale: 2 }")
    (remedy,) = (each.remedy for each in found(net) if "type" in each.message)
    told = dict(zip(("type", "filler", "count", "group", "bias", "param"), remedy.split("`")[1::2]))
    assert (told["type"], told["count"], told["group"]) == ('type: "Deconvolution"', "num_output", "group")
    param = f"num_output: 3  group: 3  kernel_size: 2  stride: 2  {told['filler']}  {told['bias']}"
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    layer = layer_text("Deconvolution", ["x"], ["y"], f"{told['param']} convolution_param {{ {param} }}")
    net = build([layer], {"x": x}, caffe.TEST)
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, x.repeat(2, axis=2).repeat(2, axis=3))


def test_no_type_of_a_fork_is_taken_for_a_misspelling(found):
    """`CenterLoss` is no slip of the pen in `ContrastiveLoss`; where migrate can do it, its command is named, with the line."""
    kinds = [kind for name, schema in SCHEMAS.items() for kind in (name, *schema.forks)] + [*_STOCK, *_NOWHERE]
    net = "".join(
        f'layer {{ name: "{kind}"\n  type: "{kind}"  bottom: "x" bottom: "t" top: "{kind}" }}\n' for kind in kinds
    )
    remedies = {
        each.layer: each.remedy for each in found(INPUT + net) if each.message == f"unknown layer type {each.layer!r}"
    }
    assert set(remedies) == set(kinds)
    assert not [remedy for remedy in remedies.values() if "did you mean" in remedy]
    assert "; `caffe-pylayers migrate net.prototxt` does it" in remedies["CenterLoss"]


@pytest.mark.parametrize("kind, says", [("CenterLos", "{'num_output': 3, "), ("FocalLos", "in place of the 1")])
def test_a_misspelled_type_of_a_fork(kind, says, found):
    layer = layer_text(kind, ["x", "label"], ["y"], "center_loss_param { num_output: 3 }")
    (remedy,) = (each.remedy for each in found(INPUT + layer) if "unknown layer type" in each.message)
    assert remedy.startswith(f"did you mean '{kind}s'? If so, ") and says in remedy


def test_a_type_of_a_fork_is_found_in_its_line(found):
    layer = layer_text("CenterLoss", ["x", "label"], ["y"], "center_loss_param { num_output: 3 }")
    (line,) = (each.line for each in found(f"# a\n# b\n{layer}") if "unknown layer type" in each.message)
    assert line == 3


@pytest.mark.parametrize(
    "layer, field, own",
    [
        (layer_text("InnerProduct", ["x"], ["y"], "inner_product_param { num_output: 3 normalize: true }"), "normalize", "NormalizedInnerProduct"),
        (layer_text("SoftmaxWithLoss", ["cos", "label"], ["y"], "loss_param { class_weighting: 1 }"), "class_weighting", "WeightedSoftmaxLoss"),
    ],
)  # fmt: skip
def test_a_field_of_a_fork_in_a_layer_of_caffes(layer, field, own, found):
    (remedy,) = (each.remedy for each in found(INPUT + layer) if repr(field) in each.message)
    assert own in remedy and remedy.endswith("; `caffe-pylayers migrate net.prototxt` does it")


@pytest.mark.parametrize("module, kind, own", [
    ("voc_layers", "VOCSegDataLayer", "ImageMapDataLayer"), ("voc_layers", "SBDDSegDataLayer", "ImageMapDataLayer"),
    ("pascal_multilabel_datalayers", "PascalMultilabelDataLayerSync", "MultiLabelDataLayer"), ("TripletDataLayer",) * 2 + ("TripletDataLayer",),
])  # fmt: skip
def test_a_python_layer_of_others_that_is_not_here(module, kind, own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    python = f'python_param {{ module: "{module}"  layer: "{kind}"  param_str: "x" }}'
    (tmp_path / "net.prototxt").write_text(layer_text("Python", [], ["data", "label"], python))
    (found,) = (each for each in check_files(["net.prototxt"]).findings if "cannot import" in each.message)
    assert found.remedy == f"{own} of caffe_pylayers takes its place: `caffe-pylayers migrate net.prototxt` writes it"
