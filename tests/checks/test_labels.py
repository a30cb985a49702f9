"""The labels and targets that sources have, all of them, against what losses take."""

import cv2
import h5py
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import layer_text, python_layer

SIZE, CLASSES = 4, 11
IMAGES = layer_text(
    "DummyData", [], ["image"], f"dummy_data_param {{ shape {{ dim: 2 dim: 3 dim: {SIZE} dim: {SIZE} }} }}"
)
SCORES = layer_text("Convolution", ["image"], ["scores"], "convolution_param { num_output: 11  kernel_size: 1 }")
VECTOR = layer_text("InnerProduct", ["image"], ["scores"], "inner_product_param { num_output: 11 }")
LOSS = layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"])
SIGMOID = layer_text("SigmoidCrossEntropyLoss", ["scores", "label"], ["loss"])


def lmdb(source, tops=("data", "label"), more=""):
    return layer_text("Data", [], tops, f'data_param {{ source: "{source}"  batch_size: 2  backend: LMDB }} {more}')


def listed(source, tops=("data", "label"), more="", transform=""):
    return layer_text(
        "ImageData", [], tops, f'image_data_param {{ source: "{source}"  batch_size: 2 {more} }} {transform}'
    )


def hdf5(source, *tops):
    return layer_text("HDF5Data", [], tops, f'hdf5_data_param {{ source: "{source}"  batch_size: 2 }}')


def maps(*values):
    """A label map of these values and 0."""
    image = np.zeros((SIZE, SIZE), np.uint8)
    image.flat[: len(values)] = values
    return image


def write_maps(folder, name, *images):
    """The same label maps as a list, a raw and an encoded LMDB."""
    lines = ""
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{name}{number}.png"), image)
        lines += f"{name}{number}.png 0\n"
    (folder / f"{name}.txt").write_text(lines)
    write_lmdb(str(folder / f"{name}_raw"), (Datum(image.tobytes(), 0, 1, SIZE, SIZE) for image in images))
    coded = (cv2.imencode(".png", image)[1].tobytes() for image in images)
    write_lmdb(str(folder / f"{name}_png"), (Datum(content, 0, encoded=True) for content in coded))


