"""Labels that are any numbers, and points, against what losses take: what `check` says, and what Caffe does."""

import functools

import cv2
import numpy as np
import pytest

from caffe_pylayers.commands.check.checking import check_files
from tests.caffe_nets import layer_text, python_layer
from tests.checks.real_caffe import ending, train

POINTS = {"labels": ["x1", "y1", "x2", "y2"], "points": [[0, 1], [2, 3]]}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.RandomState(0)
    rows = ["name,age,x1,y1,x2,y2,part_x,part_y,class,hole"]
    for number in range(6):
        cv2.imwrite(f"{folder}/{number}.png", rng.randint(0, 256, (12, 12, 3)).astype(np.uint8))
        values = [3.5 + number, *rng.randint(5, 8, 4), 0.4 + number / 20, 0.5, number % 3, "" if number == 4 else 1]
        rows.append(",".join(map(str, [f"{number}.png", *values])))
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "several.csv").write_text("".join(f"{number}.png,{number % 3}:{3 + number % 2}\n" for number in range(6)))
    return folder


def data(**options):
    options = {
        "source": "list.csv",
        "header": True,
        "label_format": "values",
        "batch_size": 2,
        "scale": 0.01,
        **options,
    }
    return python_layer("ImageDataLayer", [], ["data", "label"], options)


MULTILABEL = python_layer(
    "MultiLabelDataLayer", [], ["data", "label"], {"source": "several.csv", "multilabel": True, "batch_size": 2}
)
HALVES = layer_text("Slice", ["label"], ["one", "other"], "slice_param { slice_point: 1 }")


def scores(outputs):
    params = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: 0.01 }} }}'
    return layer_text("InnerProduct", ["data"], ["scores"], params)


def stock(kind, target="label"):
    return layer_text(kind, ["scores", target], ["loss"])


def ours(kind, target="label", **options):
    return python_layer(kind, ["scores", target], ["loss"], options, 1)


EUCLIDEAN, SIGMOID = "WeightedEuclideanLoss", "WeightedSigmoidCrossEntropyLoss"
LOST = {**POINTS, "crop_size": 10, "outside": "nan"}

WRONG = {
    "predictions, stock": ([data(**POINTS), scores(3), stock("EuclideanLoss")], "error", "num_output 3, but a record has 4 targets", "set num_output: 4"),
    "predictions, ours": ([data(labels="age"), scores(3), ours(EUCLIDEAN)], "error", "num_output 3, but a record has 1 target", "set num_output: 1"),
    "predictions of a column": ([data(labels=["age", "x1"]), HALVES, scores(2), stock("EuclideanLoss", "one")], "error", "has 1 target", "set num_output: 1"),
    "predictions of labels": ([MULTILABEL, scores(4), stock("SigmoidCrossEntropyLoss")], "error", "num_output 4, but a record has 5 targets", "num_output: 5"),
    "label_dim": ([data(labels="age", label_dim=3), scores(1), ours(EUCLIDEAN)], "error", "have 1 values, but 'label_dim' is 3", "leave it out"),
    "points beyond": ([data(labels=["x1", "y1"], points=[[0, 5]]), scores(2), ours(EUCLIDEAN)], "error", "'points' has column 5", "columns are 0 to 1"),
    "parts": ([data(labels=["part_x", "part_y"], points=[[0, 1]]), scores(2), ours(EUCLIDEAN)], "warning", "in pixels of the stored image", "multiply x"),
    "classes, ours": ([data(labels="age"), scores(3), ours("WeightedSoftmaxLoss")], "error", "labels are integers", "such as EuclideanLoss"),
    "classes, stock": ([data(labels="age"), scores(9), stock("SoftmaxWithLoss")], "warning", "Caffe truncates them", "such as EuclideanLoss"),
    "missing": ([data(labels="hole"), scores(1), ours(EUCLIDEAN)], "error", "missing targets", "'ignore_nan': true"),
    "points that are shifted out": ([data(**{**LOST, "crop_size": 0}, augment={"translate": 0.1}), scores(4), stock("EuclideanLoss")], "warning", "points outside of the image that is fed", "'ignore_nan': true"),
    "points that are lost": ([data(**LOST), scores(4), stock("EuclideanLoss")], "warning", "points outside of the image that is fed", "WeightedEuclideanLoss with 'ignore_nan': true"),
}  # fmt: skip

RIGHT = {
    "values": [data(labels="age"), scores(1), stock("EuclideanLoss")],
    "points": [data(**POINTS), scores(4), ours(EUCLIDEAN)],
    "a column": [data(labels=["age", "x1"]), HALVES, scores(1), ours(EUCLIDEAN, "other"), layer_text("Silence", ["one"], ["no"]).replace('top: "no"', "")],
    "whole numbers that are classes": [data(labels="class"), scores(3), stock("SoftmaxWithLoss")],
    "parts for the sigmoid": [data(**POINTS, normalize_points=True), scores(4), ours(SIGMOID)],
    "parts that are no points": [data(labels=["part_x", "part_y"]), scores(2), ours(SIGMOID)],
    "lost points are ignored": [data(**LOST), scores(4), ours(EUCLIDEAN, ignore_nan=True)],
    "points without a crop": [data(**{**LOST, "crop_size": 0}), scores(4), stock("EuclideanLoss")],
    "a hole is ignored": [data(labels="hole"), scores(1), ours(EUCLIDEAN, ignore_nan=True)],
    "noise": [data(labels="age"), python_layer("LabelNoise", ["label"], ["noisy"], {"distribution": "gaussian", "std": 1}), scores(1), stock("EuclideanLoss", "noisy")],
    "labels": [MULTILABEL, scores(5), stock("SigmoidCrossEntropyLoss")],
}  # fmt: skip


@pytest.fixture
def net(pictures, tmp_path, monkeypatch):
    """A function: layers -> what `check` finds in their net without Caffe, and whether Caffe trains it."""
    monkeypatch.chdir(pictures)

    def tried(layers):
        path = tmp_path / "net.prototxt"
        path.write_text("".join(layers))
        return check_files([str(path)], build=False).findings, ending(functools.partial(train, str(path)))

    return tried


@pytest.mark.parametrize("layers, level, says, remedy", WRONG.values(), ids=WRONG)
def test_what_is_wrong(layers, level, says, remedy, net):
    findings, answer = net(layers)
    (finding,) = findings
    assert finding.level == level and says in finding.message and remedy in finding.remedy
    assert (answer.status != 0) == (level == "error"), answer.err


@pytest.mark.parametrize("layers", RIGHT.values(), ids=RIGHT)
def test_what_is_right(layers, net):
    findings, answer = net(layers)
    assert findings == [] and answer.status == 0, answer.err


def test_a_net_that_caffe_tries_has_one_finding(net, tmp_path):
    """Of Caffe, or of the shapes that it has set up."""
    for loss in (stock("EuclideanLoss"), ours(EUCLIDEAN)):
        net([data(**POINTS), scores(3), loss])
        assert len(check_files([str(tmp_path / "net.prototxt")]).findings) == 1


def test_points_without_a_top_for_labels(net):
    layer = data(**POINTS).replace('top: "label"', "")
    findings, answer = net([layer, scores(1), layer_text("Reduction", ["scores"], ["loss"], loss_weight=1)])
    assert [finding.level for finding in findings] == ["warning"] and "'points' has no effect" in findings[0].message
    assert answer.status == 0, answer.err
