"""`caffe-pylayers balance`: what it prints, and that Caffe reads what it writes."""

import ast
import json

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers.commands.balance.label_counts import count
from caffe_pylayers.commands.balance.weight_files import write_counts, write_matrix, write_weights
from tests import caffe_nets
from tests.program import run

COUNTS = count("labels", [np.repeat([0, 1, 3], [60, 30, 10])], num_classes=4)


@pytest.fixture
def source(tmp_path):
    """A list whose images are not there: only labels are read."""
    lines = [f"{number}.jpg {label}\n" for number, label in enumerate(np.repeat([0, 1, 3], [60, 30, 10]))]
    (tmp_path / "train.txt").write_text("".join(lines))
    return tmp_path / "train.txt"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_stock_infogain_loss_with_h_is_the_weighted_and_smoothed_softmax_loss(smoothing, tmp_path):
    weights = COUNTS.weights("balanced")
    write_matrix(str(tmp_path / "H.binaryproto"), weights, smoothing)
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(8, 4, 1, 1)).astype(np.float32)
    label = rng.choice([0, 1, 3], (8, 1, 1, 1)).astype(np.float32)
    net = caffe_nets.build(
        [
            caffe_nets.layer_text(
                "InfogainLoss",
                ["scores", "label"],
                ["loss"],
                f'infogain_loss_param {{ source: "{tmp_path}/H.binaryproto" }}',
            )
        ],
        {"scores": scores, "label": label},
        force_backward=False,
    )
    net.forward()
    log_prob = scores[:, :, 0, 0] - np.log(np.exp(scores[:, :, 0, 0]).sum(1, keepdims=True))
    own = label.reshape(-1).astype(int)
    target = (1 - smoothing) * np.eye(4)[own] + smoothing / 4
    expected = -(weights[own, None] * target * log_prob).sum(1).mean()
    assert net.blobs["loss"].data == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["counts.txt", "counts.npy"])
def test_layers_read_the_counts(name, tmp_path):
    path = str(tmp_path / name)
    write_counts(path, COUNTS)
    label = np.array([0, 1, 3, 0], np.float32)
    net = caffe_nets.build(
        [
            caffe_nets.python_layer(
                "SampleWeight", ["label"], ["w"], {"n_classes": 4, "counts": path, "scale": "mean_one"}
            ),
            caffe_nets.python_layer("LDAMLoss", ["scores", "label"], ["loss"], {"counts": path}, loss_weight=1),
        ],
        {"label": label, "scores": np.zeros((4, 4), np.float32)},
    )
    net.forward()
    np.testing.assert_allclose(net.blobs["w"].data, COUNTS.weights("max_count")[label.astype(int)], rtol=1e-6)
    assert net.blobs["loss"].data > np.log(4)  # margins, which an even score would not show without


def test_counts_of_several_labels_a_record_are_what_median_frequency_asks_for(tmp_path):
    counts = count("maps", [np.array([[0, 0, 0, 1], [2, 2, 0, 0], [1, 1, 1, 1]])])
    write_counts(str(tmp_path / "c.txt"), counts)
    options = {"n_classes": 3, "rule": "median_frequency", "counts": str(tmp_path / "c.txt"), "scale": "none"}
    net = caffe_nets.build(
        [caffe_nets.python_layer("SampleWeight", ["label"], ["w"], options)], {"label": np.arange(3, dtype=np.float32)}
    )
    net.forward()
    np.testing.assert_allclose(net.blobs["w"].data, counts.weights("median_frequency", scale="none"), rtol=1e-6)


TARGETS = np.array([[0, 1, 1], [1, 0, -1], [0, 1, 0], [0, 1, 0], [1, 1, -1]], np.float32)


@pytest.fixture
def rows_of_targets(tmp_path):
    """A list of rows of 0 and 1, -1 where it is not known."""
    lines = [f"{number}.jpg {' '.join(f'{target:.0f}' for target in row)}\n" for number, row in enumerate(TARGETS)]
    (tmp_path / "train.txt").write_text("".join(lines))
    return ("balance", "train.txt", "--label-format", "indicator")


@pytest.mark.parametrize("name", ["counts.txt", "counts.npy"])
def test_counts_of_targets_give_the_weights_of_a_batch_of_all_records(name, rows_of_targets, tmp_path, command):
    status, out, _ = command(*rows_of_targets, "--per", "label", "--write-counts", name)
    assert status == 0
    read = ast.literal_eval(ast.literal_eval(out.partition("param_str: ")[2].strip()))
    assert read["counts"] == name
    layers = [
        caffe_nets.python_layer("SampleWeight", ["target"], [top], {**read, "counts": counts})
        for top, counts in (("of_file", str(tmp_path / name)), ("of_batch", "batch"))
    ]
    net = caffe_nets.build(layers, {"target": TARGETS[:, :, None, None]})
    net.forward()
    np.testing.assert_array_equal(net.blobs["of_file"].data, net.blobs["of_batch"].data)
    assert len(np.unique(net.blobs["of_file"].data)) > 3


