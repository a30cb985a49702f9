"""Every block of the docs is run, in order, in an empty folder."""

import itertools
import re

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from sklearn.datasets import load_digits

import caffe_pylayers
from caffe_pylayers import LAYERS
from caffe_pylayers.config.catalogue import SCHEMAS
from docs import drawings
from tests.caffe_nets import layer_text, net_text
from tests.pages import ROOT, Block, blocks, run, run_all


def test_the_quickstart(tmp_path, programs, monkeypatch):
    run_all("docs/quickstart.md", tmp_path, programs)
    assert (tmp_path / "digits_iter_100.solverstate").exists()
    # What the page says of them.
    page = (ROOT / "docs/quickstart.md").read_text()
    counts = np.loadtxt(tmp_path / "counts.txt")
    assert f"only {counts[8]:.0f} of the {np.sum(load_digits().target[np.arange(1797) % 5 > 0] == 8)} eights" in page
    weights = ", ".join(f"{weight:.4g}" for weight in counts.sum() / counts.size / counts)
    assert f"class weights {weights}; they multiply the mean loss by 1," in page
    monkeypatch.chdir(tmp_path)
    net = caffe.Net("train_val.prototxt", caffe.TEST, weights="digits_iter_100.caffemodel")
    accuracy = np.mean([net.forward()["accuracy"] for _ in range(4)])
    assert accuracy == pytest.approx(float(re.findall(r"accuracy is about ([\d.]+)", page)[0]), abs=0.05)
    # Nets that are shown and not trained there train here.
    for name in ("infogain", "triplet"):
        train = f"""sed 's/train_val/{name}/; s/^test_iter.*//; s/digits/{name}/; s/100/3/' solver.prototxt > {name}_solver
            caffe train --solver={name}_solver"""
        run(Block("bash", train), tmp_path, programs)
        assert (tmp_path / f"{name}_iter_3.caffemodel").exists()


#: A net of stock layers on the quickstart's images, up to its loss.
STOCK = """
layer { name: "data"  type: "ImageData"  top: "data"  top: "label"  transform_param { scale: 0.01 }
  image_data_param { source: "train.txt"  root_folder: "images/"  batch_size: 32 } }
layer { name: "scores"  type: "InnerProduct"  bottom: "data"  top: "scores"
  inner_product_param { num_output: 10  weight_filler { type: "xavier" } } }
"""


@pytest.mark.stock_data
def test_the_readme(tmp_path, programs, monkeypatch):
    """Its change of a stock net, its net to copy, and the commands around them, on the quickstart's images."""
    run(next(block for block in blocks("docs/quickstart.md") if block.language == "python"), tmp_path, programs)
    monkeypatch.chdir(tmp_path)
    (change,) = re.findall("^```diff\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(re.findall("^[+-]", change, re.MULTILINE)) == 3
    balance, check, net_to_copy = blocks("README.md")
    (tmp_path / "train_val.prototxt").write_text(STOCK + re.sub("^([+].*\n|[ -])", "", change, flags=re.MULTILINE))
    assert learns("train_val.prototxt")
    run(balance, tmp_path, programs)
    (tmp_path / "train_val.prototxt").write_text(STOCK + re.sub("^(-.*\n|[ +])", "", change, flags=re.MULTILINE))
    run(check, tmp_path, programs)
    assert learns("train_val.prototxt")
    run(net_to_copy, tmp_path, programs)
    assert learns("train_val.prototxt")


def learns(name):
    """Whether the loss of a net gives its scores a gradient."""
    net = caffe.Net(name, caffe.TRAIN)
    loss = float(net.forward()["loss"])
    net.backward()
    caffe_pylayers.close()
    return 0 < loss < 10 and np.abs(net.blobs["scores"].diff).max() > 0


def test_the_readme_names_targets_that_exist():
    """And each row of its last table leads somewhere; test_links_lead_somewhere looks at where."""
    page = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ |caffe )make (\w+)", page))
    assert {"setup", "demo", "test"} <= named <= targets
    rows = re.findall(r"^\| (?!I have|---)(.*?) \| (.*) \|$", page.split("## Where to go")[1], re.MULTILINE)
    assert len(rows) > 12 and all("](docs/" in place for _, place in rows)


def test_nothing_says_that_an_index_has_the_package():
    for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("caffe_pylayers/**/*.py")):
        assert not re.search(r"install [^`\n]*['\" ]caffe.pylayers\b", path.read_text()), path


def test_extending(tmp_path):
    """In programs that start: it puts another package in front of ours."""
    run_all("docs/extending.md", tmp_path)


