"""Every block of the docs is run, in order, in an empty folder."""

import itertools
import re

import caffe
import numpy as np
import pytest

from docs import drawings
from tests.pages import ROOT, blocks, run, run_all


def test_the_quickstart(tmp_path):
    run_all("docs/quickstart.md", tmp_path)
    assert (tmp_path / "digits_iter_100.solverstate").exists()
    # Nets that are shown and not trained there train here.
    for name in ("infogain", "triplet"):
        run("bash", f"""sed 's/train_val/{name}/; s/^test_iter.*//; s/digits/{name}/; s/100/3/' solver.prototxt > {name}_solver
            caffe train --solver={name}_solver""", tmp_path)  # fmt: skip
        assert (tmp_path / f"{name}_iter_3.caffemodel").exists()


def test_the_net_of_the_readme(tmp_path, monkeypatch):
    """On the quickstart's images."""
    language, text = next(block for block in blocks("docs/quickstart.md") if block[0] == "python")
    run(language, text, tmp_path)
    run_all("README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    net = caffe.Net("train_val.prototxt", caffe.TRAIN)
    first = float(net.forward()["loss"])
    net.backward()
    assert 0 < first < 10
    net.layers[0].close()


def test_extending(tmp_path):
    run_all("docs/extending.md", tmp_path)


def test_the_page_about_data(tmp_path, monkeypatch):
    """Its nets feed what the page says, and its pictures are drawn from them."""
    names = run_all("docs/data.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    tops = {name.split(".")[0]: second_batch(name) for name in names}
    for name, blobs in tops.items():
        images = next(iter(blobs.values()))
        assert 0 < images.mean() < images.max() <= 255, name
    # One set of images in three kinds of source, whose records are in one order.
    for top, kind in itertools.product(("data", "label"), ("from_bcf", "from_hdf5")):
        np.testing.assert_array_equal(tops[kind][top], tops["from_lmdb"][top])
    assert (tops["from_csv"]["weight"] == 0.5).all()
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


def second_batch(name):
    """The tops of a net at its second batch."""
    net = caffe.Net(name, caffe.TRAIN)
    net.forward()
    net.forward()
    return {blob: net.blobs[blob].data.copy() for blob in net.blobs}


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))])
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