def test_the_table_of_targets(rows_of_targets, tmp_path, command):
    (tmp_path / "names.txt").write_text("cat\ndog\n[red]\n")
    _, out, _ = command(*rows_of_targets, "--per", "label", "--classes", "names.txt")
    assert [line.split() for line in out.splitlines() if line[:1].isdigit()] == [
        ["0", "cat", "2", "40.00%", "\u2588\u2588\u2588\u2588\u258a", "3", "0"],
        ["1", "dog", "4", "80.00%", "\u2588" * 9 + "\u258b", "1", "0"],
        ["2", "[red]", "1", "33.33%", "\u2588\u2588\u2588\u2588", "2", "2"],
    ]
    _, out, _ = command(*rows_of_targets, "--per", "label", "--json")
    assert json.loads(out)["counts"] == [2, 4, 1]
    assert json.loads(out)["negatives"] == [3, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write-counts", "c.txt"], "each record has several labels: --per label counts the positives and negatives"),
        (["--per", "label", "--rule", "balanced"], "--rule is for classes; with --per label leave it out"),
        (["--per", "label", "--write-h", "H.npy", "--rule", "balanced"], "--rule is for classes; with"),
        (["--per", "label", "--ignore-label", "1"], "--ignore-label is for classes; with"),
        (["--per", "label", "--beta", "0.9"], "--beta is for classes; with"),
    ],
)
def test_counts_of_targets_and_of_classes_are_not_mixed_up(arguments, message, rows_of_targets, tmp_path, command):
    status, out, err = command(*rows_of_targets, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]


def test_targets_of_a_net_are_as_many_as_its_label_dim(tmp_path, command):
    (tmp_path / "train.txt").write_text("a.jpg,0:2\nb.jpg,1\n")
    options = {"source": "train.txt", "multilabel": True, "label_dim": 4}
    (tmp_path / "net.prototxt").write_text(
        caffe_nets.python_layer("MultiLabelDataLayer", [], ["data", "label"], options)
    )
    status, out, _ = command("balance", "net.prototxt", "--per", "label", "--json")
    assert status == 0
    assert json.loads(out)["negatives"] == [1, 1, 1, 2]


def test_only_rows_that_are_sets_have_positives_and_negatives(tmp_path, command):
    (tmp_path / "train.txt").write_text("a.jpg 0 1 1\nb.jpg 1 0 0\n")
    status, _, err = command("balance", "train.txt", "--per", "label")
    assert status == 2
    assert "--per label: CSV source " in err
    assert "set --label-format indicator" in err
    net = caffe_nets.layer_text(
        "ImageData", [], ["data", "label"], 'image_data_param { source: "list.txt" batch_size: 1 }'
    )
    (tmp_path / "net.prototxt").write_text(net)
    (tmp_path / "list.txt").write_text("a.jpg 0\n")
    status, _, err = command("balance", "net.prototxt", "--per", "label")
    assert status == 2
    assert f"--per label: list {tmp_path}/list.txt has no rows of targets; name a CSV" in err
    status, out, _ = command("balance", "train.txt", "--per", "class", "--write-counts", "c.txt")
    assert status == 0
    assert "for the option `counts` of ComputeH" in out


def test_weights_as_text_and_npy(tmp_path):
    weights = COUNTS.weights("effective_number", beta=0.99)
    for name, read in (("w.txt", np.loadtxt), ("w.npy", np.load)):
        write_weights(str(tmp_path / name), weights)
        np.testing.assert_allclose(read(tmp_path / name), weights, rtol=1e-8)


