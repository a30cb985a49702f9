"""`caffe-pylayers evaluate` on a trained net of real images, and on files."""

import json

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers.commands.evaluate.evaluate import embedded_by
from caffe_pylayers.evaluation import Evaluation
from tests.caffe_nets import write
from tests.evaluation.digits import COUNT, net_text

BY_NET = ("net.prototxt", "trained.caffemodel", "--blob", "embedding")


@pytest.fixture(scope="module")
def features(trained):
    """Each image through the net by itself, and the labels."""
    root, source = str(trained / "digits"), str(trained / "digits.csv")
    path = write(net_text(batch_size=1, root=root, source=source), trained, "one.prototxt")
    net = caffe.Net(path, str(trained / "trained.caffemodel"), caffe.TEST)
    found = []
    for _ in range(COUNT):
        net.forward()
        found.append((net.blobs["embedding"].data[0].copy(), int(net.blobs["label"].data[0])))
    return np.array([each for each, _ in found]), np.array([label for _, label in found])


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture(scope="module")
def wrong(trained):
    """Files of all kinds that cannot be evaluated."""
    stock = net_text().replace('"fc1"', '"fc9"').replace('"embedding"', '"other"')
    stock = stock.replace("'digits", f"'{trained}/digits")
    caffe.Net(write(stock, trained, "o.prototxt"), caffe.TEST).save(str(trained / "other.caffemodel"))
    write(net_text().replace("num_output: 8", "num_output: 9"), trained, "wide.prototxt")
    write(net_text("SiameseDataLayer", ("data", "data_p", "label")), trained, "pairs.prototxt")
    body = net_text()[len(net_text().partition('layer { name: "more"')[0]) :]
    of_input = "input_param { shape { dim: 1 dim: 64 } shape { dim: 1 } }"
    write(f'layer {{ name: "in" type: "Input" top: "data" top: "label" {of_input} }}{body}', trained, "deploy.prototxt")
    of_data = 'data_param { source: "x" batch_size: 2 }'
    write(f'layer {{ name: "in" type: "Data" top: "data" top: "label" {of_data} }}{body}', trained, "stock.prototxt")
    several = net_text("MultiLabelDataLayer", source="several.csv", multilabel=True, label_dim=12)
    write(several[: several.index('layer { name: "scores"')], trained, "several.prototxt")
    (trained / "several.csv").write_text(
        "".join(f"{number:03}.png,{number % 3}:{4 + number % 5}\n" for number in range(40))
    )
    np.save(str(trained / "number.npy"), np.float32(3))
    np.save(str(trained / "nothing.npy"), np.zeros((0, 6)))
    np.save(str(trained / "two_by_two.npy"), [[0, 3], [1, 4]])
    (trained / "damaged.npz").write_bytes(b"PK\3\4 and no more")
    arrays = {
        "other": {"x": [1]},
        "nan": {"features": [[1.0, 2], [np.nan, 0]], "labels": [0, 0]},
        "names": {"features": np.eye(2), "names": ["a"]},
        "plain": {"features": np.eye(2)},
        "four": {"features": np.eye(4)},
        "twice": {"features": np.eye(3), "names": ["a", "b", "a"], "labels": [0, 1, 0]},
        "negative": {"features": np.eye(4), "labels": [-1, -1, -2, -1]},
        "labelled": {"features": np.eye(4), "labels": [0, 0, 1, 1]},
    }
    for name, each in arrays.items():
        np.savez(str(trained / f"{name}.npz"), **each)
    for name, text in {
        "three.txt": "0\n0\n1\n",
        "two_by_two.txt": "0 3\n1 4\n",
        "half.txt": "0\n0.5\n",
        "names.txt": "a\n",
        "keys.txt": "a b\n",
    }.items():
        (trained / name).write_text(text)


def answer(done):
    status, out, err = done
    assert (status, err) == (0, "")
    return json.loads(out)


def test_figures_of_a_net(evaluate, features):
    found = answer(evaluate(*BY_NET, "--json"))
    expected = Evaluation(*features).retrieval()
    assert found["queries"] == COUNT
    assert found["recall@1"] == expected.recall[1] > 0.9
    assert found["MAP@R"] == pytest.approx(expected.map_at_r, abs=1e-3)
    status, out, _ = evaluate(*BY_NET, "--at", "1,3", "--metric", "euclidean")
    assert status == 0
    rows = dict(line.split() for line in out.splitlines())
    assert list(rows) == ["recall@1", "recall@3", "MAP@R", "R-precision", "queries"]
    assert rows["recall@3"] == f"{Evaluation(*features, metric='euclidean').retrieval([3]).recall[3]:.4f}"


