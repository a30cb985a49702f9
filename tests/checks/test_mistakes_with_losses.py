"""Every loss, and what counts labels, with a mistake in what it is given: `check` knows each of them."""

import pytest

from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import layer_text, net_text, python_layer
from tests.checks.good_nets import write_good
from tests.checks.real_caffe import ending, train, training_step
from tests.layers.every_layer import LAYERS, weighted

LOSSES = [layer for layer, schema in SCHEMAS.items() if schema.gives[:1] == ("loss",)]
OURS = [*LOSSES, "WeightedAccuracy", "Metrics", "SegAccuracy"]

#: Layers whose labels are compared with the classes that the scores are for, ours and Caffe's.
OF_CLASSES = {
    "WeightedSoftmaxLoss": "SoftmaxWithLoss", "WeightedInfogainLoss": "InfogainLoss", "WeightedHingeLoss": "HingeLoss",
    "WeightedMultinomialLogisticLoss": "MultinomialLogisticLoss", "WeightedAccuracy": "Accuracy", "FocalLoss": "", "LDAMLoss": "",
    "Metrics": "", "SegAccuracy": "",
}  # fmt: skip
#: Layers that have another inside.
INSIDE = {
    "WeightedSoftmaxLoss": "Softmax", "WeightedInfogainLoss": "Softmax", "SoftCrossEntropyLoss": "Softmax", "FocalLoss": "Softmax",
    "LDAMLoss": "Softmax", "WeightedSigmoidCrossEntropyLoss": "Sigmoid", "SoftmaxWithLoss": "Softmax", "InfogainLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid", "BalancedSigmoidCrossEntropyLoss": "Sigmoid", "KnowledgeDistillation": "Softmax",
    "DiceLoss": ("Sigmoid", "Softmax"),  # by its target
}  # fmt: skip
OF_PROBABILITIES = ["WeightedMultinomialLogisticLoss", "MultinomialLogisticLoss"]
STOCK = [twin for twin in OF_CLASSES.values() if twin] + ["SigmoidCrossEntropyLoss"]
DATA = python_layer("ImageDataLayer", [], ["data", "label"], {"source": "train.csv", "batch_size": 4})
SCORES = layer_text("InnerProduct", ["data"], ["scores"], "inner_product_param { num_output: %d }")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("losses")
    write_good(folder)
    return folder


@pytest.fixture
def findings(folder, monkeypatch):
    """A function: layers and inputs of a net, options of `check` -> what it finds."""
    monkeypatch.chdir(folder)

    def check(layers, inputs=(), **options):
        (folder / "losses.prototxt").write_text(net_text(layers, dict(inputs), force_backward=False))
        return check_files(["losses.prototxt"], **options).findings

    return check


def judge(layer, first="scores", loss_weight=1):
    """A layer of ours or Caffe's behind scores and labels; what else it takes is `other`."""
    inputs, options = LAYERS.get(layer, ({"x": 0, "label": 0}, {}))
    bottoms = [first, *("label" if name == "label" else "other" for name in list(inputs)[1:])]
    if layer in STOCK:
        return layer_text(layer, bottoms, ["judged"])
    return python_layer(layer, bottoms, ["judged"], options, loss_weight if layer in LOSSES else None)


def found(findings, words):
    return [finding for finding in findings if finding.layer == "judged_layer" and words in finding.text]


@pytest.mark.parametrize("layer", [layer for name in OF_CLASSES.items() for layer in name if layer])
def test_a_label_beyond_the_classes_is_found(layer, findings):
    """The labels of the data are 0 to 4."""
    wrong = found(findings([DATA, SCORES % 4, judge(layer)], build=False), "the data have label 4 (")
    assert [finding.level for finding in wrong] == ["error"]
    assert "labels are 0 to 3" in wrong[0].message
    alone = layer in OURS and len(LAYERS[layer][0]) == 2 and not LAYERS[layer][1]  # without an option for its classes
    assert not alone or not ending(a_pass).ok
    assert not found(findings([DATA, SCORES % 5, judge(layer)], build=False), "the data have label")
    assert not alone or ending(a_pass).ok


def a_pass():
    """Of the whole data, through the net that was checked last."""
    training_step("losses.prototxt", batches=3)


@pytest.mark.parametrize("layer", LOSSES)
def test_a_missing_loss_weight_is_found(layer, findings):
    words = "a Python loss without loss_weight"
    wrong = found(findings([DATA, SCORES % 5, judge(layer, loss_weight=None)], data=False, build=False), words)
    assert [finding.level for finding in wrong] == ["error"]
    assert not found(findings([DATA, SCORES % 5, judge(layer)], data=False, build=False), words)


@pytest.mark.parametrize("before", ["Softmax", "Sigmoid", "TanH"])
@pytest.mark.parametrize("layer", [*OURS, *STOCK])
def test_what_is_done_twice_is_found(layer, before, findings):
    net = [DATA, SCORES % 5, layer_text(before, ["scores"], ["done"]), judge(layer, "done")]
    wrong = found(findings(net, data=False, build=False), f"'done_layer' is a {before}, and {layer} has one inside")
    assert [finding.level for finding in wrong] == ["warning"] * (before in INSIDE.get(layer, ""))


def test_a_teacher_of_probabilities_is_found(findings):
    def wrong(teacher):
        layers = [
            layer_text("Softmax", ["other"], ["prob"]),
            python_layer("KnowledgeDistillation", ["x", teacher], ["judged"], {}, 1),
        ]
        return found(
            findings(layers, {"x": (4, 3), "other": (4, 3)}, build=False), "KnowledgeDistillation has one inside"
        )

    (finding,) = wrong("prob")
    assert finding.level == "warning" and 'bottom: "other"' in finding.remedy
    assert not wrong("other")