@pytest.mark.parametrize("name", ["w.txt", "w.npy"])
def test_the_printed_param_str_reads_the_weights(name, source, command):
    """From the labels to the loss: as each loss that takes weights has them from a list."""
    status, out, _ = command("balance", "train.txt", "--rule", "balanced", "--write-weights", name)
    assert status == 0
    printed = next(line.split('"')[1] for line in out.splitlines() if line.startswith("  param_str:"))
    label = np.array([0, 1, 3, 0], np.float32)
    inputs = {"scores": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32), "label": label}
    weights = COUNTS.weights("balanced").tolist()

    def values(options, alpha, weigh):
        net = caffe_nets.build(
            [
                caffe_nets.python_layer("WeightedSoftmaxLoss", ["scores", "label"], ["loss"], options, loss_weight=1),
                caffe_nets.python_layer("FocalLoss", ["scores", "label"], ["focal"], {"alpha": alpha}, loss_weight=1),
                caffe_nets.python_layer("SampleWeight", ["label"], ["w"], {"n_classes": 4, "weights": weigh}),
                caffe_nets.python_layer("ComputeH", ["label"], ["H"], {"n_classes": 4, "weights": weigh}),
            ],
            inputs,
        )
        net.forward()
        return [net.blobs[blob].data.copy() for blob in ("loss", "focal", "w", "H")]

    read = values(printed, name, name)
    for found, wanted in zip(read, values({"class_weights": weights}, weights, weights)):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(read[2], np.array(weights)[label.astype(int)], rtol=1e-6)


def test_labels_of_a_column_and_names_of_classes_as_spreadsheets_write_them(tmp_path, command):
    (tmp_path / "train.csv").write_bytes("\ufeffname,breed\r\na.jpg,1\r\nb.jpg,0\r\nc.jpg,1\r\n".encode())
    (tmp_path / "names.txt").write_bytes("\ufeffcat\r\ndög\r\n".encode())
    status, out, _ = command("balance", "train.csv", "--header", "--labels", "breed", "--classes", "names.txt")
    assert status == 0
    assert "3 labels of 3 records in 2 classes" in out
    assert [line.split()[:3] for line in out.splitlines() if line[:2] in ("0 ", "1 ")] == [
        ["0", "cat", "1"],
        ["1", "dög", "2"],
    ]