@pytest.mark.parametrize(
    "more",
    [
        {"shuffle": True, "prefetch": 2, "restart_every": 2},
        {"type": "PK", "classes_per_batch": 5, "samples_per_class": 4, "batch_size": 20},
        {"source": None, "sources": [{"source": "digits.csv", "weight": 0.2}, {"source": "digits.csv", "weight": 0.8}]},
    ],
    ids=lambda more: next(iter(more), "plain"),
)
def test_each_record_comes_once_in_the_order_of_the_source(more, here, features):
    more = {name: value for name, value in more.items() if value is not None}
    text = net_text(**more)
    if "sources" in more:
        text = text.replace("'source': 'digits.csv', 'root'", "'root'")
    embedded = embedded_by(write(text, here, "other.prototxt"), "trained.caffemodel", "embedding")
    copies = 1 + ("sources" in more)
    np.testing.assert_allclose(embedded.records.features, np.tile(features[0], (copies, 1)), atol=1e-4)
    assert embedded.records.labels.tolist() == features[1].tolist() * copies
    assert embedded.numbers.tolist() == list(range(copies * COUNT))
    assert embedded.notes == []


def test_records_that_cannot_be_read_are_left_out_and_told(here, features, evaluate):
    lines = (here / "digits.csv").read_text().splitlines()
    (here / "digits" / "damaged.png").write_bytes(b"no image")
    lines[5] = "damaged.png,3"
    (here / "some.csv").write_text("\n".join(lines))
    write(net_text(source="some.csv", on_error="replace"), here, "damaged.prototxt")
    found = answer(evaluate("damaged.prototxt", *BY_NET[1:], "--save", "some.npz", "--force", "--json"))
    assert found["queries"] == COUNT - 1
    assert found["notes"] == [f"1 of {COUNT} records cannot be read, and are left out"]
    with np.load("some.npz") as saved:
        np.testing.assert_allclose(saved["features"], np.delete(features[0], 5, 0), atol=1e-4)
        assert "damaged.png" not in saved["names"]
    (here / "damaged.csv").write_text("\n".join(f"{one},{one + 1},{one % 2}" for one in range(30)))
    status, out, err = evaluate("damaged.prototxt", *BY_NET[1:], "--pairs", "damaged.csv")
    assert (status, out) == (2, "")
    assert "record 5 ('damaged.png'): it is in a pair of damaged.csv" in err


def test_mirror_adds_the_feature_of_the_mirrored_image(here, features):
    """The net works in place on `data`, so the image must be kept."""
    for name in (here / "digits").glob("[0-9]*.png"):
        (here / "mirrored").mkdir(exist_ok=True)
        cv2.imwrite(str(here / "mirrored" / name.name), cv2.imread(str(name))[:, ::-1])
    mirrored = embedded_by(write(net_text(root="mirrored"), here, "m.prototxt"), "trained.caffemodel", "embedding")
    both = embedded_by("net.prototxt", "trained.caffemodel", "embedding", mirror=True)
    assert np.abs(mirrored.records.features - features[0]).max() > 0.1
    np.testing.assert_allclose(both.records.features, features[0] + mirrored.records.features, atol=1e-4)


def test_only_layers_up_to_the_blob_must_fit_the_weights(here, features):
    """A data layer of another number of blobs, or another head, would end the process in Caffe's `copy_from`."""
    text = net_text(resume=True).replace("num_output: 10", "num_output: 11")
    embedded = embedded_by(write(text, here, "head.prototxt"), "trained.caffemodel", "embedding")
    np.testing.assert_allclose(embedded.records.features, features[0], atol=1e-4)


def test_ten_crops_are_added(here):
    crops = {"resize": 12, "crop_size": 8, "crops": "ten"}
    text = net_text(**crops)
    embedded = embedded_by(write(text, here, "ten.prototxt"), "trained.caffemodel", "embedding")
    net = caffe.Net("ten.prototxt", "trained.caffemodel", caffe.TEST)
    net.forward()
    expected = net.blobs["embedding"].data.reshape(20, 10, -1).sum(1)
    np.testing.assert_allclose(embedded.records.features[:20], expected, atol=1e-4)
    assert embedded.records.labels[:20].tolist() == net.blobs["label"].data[::10].tolist()
    assert embedded.notes == ["a feature is the sum over 10 crops"]