def write_rows(folder, name, *files):
    """An HDF5 list; files: of each the data set `label`."""
    for number, rows in enumerate(files):
        with h5py.File(folder / f"{name}{number}.h5", "w") as file:
            file["label"] = rows
            file["data"] = np.full((len(rows), 3), 99.5, np.float32)
    (folder / f"{name}.txt").write_text("".join(f"{name}{number}.h5\n" for number in range(len(files))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    write_maps(folder, "binary", maps(0), maps(255))
    write_maps(folder, "grey", maps(51, 102), maps(0))
    write_maps(folder, "void", maps(10, 255), maps(3))
    write_maps(folder, "good", maps(10), maps(3))
    image = cv2.imencode(".png", np.zeros((SIZE, SIZE, 3), np.uint8))[1].tobytes()
    (folder / "image.png").write_bytes(image)
    labels = [0, 10, 3, 11, 4, 5]
    (folder / "list.txt").write_text("".join(f"image.png {label}\n" for label in labels))
    (folder / "negative.txt").write_text("image.png 0\nimage.png -1\nimage.png 2\n")
    write_lmdb(str(folder / "labels_lmdb"), (Datum(image, label, encoded=True) for label in labels))
    some = [0, None, 3]
    write_lmdb(str(folder / "some_lmdb"), (Datum(image, label, encoded=True) for label in some))
    write_lmdb(str(folder / "none_lmdb"), (Datum(image, None, encoded=True) for _ in some))
    write_rows(folder, "rows", np.arange(8.0), np.array([0, 3, 12, 4], np.int64))
    write_rows(folder, "fractions", np.array([0, 0.9, 3.5, 10]))
    write_rows(folder, "nan", np.array([0, np.nan, 3]))
    write_rows(folder, "tasks", np.array([[0, 99], [10, 5], [3, 5]]))
    write_rows(folder, "yes", np.array([0, 1, 1], "f4"))
    write_rows(folder, "edges", np.array([0, 1, 255], "f4"))
    write_rows(folder, "targets", np.array([[0, 1], [0.5, 7], [1, -1]]))
    write_rows(folder, "unknown", np.array([[0, 1], [1, -1]]))
    (folder / "train.csv").write_text("".join(f"grey{number % 2}.png,0\n" for number in range(4)))
    (folder / "tasks.csv").write_text("image.png,0:99\nimage.png,10:5\nimage.png,3:5\n")
    (folder / "windows.txt").write_text("# 0\nimage.png\n3\n4\n4\n1\n99 0.9 0 0 3 3\n")
    return folder


@pytest.fixture
def findings(folder, monkeypatch):
    """A function: layers of a net -> what is found in its data, and in what takes their labels."""
    monkeypatch.chdir(folder)

    write_rows(folder, "missing", np.array([[0.5, 0.25], [np.nan, 1]]))
    cv2.imwrite(str(folder / "picture.png"), np.zeros((4, 4, 3), np.uint8))
    (folder / "missing.csv").write_text("picture.png,0.5,0.25\npicture.png,,1\n")

    def check(*layers, **options):
        (folder / "net.prototxt").write_text("".join(layers))
        return check_files(["net.prototxt"], **{"build": False, **options}).findings

    return check


def values(source):
    options = {"source": source, "label_format": "values", "batch_size": 2, "resize": 4}
    return python_layer("ImageDataLayer", [], ["image_of_list", "label"], options)


def sigmoid(more="", bottoms=("scores", "label")):
    return layer_text("SigmoidCrossEntropyLoss", bottoms, ["loss"], more)


def ours(layer, options=None):
    return python_layer(layer, ["scores", "label"], ["loss"], options, 1)


MAP_TOPS = ("label", "no")
GREY = "is_color: false"
IGNORE = "loss_param { ignore_label: 255 }"
WIDE = layer_text("InnerProduct", ["image"], ["scores"], "inner_product_param { num_output: 2 }")
OWN_MAPS = python_layer("ImageDataLayer", [], ["label"], {"source": "train.csv", "batch_size": 2, "color": False})

PER_LABEL = python_layer("SampleWeight", ["label"], ["loss"], {"n_classes": 2, "per": "label", "scale": "none"})
RANKED = python_layer("Metrics", ["scores", "label"], ["loss"], {"of": ["auc"]})
SINGLE = layer_text("InnerProduct", ["image"], ["scores"], "inner_product_param { num_output: 1 }")
ONE_MAP = SCORES.replace("num_output: 11", "num_output: 1")
TASKS = layer_text("Slice", ["label"], ["a", "b"], "slice_param { axis: 1  slice_point: 1 }")
OWN_TASKS = python_layer("MultiLabelDataLayer", [], ["data", "label"], {"source": "tasks.csv", "batch_size": 2})

# fmt: off
#: Layers behind the images; level; words of the finding; words of its remedy.
WRONG = {
    "raw maps of 0 and 255": ([lmdb("binary_raw", MAP_TOPS), SCORES, LOSS], "error", "label 255 (LMDB source", "make room for 256 of them"),
    "maps of 0 and 255 as PNG": ([lmdb("binary_png", MAP_TOPS), SCORES, LOSS], "error", "label 255 (LMDB source", "leave label 255 out with `loss_param { ignore_label: 255 }`"),
    "a list of maps of 0 and 255": ([listed("binary.txt", MAP_TOPS, GREY), SCORES, LOSS], "error", "label 255 (binary.txt:2)", "number the classes from 0"),
    "maps of several greys": ([listed("grey.txt", MAP_TOPS, GREY), SCORES, LOSS], "error", "label 102 (grey.txt:1) and 1 more such", "make room for 103"),
    "greys beside the one that is ignored": ([listed("grey.txt", MAP_TOPS, GREY), SCORES, LOSS.replace("top:", f"{IGNORE} top:", 1)], "error", "label 102 (", "make room"),
    "scaled maps": ([listed("good.txt", MAP_TOPS, GREY, "transform_param { scale: 0.25 }"), SCORES, LOSS], "warning", "label 2.5 (good.txt:1) and 1 more such, but labels are integers, and Caffe truncates", "without scale and mean"),
    "maps with a mean": ([listed("good.txt", MAP_TOPS, GREY, "transform_param { mean_value: 5 }"), SCORES, LOSS], "error", "label -2 (good.txt:2) and 1 more such", "number the classes from 0"),
    "maps of ours": ([OWN_MAPS, SCORES, ours("WeightedSoftmaxLoss")], "error", "label 102 (CSV source", "make room"),
    "one label in the middle of a list": ([listed("list.txt"), VECTOR, LOSS], "error", "label 11 (list.txt:4), but layer 'scores_layer' has num_output 11: labels are 0 to 10", "make room for 12"),
    "one label in the middle of an LMDB": ([lmdb("labels_lmdb"), VECTOR, LOSS], "error", "label 11 (LMDB source labels_lmdb: record 3 ('00000003'))", "make room for 12"),
    "a negative label": ([listed("negative.txt"), VECTOR, LOSS], "error", "label -1 (negative.txt:2)", "number the classes from 0 or leave label -1 out with `loss_param { ignore_label: -1 }`"),
    "a negative label, in accuracy": ([listed("negative.txt"), VECTOR, layer_text("Accuracy", ["scores", "label"], ["loss"])], "error", "label -1 (", "`accuracy_param { ignore_label: -1 }`"),
    "a label that the loss cannot ignore": ([listed("negative.txt"), VECTOR, layer_text("HingeLoss", ["scores", "label"], ["loss"], "loss_param { ignore_label: -1 }")], "error", "label -1 (", "number the classes from 0"),
    "a row in the second file of HDF5": ([hdf5("rows.txt", "data", "label"), VECTOR, LOSS], "error", "label 12 (rows1.h5: row 2)", "make room for 13"),
    "labels behind layers that keep them": ([hdf5("rows.txt", "label"), layer_text("Reshape", ["label"], ["a"]), layer_text("Flatten", ["a"], ["b"]), VECTOR, layer_text("SoftmaxWithLoss", ["scores", "b"], ["loss"])], "error", "label 12 (rows1.h5: row 2)", "make room for 13"),
    "one of several tasks": ([hdf5("tasks.txt", "label"), TASKS, VECTOR, layer_text("SoftmaxWithLoss", ["scores", "b"], ["loss"])], "error", "label 99 (tasks0.h5: row 0)", "make room for 100"),
    "one of several tasks of ours": ([OWN_TASKS, TASKS, VECTOR, layer_text("SoftmaxWithLoss", ["scores", "b"], ["loss"])], "error", "label 99 (CSV source", "make room for 100"),
    "fractions": ([hdf5("fractions.txt", "label"), VECTOR, LOSS], "warning", "label 3.5 (fractions0.h5: row 2) and 1 more such, but labels are integers", "numbers of the classes"),
    "fractions, for ours": ([hdf5("fractions.txt", "label"), VECTOR, ours("WeightedSoftmaxLoss")], "error", "label 3.5 (", "numbers of the classes"),
    "no number": ([hdf5("nan.txt", "label"), VECTOR, LOSS], "error", "label nan (nan0.h5: row 1)", "number the classes from 0"),
    "targets out of range": ([hdf5("targets.txt", "label"), WIDE, SIGMOID], "warning", "target 7 (targets0.h5: row 1) and 1 more such, but targets are 0 to 1", "a probability"),
    "targets out of range, for ours": ([hdf5("targets.txt", "label"), WIDE, ours("WeightedSigmoidCrossEntropyLoss")], "error", "target 7 (", "a probability"),
    "targets that are not known": ([hdf5("unknown.txt", "label"), WIDE, SIGMOID], "warning", "targets of -1, not known (unknown0.h5: row 1)", "add `loss_param { ignore_label: -1 }`"),
    "targets per label that are neither 0 nor 1": ([hdf5("targets.txt", "label"), PER_LABEL], "error", "target 7 (targets0.h5: row 1) and 1 more such, but targets are 0, 1, or -1", "a 0 or a 1"),
    "targets of metrics that are neither 0 nor 1": ([hdf5("targets.txt", "label"), WIDE, RANKED], "error", "target 7 (targets0.h5: row 1) and 1 more such, but targets are 0, 1, or -1", "a 0 or a 1"),
    "one label of seg accuracy": ([listed("grey.txt", MAP_TOPS, GREY), SCORES, python_layer("SegAccuracy", ["scores", "label"], ["loss"], {"ignore_label": [255, 103]})], "error", "label 102 (grey.txt", "make room"),
    "words beyond the table": ([hdf5("rows.txt", "label"), layer_text("Embed", ["label"], ["loss"], "embed_param { num_output: 2  input_dim: 12 }")], "error", "label 12 (rows1.h5: row 2), but input_dim is 12: labels are 0 to 11", "make room for 13"),
    "records without a label": ([lmdb("some_lmdb"), VECTOR, LOSS], "warning", "record 1 ('00000001'): it has no label, and Caffe takes 0 silently (1 of 3 records have none)", "convert_imageset"),
    "edges of 255": ([listed("binary.txt", MAP_TOPS, GREY), ONE_MAP, ours("BalancedSigmoidCrossEntropyLoss")], "warning", "target 255 (binary.txt:2), which the loss leaves out, because it is neither 0 nor 1, and none that was read is 1", "write 1 for what is to be found"),
    "classes for a loss of edges": ([hdf5("rows.txt", "label"), SINGLE, ours("BalancedSigmoidCrossEntropyLoss")], "warning", "target 12 (rows1.h5: row 2) and 6 more such, which the loss leaves out", "one other number"),
    "a map with 255 for seg accuracy": ([listed("void.txt", MAP_TOPS, GREY), SCORES, python_layer("SegAccuracy", ["scores", "label"], ["loss"])], "error", "label 255 (void.txt:1)", "leave label 255 out with `'ignore_label': 255`"),
    "a map with 255 for metrics": ([listed("void.txt", MAP_TOPS, GREY), SCORES, python_layer("Metrics", ["scores", "label"], ["loss"], {"of": ["mean_iou"]})], "error", "label 255 (void.txt:1)", "leave label 255 out with `'ignore_label': 255`"),
    "no record with a label": ([lmdb("none_lmdb"), VECTOR, LOSS], "warning", "record 0 ('00000000'): it has no label, and Caffe takes 0 silently (3 of 3 records have none)", "convert_imageset"),
}
#: Layers in which nothing is wrong.
RIGHT = {
    "maps with a label that is ignored": [listed("void.txt", MAP_TOPS, GREY), SCORES, layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"], IGNORE)],
    "the same as PNG, in accuracy": [lmdb("void_png", MAP_TOPS), SCORES, layer_text("Accuracy", ["scores", "label"], ["loss"], "accuracy_param { ignore_label: 255 }")],
    "maps that are right": [lmdb("good_raw", MAP_TOPS), SCORES, LOSS],
    "images that are no labels": [lmdb("binary_png", ("data", "no")), listed("negative.txt", ("x", "label"), "", ""), VECTOR.replace("11", "1"), layer_text("EuclideanLoss", ["scores", "label"], ["loss"])],
    "a negative label that is ignored": [listed("negative.txt"), VECTOR, layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"], "loss_param { ignore_label: -1 }")],
    "labels of windows": [layer_text("WindowData", [], ["data", "label"], 'window_data_param { source: "windows.txt"  batch_size: 2 }  transform_param { crop_size: 64 }'), VECTOR, LOSS],
    "a part of the labels": [hdf5("rows.txt", "label"), layer_text("Slice", ["label"], ["a", "b"], "slice_param { axis: 0 }"), VECTOR, layer_text("SoftmaxWithLoss", ["scores", "a"], ["loss"])],
    "the other of several tasks": [hdf5("tasks.txt", "label"), TASKS, VECTOR, layer_text("SoftmaxWithLoss", ["scores", "a"], ["loss"])],
    "labels that something changes": [listed("list.txt", ("data", "raw")), layer_text("Power", ["raw"], ["label"], "power_param { scale: 0.1 }"), VECTOR, LOSS],
    "targets of which some are not known": [hdf5("unknown.txt", "label"), WIDE, layer_text("SigmoidCrossEntropyLoss", ["scores", "label"], ["loss"], "loss_param { ignore_label: -1 }")],
    "targets per label of which some are not known": [hdf5("unknown.txt", "label"), PER_LABEL],
    "targets of metrics of which some are not known": [hdf5("unknown.txt", "label"), WIDE, RANKED],
    "edges of which some are not known": [hdf5("edges.txt", "label"), SINGLE, ours("BalancedSigmoidCrossEntropyLoss")],
    "labels 0 and 1 of a single score": [hdf5("yes.txt", "label"), SINGLE, RANKED],
    "several labels that are ignored": [listed("void.txt", MAP_TOPS, GREY), SCORES, python_layer("SegAccuracy", ["scores", "label"], ["loss"], {"ignore_label": [254, 255]})],
    "features of any size": [hdf5("rows.txt", "data"), VECTOR.replace("11", "3"), layer_text("EuclideanLoss", ["scores", "data"], ["loss"])],
    "a mean of one value for grey images as PNG": [lmdb("good_png", ("data", "label"), "transform_param { mean_value: 4 }"), VECTOR, LOSS],
}
# fmt: on


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_label_is_found(name, findings):
    layers, level, says, remedy = WRONG[name]
    found = [finding for finding in findings(IMAGES, *layers) if says in finding.message]
    assert [finding.level for finding in found] == [level]
    assert remedy in found[0].remedy


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_wrong_with_labels_that_nothing_minds(name, findings):
    assert findings(IMAGES, *RIGHT[name]) == []


@pytest.mark.parametrize("layer", ["SoftmaxWithLoss", "InfogainLoss", "Accuracy", "SigmoidCrossEntropyLoss"])
def test_what_is_to_be_written_leaves_the_label_out(layer, findings):
    net = [IMAGES, listed("negative.txt") if layer != "SigmoidCrossEntropyLoss" else hdf5("unknown.txt", "label")]
    net.append(WIDE if layer == "SigmoidCrossEntropyLoss" else VECTOR)
    judge = layer_text(layer, ["scores", "label"], ["loss"])
    (finding,) = (finding for finding in findings(*net, judge) if finding.layer == "loss_layer")
    *_, written, _ = finding.remedy.split("`")
    assert findings(*net, judge.replace("top:", f"{written} top:", 1)) == []


REGRESSION = {
    "stock": (hdf5, "EuclideanLoss", None, "our WeightedEuclideanLoss with 'ignore_nan': true"),
    "ours": (hdf5, "WeightedEuclideanLoss", {}, "'ignore_nan': true"),
    "ours, of values": (values, "WeightedEuclideanLoss", {}, "'ignore_nan': true"),
    "sigmoid": (hdf5, "WeightedSigmoidCrossEntropyLoss", {}, "'ignore_nan': true"),
    **{
        f"ours, {layer}": (hdf5, layer, {}, "'ignore_nan': true")
        for layer in ("SmoothL1Loss", "L1Loss", "HuberLoss", "WingLoss")
    },
    "edges": (hdf5, "BalancedSigmoidCrossEntropyLoss", {}, "write another number than 0 and 1, such as 255"),
    "ignored by the smooth one": (values, "SmoothL1Loss", {"ignore_nan": True}, None),
    "ignored": (values, "WeightedEuclideanLoss", {"ignore_nan": True}, None),
    "ignored by the sigmoid": (hdf5, "WeightedSigmoidCrossEntropyLoss", {"ignore_nan": True}, None),
}


@pytest.mark.parametrize("data, layer, options, remedy", REGRESSION.values(), ids=REGRESSION)
def test_missing_targets(data, layer, options, remedy, findings):
    loss = layer_text(layer, ["scores", "label"], ["loss"]) if options is None else ours(layer, options)
    net = VECTOR.replace("num_output: 11", "num_output: 2")
    given = data("missing.txt", "label") if data is hdf5 else data("missing.csv")
    found = [each for each in findings(IMAGES, given, net, loss) if each.level == "error"]
    assert len(found) == (remedy is not None) and all(finding.remedy.endswith(remedy) for finding in found)
    assert all(finding.level == "error" and "missing targets" in finding.message for finding in found)


@pytest.mark.parametrize(
    "net",
    [
        [hdf5("missing.txt", "label"), WIDE, ours("WingLoss", {"ignore_nan": True, "width": 1})],
        [
            hdf5("unknown.txt", "label"),
            WIDE,
            ours("WeightedSigmoidCrossEntropyLoss", {"ignore_label": -1, "weight": 1}),
        ],
        [listed("void.txt", MAP_TOPS, GREY), SCORES, ours("FocalLoss", {"ignore_label": 255, "gama": 2})],
    ],
)
def test_what_wrong_options_leave_out_is_not_missed(net, findings):
    (finding,) = findings(IMAGES, *net)
    assert finding.message.startswith("unknown option")


DICE = {
    "labels of many classes": ("void.txt", 11, {}, "label 255 (void.txt:1)", "leave label 255 out with `'ignore_label': 255`"),
    "labels of which some are left out": ("void.txt", 11, {"ignore_label": 255}, None, None),
    "targets beyond 1": ("binary.txt", 1, {}, "target 255 (binary.txt:2), but targets are 0 to 1", "leave target 255 out with `'ignore_label': 255`"),
    "targets of which some are left out": ("binary.txt", 1, {"ignore_label": 255}, None, None),
}  # fmt: skip


@pytest.mark.parametrize("source, classes, options, says, remedy", DICE.values(), ids=DICE)
@pytest.mark.stock_data
def test_labels_or_targets_of_dice(source, classes, options, says, remedy, findings):
    """Caffe says how many scores there are, and so which of the two they are."""
    scores = SCORES.replace("num_output: 11", f"num_output: {classes}")
    found = findings(IMAGES, listed(source, MAP_TOPS, GREY), scores, ours("DiceLoss", options), build=True)
    found = [each for each in found if each.level != "note"]
    assert [each.level for each in found] == ["error"] * (says is not None)
    assert all(says in each.message and remedy in each.remedy for each in found), found


def smaller(size, options):
    """Labels, and scores, of that many rows and columns."""
    scores = SCORES.replace("kernel_size: 1", f"kernel_size: {SIZE + 1 - size}")
    return [python_layer("Interp", ["label"], ["small"], options), scores]


TWO, THREE = smaller(2, {"shrink_factor": 3}), smaller(3, {"height": 3, "width": 3})


@pytest.mark.parametrize(
    "judge",
    [
        layer_text("SoftmaxWithLoss", ["scores", "small"], ["loss"], IGNORE),
        ours("WeightedSoftmaxLoss", {"ignore_label": 255}).replace('"label"', '"small"'),
    ],
    ids=["stock", "ours"],
)
@pytest.mark.stock_data
def test_labels_that_are_interpolated(judge, findings):
    """Of four rows the first and the last are two; three lie between them."""
    maps = listed("void.txt", MAP_TOPS, GREY)
    for layers, mixed in ((TWO, False), (THREE, True)):
        found = [each for each in findings(IMAGES, maps, *layers, judge, build=True) if each.level != "note"]
        assert [each.level for each in found] == ["warning"] * mixed, found
        assert all("from 4 x 4 to 3 x 3" in each.message and "as 321 and 41" in each.remedy for each in found)


def test_labels_are_followed_through_layers_that_keep_them(findings):
    maps = listed("void.txt", MAP_TOPS, GREY)
    judge = LOSS.replace('"label"', '"small"')
    (found,) = (each for each in findings(IMAGES, maps, *TWO, judge, build=True) if each.level == "error")
    assert "label 255 (void.txt:1)" in found.message


def test_values_are_no_labels(findings):
    found = findings(IMAGES, values("missing.csv"), VECTOR, ours("WeightedSoftmaxLoss"))
    assert "labels are integers" in found[0].message and found[0].level == "error"


def test_labels_are_left_where_data_are(findings):
    assert findings(IMAGES, listed("list.txt"), VECTOR, LOSS, data=False) == []


CHANGED = """
import numpy as np

def few(image, rng, labels): return image, labels % 3
def many(image, rng, labels): return image, labels + 100
def seen(image, rng, labels): return image
def many_of_a_map(image, rng, map): return image, map + np.float32(100)
def few_of_a_map(image, rng, map): return image, map % 3
"""


@pytest.mark.parametrize(
    "layer, source, function, found",
    [
        ("ImageDataLayer", "labels.txt", "few", ""),
        ("ImageDataLayer", "labels.txt", "many", "label 119"),
        ("ImageDataLayer", "inside.txt", "many", "label 110"),
        ("ImageDataLayer", "inside.txt", "seen", ""),
        ("ImageMapDataLayer", "maps.txt", "few_of_a_map", ""),
        ("ImageMapDataLayer", "inside_maps.txt", "many_of_a_map", "label 110"),
    ],
)
def test_labels_that_a_transform_changes_are_those_that_it_returns(
    tmp_path, monkeypatch, layer, source, function, found
):
    """Those of the source say nothing of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "labels_of_a_user.py").write_text(CHANGED)
    for name, highest in (("labels", 19), ("inside", 10)):
        numbers = range(highest - 9, highest + 1)
        (tmp_path / f"{name}.txt").write_text("".join(f"image.png {number}\n" for number in numbers))
    for name, highest in (("maps", 19), ("inside_maps", 10)):
        cv2.imwrite(f"{name}.png", maps(highest, 1))
        (tmp_path / f"{name}.txt").write_text(f"image.png {name}.png\n")
    cv2.imwrite("image.png", np.zeros((SIZE, SIZE, 3), np.uint8))
    options = {"source": source, "batch_size": 1, "transform": f"labels_of_a_user:{function}"}
    data = python_layer(layer, [], ["image", "label"], options)
    scores = VECTOR if layer == "ImageDataLayer" else SCORES
    (tmp_path / "net.prototxt").write_text(data + scores + LOSS)
    report = check_files(["net.prototxt"], build=False, code=True, all_data=True)
    errors = [finding.message for finding in report.findings]
    assert len(errors) == bool(found) and found in "".join(errors)