def test_the_page_about_data(tmp_path, programs, monkeypatch):
    """Its nets feed what the page says, and its pictures are drawn from them."""
    names = run_all("docs/data.md", tmp_path, programs)
    monkeypatch.chdir(tmp_path)
    tops = {name.split(".")[0]: second_batch(name) for name in names}
    for name, blobs in tops.items():
        images = next(iter(blobs.values()))
        assert 0 < images.mean() < images.max() <= 255, name
    # One set of images in three kinds of source, whose records are in one order.
    for top, kind in itertools.product(("data", "label"), ("from_bcf", "from_hdf5")):
        np.testing.assert_array_equal(tops[kind][top], tops["from_lmdb"][top])
    assert (tops["from_csv"]["weight"] == 0.5).all()
    assert tops["mixed"]["domain"].tolist() == [0] * 18 + [1] * 6
    assert tops["mixed"]["inverse"].mean() > 150 > 100 > tops["mixed"]["digits"].mean()
    assert set(np.bincount(tops["balanced"]["label"].astype(int))) == {2, 3}
    assert [len(np.unique(row)) for row in tops["pk"]["label"].reshape(4, 6)] == [1] * 4
    np.testing.assert_array_equal(tops["indicator"]["label"], tops["multilabel"]["label"])
    siamese = tops["siamese"]
    np.testing.assert_array_equal(siamese["sim"], [1, 0] * 4)
    np.testing.assert_array_equal(siamese["label"] == siamese["label_p"], siamese["sim"])
    assert sorted(tops["fixed_pairs"]["sim"]) == [0, 0, 1]
    assert (tops["graded"]["margin"] > 0).all()
    drawings.draw(tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    shown = set(re.findall(r"\(images/(\S+)\)", (ROOT / "docs/data.md").read_text()))
    assert drawn == shown
    assert all((ROOT / "docs/images" / name).exists() for name in drawn)


#: What the layers of docs/losses.md get as bottoms.
INPUTS = {
    "scores": (8, 5),
    "label": (8,),
    "prob": (8, 5),
    "target": (8, 5),
    "targets": (8, 5),
    "prediction": (8, 5),
    "inside_weight": (8, 5),
    "outside_weight": (8, 5),
    "teacher": (8, 5),
    "feature": (8, 5),
    "feature_p": (8, 5),
    "sim": (8,),
    "anchor": (8, 5),
    "positive": (8, 5),
    "negative": (8, 5),
    "margin": (8,),
    "embedding": (8, 5),
    "triplets": (4, 3),
    "sample_weight": (8,),
}


def test_the_page_about_losses(tmp_path, programs, monkeypatch):
    """Each of its layers runs forward and backward on bottoms of the names that it gives them."""
    monkeypatch.chdir(tmp_path)
    np.savetxt("counts.txt", [50, 20, 10, 5, 2])
    random = np.random.default_rng(0)
    names = run_all("docs/losses.md", tmp_path, programs)
    assert len(names) == len(set(names)) > 15
    for name in names:
        net = text_format.Parse((tmp_path / name).read_text(), caffe_pb2.NetParameter())
        made = {top for layer in net.layer for top in layer.top}
        needed = {bottom for layer in net.layer for bottom in layer.bottom} - made
        inputs = [layer_text("Input", [], [blob], shape_of(INPUTS[blob])) for blob in sorted(needed)]
        (tmp_path / name).write_text("".join(inputs) + (tmp_path / name).read_text())
        caffe_net = caffe.Net(name, caffe.TRAIN)
        for blob in needed:
            caffe_net.blobs[blob].data[...] = bottom_of(blob, random)
        for _ in range(2):
            caffe_net.forward()
            caffe_net.backward()
        top = "accuracy" if "accuracy" in caffe_net.blobs else "loss"
        found = caffe_net.blobs[top].data
        assert np.isfinite(found).all(), name
        assert (found > 0).all() or (top == "accuracy" and (found >= 0).all()), name


#: What the layers of docs/features.md get as bottoms.
FEATURES = {
    "volume": (2, 3, 4, 6, 5),
    "conv5": (2, 3, 6, 8),
    "rois": (4, 5),
    "small": (2, 3, 5, 4),
    "conv": (2, 3, 9, 12),
    "embedding": (8, 5),
    "factors": (2, 4),
    "conv4_3": (2, 4, 5, 3),
    "shortcut": (2, 4, 5, 3),
}


def test_the_page_about_features(tmp_path, programs, monkeypatch):
    """Each of its layers runs forward and backward on bottoms of the names that it gives them."""
    monkeypatch.chdir(tmp_path)
    names = run_all("docs/features.md", tmp_path, programs)
    assert len(names) == len({schema for schema in map(SCHEMAS.get, LAYERS) if schema.page == "features.md"})
    for name in names:
        text = (tmp_path / name).read_text()
        inputs = {blob: shape for blob, shape in FEATURES.items() if f'bottom: "{blob}"' in text}
        (tmp_path / name).write_text(net_text([text], inputs))
        net = caffe.Net(name, caffe.TRAIN)
        for blob in inputs:
            net.blobs[blob].data[...] = np.random.default_rng(0).uniform(0.1, 1, net.blobs[blob].data.shape)
        if "rois" in inputs:
            net.blobs["rois"].data[...] = [
                [1, 0, 0, 100, 80],
                [0, 16, 16, 20, 20],
                [0, 0, 0, 0, 0],
                [1, 500, 0, 600, 9],
            ]
        top = list(net.blobs)[-1]
        for _ in range(2):  # in the first iteration GradientScaler lets no gradient through
            net.forward()
            net.blobs[top].diff[...] = 1
            net.backward()
        assert net.blobs[top].data.any()
        assert net.blobs[next(iter(inputs))].diff.any()


def test_the_page_about_embeddings(tmp_path, programs, monkeypatch):
    """Each of its layers learns on embeddings and labels of four classes, with the loss or a softmax loss behind it."""
    monkeypatch.chdir(tmp_path)
    names = run_all("docs/embeddings.md", tmp_path, programs)
    assert len(names) == len([layer for layer in LAYERS if SCHEMAS[layer].page == "embeddings.md"])
    x = np.random.default_rng(0).normal(size=(8, 5))
    for name in names:
        text = (tmp_path / name).read_text()
        top = [top for layer in text_format.Parse(text, caffe_pb2.NetParameter()).layer for top in layer.top][-1]
        if "loss_weight" not in text:
            scores = "scores" if 'top: "lambda"' in text else top
            text += layer_text("SoftmaxWithLoss", [scores, "label"], ["loss"])
        (tmp_path / name).write_text(net_text([text], {"embedding": (8, 5), "label": (8,)}))
        caffe.set_random_seed(1)
        net = caffe.Net(name, caffe.TRAIN)
        net.blobs["embedding"].data[...], net.blobs["label"].data[...] = x, np.arange(8) // 2
        found = []
        for _ in range(2):
            for blobs in net.params.values():
                blobs[0].diff[...] = 0
            net.forward()
            net.backward()
            found.append(float(net.blobs["loss"].data))
            for blobs in net.params.values():
                blobs[0].data[...] -= 0.01 * blobs[0].diff
        assert found[1] < found[0], name
        assert net.blobs["embedding"].diff.any()


def bottom_of(blob, random):
    if blob == "label":
        return np.arange(8) // 2
    if blob == "targets":
        return random.integers(0, 2, (8, 5))
    if blob == "sim":
        return np.arange(8) % 2
    if blob == "triplets":
        return [[0, 1, 2], [1, 0, 5], [6, 7, 1], [7, 6, 0]]
    return random.uniform(0.1, 1, INPUTS[blob])


def shape_of(sizes):
    return f"input_param {{ shape {{ {' '.join(f'dim: {size}' for size in sizes)} }} }}"


@pytest.mark.parametrize("page", ["losses.md", "features.md", "embeddings.md"])
def test_the_tables_name_every_option_and_its_default(page):
    """Under the heading of each layer of the page."""
    parts = re.split(r"^## (\w+)$", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))
    assert set(sections) >= {name for name in LAYERS if SCHEMAS[name].page == page}
    for layer in set(sections) & set(LAYERS):
        fields = SCHEMAS[layer].model_fields
        named = set(re.findall(r"`(\w+)`", sections[layer]))
        assert set(fields) <= named, layer
        for option, default in re.findall(r"^\| `(\w+)` \| ([\w.-]+) \|", sections[layer], re.MULTILINE):
            if option in fields:
                assert spelled(fields[option]) == default, (layer, option)


def spelled(field):
    if field.is_required():
        return "required"
    if isinstance(field.default, str):
        return field.default
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default).lower()


def second_batch(name):
    """The tops of a net at its second batch."""
    net = caffe.Net(name, caffe.TRAIN)
    net.forward()
    net.forward()
    return {blob: net.blobs[blob].data.copy() for blob in net.blobs}


@pytest.mark.parametrize(
    "name", ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for link, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if link.startswith("http"):
            continue
        page = (ROOT / name).parent / link if link else ROOT / name
        assert page.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                anchor
            )