def test_a_net_as_gallery_and_its_features_saved(evaluate, here, features):
    (here / "first.csv").write_text("\n".join((here / "digits.csv").read_text().splitlines()[:100]))
    write(net_text(source="first.csv"), here, "gallery.prototxt")
    by_net = answer(evaluate(*BY_NET, "--gallery", "gallery.prototxt", "--json"))
    assert by_net["queries"] == COUNT
    saved = answer(evaluate("gallery.prototxt", *BY_NET[1:], "--save", "gallery.npz", "--force", "--json"))
    assert saved["written"] == ["gallery.npz"]
    assert answer(evaluate(*BY_NET, "--gallery", "gallery.npz", "--json")) == by_net
    own = Evaluation(*features, gallery=(features[0][:100], features[1][:100])).retrieval()
    assert by_net["recall@4"] == own.recall[4]


def test_verification_with_names_and_a_picture_of_the_roc(evaluate, here, features):
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, COUNT, (2, 400))
    pairs[1, ::2] = [rng.choice(np.flatnonzero(features[1] == features[1][one])) for one in pairs[0, ::2]]
    (here / "pairs.csv").write_text("\n".join(f"{one:03}.png,{other:03}.png" for one, other in pairs.T))
    found = answer(evaluate(*BY_NET, "--pairs", "pairs.csv", "--names", "key", "--picture", "roc.png", "--json"))
    same = features[1][pairs[0]] == features[1][pairs[1]]
    expected = Evaluation(*features).verification(pairs, same)
    assert (found["pairs"], found["same"], found["folds"]) == (400, same.sum(), 10)
    assert found["accuracy"] == pytest.approx(expected.accuracy, abs=0.01)
    assert found["accuracy"] > 0.9
    assert found["AUC"] == pytest.approx(expected.auc, abs=1e-4)
    assert any(note.startswith("0.0001 of") for note in found["notes"])
    assert cv2.imread("roc.png").std() > 10
    (here / "numbers.csv").write_text("\n".join(f"{one} {other} {int(yes)}" for one, other, yes in zip(*pairs, same)))
    again = answer(
        evaluate(*BY_NET, "--pairs", "numbers.csv", "--picture", "roc.png", "--json")
    )  # its own picture is replaced
    assert again == {**found, "notes": again["notes"]}


def test_the_list_of_lfw_ties_pairs_to_file_names_and_says_how_many_folds(evaluate, here, features):
    """As the list of file names with sim, in four folds."""
    rng = np.random.default_rng(0)
    labels = features[1]
    numbers = np.array([np.sum(labels[:record] == labels[record]) + 1 for record in range(COUNT)])
    lines, plain = ["4\t10"], []
    for _ in range(4):
        for same in (True, False):
            for one in rng.integers(0, COUNT, 10):
                other = rng.choice(np.flatnonzero((labels == labels[one]) == same))
                photo = f"digit{labels[one]}\t{numbers[one]}"
                lines.append(
                    f"{photo}\t" + (f"{numbers[other]}" if same else f"digit{labels[other]}\t{numbers[other]}")
                )
                plain.append(f"{one} {other} {int(same)}")
    (here / "lfw.txt").write_text("\n".join(lines) + "\n")
    (here / "plain.txt").write_text("\n".join(plain) + "\n")
    rows = [f"lfw/digit{label}_{number:04}.png,{label}\n" for label, number in zip(labels, numbers)]
    (here / "digits" / "lfw").mkdir()
    for record, row in enumerate(rows):
        (here / "digits" / row.partition(",")[0]).symlink_to(here / "digits" / f"{record:03}.png")
    (here / "lfw.csv").write_text("".join(rows))
    write(net_text(source="lfw.csv"), here, "lfw.prototxt")
    found = answer(evaluate("lfw.prototxt", *BY_NET[1:], "--pairs", "lfw.txt", "--save", "lfw.npz", "--json"))
    assert (found["pairs"], found["same"], found["folds"]) == (80, 40, 4)
    expected = answer(evaluate(*BY_NET, "--pairs", "plain.txt", "--folds", 4, "--json"))
    assert {**expected, "written": found["written"]} == found
    assert answer(evaluate("lfw.npz", "--pairs", "lfw.txt", "--json"))["accuracy"] == found["accuracy"]
    assert answer(evaluate("lfw.npz", "--pairs", "lfw.txt", "--folds", 8, "--json"))["folds"] == 8
    status, _, err = evaluate(*BY_NET, "--pairs", "lfw.txt")
    assert status == 2 and "lfw.txt, line 2: photo" in err and "records here have names such as '000.png'" in err