def test_the_table_and_the_files(source, tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\nhorse\nemu\n")
    done = run("balance", "train.txt", "--classes", "names.txt", "--plot", "counts.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("train.txt: 100 labels of 100 records in 3 classes")
    assert lines[1] == "1 of 4 classes have no label: 2"
    row = next(line.split() for line in lines if line.startswith("3 emu"))
    assert row[2:4] == ["10", "10.00%"]
    assert "median" not in done.stdout  # which is the same for all where an image has one label
    picture = cv2.imread(str(tmp_path / "counts.png"))
    assert picture.shape[1] == 960
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts.png", "names.txt", "train.txt"]


def test_json_and_h_in_one_go(source, tmp_path):
    arguments = ["--rule", "inverse_sqrt", "--scale", "none", "--write-h", "H.binaryproto"]
    done = run("balance", "train.txt", *arguments, "--n-classes", "5", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["counts"] == [60, 30, 0, 10, 0]
    assert found["absent"] == [2, 4]
    expected = [1, 2**0.5, 0, 6**0.5, 0]
    assert found["weights"]["inverse_sqrt"] == pytest.approx(expected)
    assert found["factor_on_mean_loss"]["inverse_sqrt"] == pytest.approx(0.6 + 0.3 * 2**0.5 + 0.1 * 6**0.5)
    assert 'infogain_loss_param { source: "H.binaryproto" }' in done.stderr
    blob = caffe.proto.caffe_pb2.BlobProto.FromString((tmp_path / "H.binaryproto").read_bytes())
    matrix = caffe.io.blobproto_to_array(blob)
    np.testing.assert_allclose(matrix, np.diag(expected)[None, None], rtol=1e-6)


@pytest.mark.parametrize("options", [{"layer": "in"}, {"phase": "TEST"}, {"top": "label", "batches": "25"}])
def test_a_net(options, source, tmp_path, command):
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((4, 4), np.uint8))
    (tmp_path / "train.txt").write_text((source.read_text()).replace(".jpg", ".png"))
    for number in range(100):
        (tmp_path / f"{number}.png").symlink_to(tmp_path / "image.png")
    layer = caffe_nets.python_layer(
        "ImageDataLayer", [], ["data", "label"], {"source": "train.txt", "batch_size": 4, "shuffle": True}
    )
    caffe_nets.write(layer.replace("label_layer", "in").replace("data_layer", "in"), tmp_path)
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    _, out, err = command("balance", "net.prototxt", *arguments, "--json")
    assert json.loads(out)["counts"] == [60, 30, 0, 10], err


def test_label_maps_whose_255_is_no_class(tmp_path, command):
    (tmp_path / "list.txt").write_text("a 0\nb 255\nc 2\n")
    _, out, _ = command("balance", "list.txt", "--rule", "balanced")
    assert "if 255 means no class, as in many label maps, leave it out with --ignore-label 255" in out
    assert [line.split()[0] for line in out.splitlines() if "%" in line] == ["0", "2", "255"]
    _, out, _ = command("balance", "list.txt", "--rule", "balanced", "--ignore-label", "255")
    assert "ignored: 1 labels" in out
    assert [line.split()[0] for line in out.splitlines() if "%" in line] == ["0", "1", "2"]


def test_many_classes_are_shown_by_the_ends(tmp_path, command):
    labels = np.repeat(np.arange(200), np.arange(200) + 1)
    np.savetxt(tmp_path / "labels.txt", labels, fmt="x.jpg %d")
    _, out, _ = command("balance", "labels.txt", "--rule", "balanced", "--plot", "many.png")
    shown = [line.split()[0] for line in out.splitlines() if "%" in line]
    assert shown == [str(number) for number in (*range(199, 179, -1), *range(19, -1, -1))]
    assert (tmp_path / "many.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "there is no nothing.csv in "),
        (
            ["data.bin"],
            "data.bin: neither its name nor its content shows its format; give --source-type CSV, LMDB, BCF or HDF5",
        ),
        (["train.txt", "--n-classes", "3"], "record 90 ('90.jpg'): label 3; with 3 classes, labels are 0 to 2"),
        (["train.txt", "--type", "LMDB", "--header"], "--header has no effect, because --source-type is 'LMDB'"),
        (["train.txt", "--top", "label"], "--top is only for nets, not for a source (CSV); leave it out"),
        (["net.prototxt", "--root", "x"], "--root is not for a net: its data layer sets it; leave it out"),
        (["net.prototxt", "--batches", "3"], "--batches is for --top; without it every record"),
        (
            ["train.txt", "--write-h", "H.binaryproto"],
            "H.binaryproto writes the weights of one rule; choose it with --rule: max",
        ),
        (
            ["train.txt", "--rule", "balanced", "--write-h", "H.txt"],
            "H.txt: H is written as .binaryproto, which stock InfogainLoss",
        ),
        (["train.txt", "--plot", "data.bin"], "data.bin is there already; --force overwrites it"),
        (["train.txt", "--plot", "no/such.png"], "no/such.png: there is no folder "),
        (
            ["train.txt", "--classes", "train2.txt"],
            "train2.txt: it names 1 classes, one per line, but there is a label 3",
        ),
        (["train.txt", "--rule", "modern"], "'modern' is not one of 'max_count', 'balanced'"),
    ],
)
def test_what_it_cannot_do_is_said_in_a_line(arguments, message, source, tmp_path, command):
    (tmp_path / "data.bin").write_text("x")
    (tmp_path / "train2.txt").write_text("cat\n")
    (tmp_path / "net.prototxt").write_text('layer { name: "in" type: "Input" top: "data" }')
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = command("balance", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "data.bin").read_text() == "x"


def test_force_overwrites(source, tmp_path, command):
    (tmp_path / "w.txt").write_text("old")
    status, _, _ = command("balance", "train.txt", "--rule", "balanced", "--write-weights", "w.txt", "--force")
    assert status == 0
    np.testing.assert_allclose(np.loadtxt(tmp_path / "w.txt"), COUNTS.weights("balanced"), rtol=1e-8)


def test_rows_paths_and_names_of_classes_are_shown_as_they_are(tmp_path, command):
    """rich would make a thumb of `:-1:`, and a style of [red]."""
    (tmp_path / "[red]").mkdir()
    (tmp_path / "[red]" / "train.txt").write_text("a.jpg 0 -1 1 1\nb.jpg 1 0 0 0\n")
    (tmp_path / "names.txt").write_text("[red]\n:dog:\n")
    _, out, _ = command("balance", "[red]/train.txt", "--classes", "names.txt")
    assert f"CSV source {tmp_path}/[red]/train.txt: 7 labels" in out
    assert "labels 0:-1:1:1 have 1 twice" in out
    assert "[red]  " in out
    assert ":dog:" in out


def test_rows_of_0_and_1_are_doubted(tmp_path, command):
    (tmp_path / "train.txt").write_text("a.jpg 0 1 1\nb.jpg 1 0 0\n")
    _, out, _ = command("balance", "train.txt")
    assert "warning, if each row is a set of labels: CSV source " in out
    assert "; set --label-format indicator" in out
    _, out, _ = command("balance", "train.txt", "--label-format", "indicator")
    assert "warning" not in out
    net = caffe_nets.python_layer(
        "MultiLabelDataLayer", [], ["data", "label"], {"source": "train.txt", "multilabel": True}
    )
    (tmp_path / "net.prototxt").write_text(net)
    status, _, err = command("balance", "net.prototxt")
    assert status == 2
    assert "set `label_format: indicator`" in err