@pytest.mark.parametrize("layer", [*OURS, *STOCK])
def test_scores_in_place_of_probabilities_are_found(layer, findings):
    wrong = found(findings([DATA, SCORES % 5, judge(layer)], data=False, build=False), f"{layer} takes probabilities")
    assert [finding.level for finding in wrong] == ["error"] * (layer in OF_PROBABILITIES)
    assert layer not in OF_PROBABILITIES or "Lost: nothing " in ending(lambda: train("losses.prototxt")).err


def bottoms_of(layer):
    """The bottoms of a layer that are right, sample_weight too, and its options with it."""
    return weighted(layer, *LAYERS[layer])


CASES = [(layer, name) for layer in OURS for name in list(bottoms_of(layer)[0])[1:]]
#: Sizes that a layer compares itself when the net is set up, which ends there.
IN_RESHAPE = [(layer, name) for layer, name in CASES if "Triplet" in layer and name != "sample_weight"]


def with_wrong(layer, wrong, label=""):
    """A layer, a bottom of which has a number too many, and the shapes of its bottoms; label: of all names."""
    bottoms, options = bottoms_of(layer)
    inputs = {f"{label}{name}": array.shape for name, array in bottoms.items()}
    if wrong:
        *others, last = bottoms[wrong].shape
        inputs[f"{label}{wrong}"] = (*others, last + 1)
    return python_layer(layer, list(inputs), [f"{label}top"], options, 1 if layer in LOSSES else None), inputs


def stops(layer, inputs):
    """Whether Caffe stops at a layer with such inputs of zeros."""
    with open("alone.prototxt", "w") as file:
        file.write(net_text([layer], inputs))
    return not ending(lambda: training_step("alone.prototxt")).ok


def test_bottoms_of_wrong_sizes_are_found(findings):
    """In one net, since Caffe sets it up; each layer is there once with all sizes right."""
    wrong = {f"{layer}_{name}_": (layer, name) for layer, name in CASES if (layer, name) not in IN_RESHAPE}
    right = {f"{layer}_": (layer, "") for layer in OURS}
    made = [with_wrong(layer, name, label) for label, (layer, name) in {**wrong, **right}.items()]
    told = findings(
        [text for text, _ in made], {name: shape for _, own in made for name, shape in own.items()}, data=False
    )
    said = {finding.layer: finding.message for finding in told if finding.level == "error"}
    assert set(said) == {f"{label}top_layer" for label in wrong}
    for label, (layer, name) in wrong.items():
        assert said[f"{label}top_layer"].startswith(f"bottom '{label}{name}' (")
        assert stops(*with_wrong(layer, name))


@pytest.mark.parametrize(("layer", "name"), IN_RESHAPE)
def test_bottoms_of_wrong_sizes_are_found_where_the_layer_looks(layer, name, findings):
    text, inputs = with_wrong(layer, name)
    assert [finding.layer for finding in findings([text], inputs, data=False) if finding.level == "error"] == [
        "top_layer"
    ]
    assert stops(text, inputs)


#: Layers, their options, and whether anything that they do depends on the iteration.
COUNTING = [
    ("LabelNoise", LAYERS["LabelNoise"][1], True),
    ("SampleWeight", {"n_classes": 3}, False),
    ("SampleWeight", {"n_classes": 3, "counts": "running"}, False),
    ("SampleWeight", {"n_classes": 3, "defer": 4}, True),
    ("ComputeH", {"n_classes": 3}, False),
    ("ComputeH", {"n_classes": 3, "defer": 4}, True),
    ("GradientScaler", {"max_iter": 9}, True),
    ("MarginInnerProduct", {"num_output": 3, "type": "DOUBLE"}, True),
    ("MarginInnerProduct", {"num_output": 3, "type": "SINGLE"}, False),
    ("LargeMarginInnerProduct", {"num_output": 3, "type": "DOUBLE", "gamma": 0}, False),
    ("BatchTripletLoss", {}, False),
    ("BatchTripletLoss", {"mining": "distance"}, True),
    ("BatchPairLoss", {"type": "contrastive"}, False),
    ("BatchPairLoss", {"type": "margin", "mining": "distance"}, True),
    ("ImageDataLayer", {"source": "train.csv", "shuffle": True}, False),
    ("ImageMapDataLayer", {"source": "maps.csv", "shuffle": True}, False),
    ("MultiLabelDataLayer", {"source": "train.csv"}, False),
    ("SiameseDataLayer", {"source": "train.csv"}, False),
    ("SiameseDataLayer", {"source": "train.csv", "type": "HARD", "m": "graph.json", "n": 4}, True),
    ("TripletDataLayer", {"source": "train.csv", "type": "HARD_MULTILABEL"}, False),
    ("TripletDataLayer", {"source": "train.csv", "type": "HARD_MULTILABEL", "n": 4}, True),
]


def test_an_iter_size_matters_where_iterations_are_counted(findings):
    assert {layer for layer, _, _ in COUNTING} == {
        layer for layer, schema in SCHEMAS.items() if "iter_size" in schema.model_fields
    }
    layers = [
        python_layer(layer, SCHEMAS[layer].takes[: 2 if layer in LOSSES else 1], [f"top{number}"], options)
        for number, (layer, options, _) in enumerate(COUNTING)
    ]
    with open("solver.prototxt", "w") as file:
        file.write('net: "losses.prototxt"  iter_size: 2')
    findings(layers)
    told = check_files(["solver.prototxt"], data=False, build=False).findings
    assert {
        finding.layer
        for finding in told
        if finding.message.startswith("option 'iter_size' is 1, but the solver's is 2")
    } == {f"top{number}_layer" for number, (_, _, counts) in enumerate(COUNTING) if counts}