def test_reidentification(evaluate, here, features):
    cameras = np.arange(COUNT) % 3
    (here / "cameras.txt").write_text("\n".join(map(str, cameras)))
    found = answer(evaluate(*BY_NET, "--cameras", "cameras.txt", "--junk", "0", "--junk", "-7", "--json"))
    expected = Evaluation(*features, cameras).reidentification(junk=[0, -7])
    assert [found[f"rank-{rank}"] for rank in (1, 5, 10)] == list(expected.cmc.values())
    assert found["mAP"] == pytest.approx(expected.mean_ap, abs=1e-3)
    assert f"{(features[1] == 0).sum()} records of the gallery are junk, and are left out" in found["notes"]
    names = {"features": features[0], "labels": features[1], "cameras": cameras}
    np.savez("cameras.npz", **names)
    by_file = answer(evaluate("cameras.npz", "--gallery", "cameras.npz", "--json"))
    assert by_file["mAP"] == Evaluation(*features, cameras).reidentification().mean_ap


def test_features_in_files(evaluate, here, features):
    np.save("features.npy", features[0])
    np.save("labels.npy", features[1])
    (here / "labels.txt").write_text("\n".join(map(str, features[1])))
    found = answer(evaluate("features.npy", "--labels", "labels.npy", "--json"))
    assert found["MAP@R"] == Evaluation(*features).retrieval().map_at_r
    assert answer(evaluate("features.npy", "--labels", "labels.txt", "--json")) == found


def test_one_class_alone_is_told(evaluate, here):
    """All figures are 1 then, and say nothing of the net; a gallery of one record has one class."""
    for name, labels in (("one", [3]), ("same", [3, 3, 3]), ("some", [3, 3, 4, -1])):
        features = np.random.default_rng(0).normal(size=(len(labels), 5))
        np.savez(str(here / f"{name}_class.npz"), features=features, labels=labels, cameras=range(len(labels)))
    told = "the gallery has one class alone: with any features all figures are 1"
    for arguments, queries in (
        (["same_class.npz"], 3),
        (["same_class.npz", "--gallery", "some_class.npz", "--junk", 4], 3),
        (["some_class.npz", "--gallery", "one_class.npz"], 1),
    ):
        found = answer(evaluate(*arguments, "--json"))
        assert found["queries"] == queries and told in found["notes"]
        assert found["rank-1"] == found["mAP"] == 1
    np.savez(str(here / "plain_class.npz"), features=np.eye(3), labels=[3, 3, 3])
    np.savez(str(here / "two_classes.npz"), features=np.eye(3), labels=[3, 3, 4])
    found = answer(evaluate("plain_class.npz", "--json"))
    assert told in found["notes"] and found["recall@1"] == found["MAP@R"] == 1
    assert told not in answer(evaluate("two_classes.npz", "--json"))["notes"]
    assert told not in answer(evaluate("plain_class.npz", "--gallery", "two_classes.npz", "--json"))["notes"]


def test_neighbours_as_a_picture(evaluate, here):
    (here / "names.txt").write_text(
        "\n".join(["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    )
    status, out, err = evaluate(*BY_NET, "--picture", "neighbours.png", "--rows", "5", "--classes", "names.txt")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "wrote neighbours.png"
    picture = cv2.imread("neighbours.png")
    assert picture.shape[1] > 1000
    assert picture.shape[0] > 5 * 120
    _, green, red = picture.astype(int).transpose(2, 0, 1)
    assert (green - red > 60).sum() > 4 * 4 * 120  # most neighbours are right


def test_a_picture_has_each_record_once(evaluate, here):
    (here / "few.csv").write_text("\n".join((here / "digits.csv").read_text().splitlines()[:12]))
    write(net_text(source="few.csv"), here, "few.prototxt")
    heights = []
    for rows in (1, 12, 100):
        status, _, err = evaluate("few.prototxt", *BY_NET[1:], "--picture", "few.png", "--rows", rows)
        assert (status, err) == (0, "")
        heights.append(cv2.imread("few.png").shape[0])
    assert heights[0] < heights[1] == heights[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["net.prototxt", "trained.caffemodel", "--blob", "embeding"],
            "no blob 'embeding' in TEST; did you mean 'embedding'? Blobs: data, label, fc1",
        ),
        (
            ["net.prototxt", "trained.caffemodel"],
            "the name of a blob is not given; caffe-pylayers evaluate net.prototxt",
        ),
        (["net.prototxt", "--blob", "embedding"], "its weights are not given"),
        (
            ["net.prototxt", "absent.caffemodel", "--blob", "embedding"],
            "absent.caffemodel: cannot read it: No such file",
        ),
        (["net.prototxt", "other.caffemodel", "--blob", "embedding"], "no weights of layers fc1"),
        (["wide.prototxt", "trained.caffemodel", "--blob", "embedding"], "layer 'embedding' has shape"),
        (["net.prototxt", "trained.caffemodel", "--blob", "loss"], "blob 'loss' has shape ()"),
        (["pairs.prototxt", "trained.caffemodel", "--blob", "embedding"], "SiameseDataLayer feeds no single images"),
        (["deploy.prototxt", "trained.caffemodel", "--blob", "embedding"], "no data layer in TEST"),
        (["stock.prototxt", "trained.caffemodel", "--blob", "embedding"], "0 data layers of this package in TEST"),
        (
            ["several.prototxt", "trained.caffemodel", "--blob", "embedding"],
            "no labels (a record has several, or values), but this evaluation needs them",
        ),
        (["net.prototxt", "trained.caffemodel", "--blob", "embedding", "--layer", "x"], "no data layer 'x' in TEST"),
        (["absent.npz"], "absent.npz: cannot read it"),
        (["damaged.npz"], "damaged.npz: not an .npz or .npy file"),
        (["other.npz"], "no array 'features' with a row per record, but x; write it with numpy.savez"),
        (["nan.npz"], "nan.npz: record 1 ('1'): its feature has NaN"),
        (["names.npz"], "2 features, but 1 names"),
        (["plain.npz"], "plain.npz: it has no labels"),
        (["plain.npz", "--labels", "three.txt"], "three.txt: it has 3 labels, but there are 2 records"),
        (["nothing.npy"], "caffe-pylayers: nothing.npy: its features have shape (0, 6): there are no records"),
        (["number.npy"], "number.npy: features are an array of float32 of shape (1,)"),
        (
            ["four.npz", "--labels", "two_by_two.txt"],
            "two_by_two.txt: it has 4 numbers in 2 rows; one integer per record",
        ),
        (
            ["four.npz", "--labels", "two_by_two.npy"],
            "two_by_two.npy: it has 4 numbers in 2 rows; one integer per record",
        ),
        (
            ["negative.npz"],
            "negative.npz: none of its 4 records has a label (all are negative), so there is nothing to count",
        ),
        (["labelled.npz", "--gallery", "negative.npz"], "negative.npz: none of its 4 records has a label"),
        (["plain.npz", "--save", "new.npy"], "--save writes an .npz, but the name is new.npy: give new.npz"),
        (["plain.npz", "--labels", "half.txt"], "half.txt: record 1: its label is 0.5"),
        (["plain.npz", "--picture", "new.png"], "no images to draw"),
        (["plain.npz", "--picture", "names.txt"], "names.txt is there already; --force"),
        (["plain.npz", "--save", "plain.npz", "--force"], "plain.npz is also the input"),
        (["plain.npz", "--pairs", "three.txt"], "columns"),
        (
            ["twice.npz", "--pairs", "keys.txt", "--names", "key"],
            "twice.npz: records 0 and 2 have the same name, 'a', which is in a pair of keys.txt, but other features; name records by their places",
        ),
        (
            ["plain.npz", "--pairs", "keys.txt"],
            "with `--names number` records are numbered 0 to 1; for file names or keys set `--names key`",
        ),
        (
            ["plain.npz", "--pairs", "keys.txt", "--names", "key"],
            "with `--names key` a record has its name in the source, such as '0'",
        ),
        (["plain.npz", "--at", "0,1"], "list of integers from 1"),
        (["plain.npz", "--folds", "3"], "--folds is only for --pairs"),
        (["plain.npz", "--gallery-labels", "x"], "--gallery-labels is only for --gallery"),
        (["plain.npz", "--pairs", "x", "--cameras", "y"], "--pairs or --cameras, but not both"),
        (["plain.npz", "--junk", "3"], "--junk is only for re-identification"),
        (["plain.npz", "weights.caffemodel"], "WEIGHTS is only for a net, but plain.npz has features"),
        (["plain.npz", "--gallery", "net.prototxt"], "give its WEIGHTS behind plain.npz, and --blob"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_one_message(arguments, words, evaluate, wrong):
    status, out, err = evaluate(*arguments)
    assert (status, out) == (2, "")
    assert words in err
