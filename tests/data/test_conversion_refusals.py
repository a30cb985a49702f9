"""convert: what it does not write over, what it says, and what it refuses; the command itself."""

import hashlib
import json
import os
import re
import subprocess
import sys

import cv2
import pytest

from caffe_pylayers.data.conversion import Images, Origin
from caffe_pylayers.errors import ConfigError, DataError
from tests.data.conversions import converted
from tests.transcripts import environment


@pytest.fixture
def small(photos, tmp_path):
    """Ten photos in a list without labels."""
    lines = [f"{photos.folder}/{name}\n" for name in photos.names[:10]]
    (tmp_path / "ten.txt").write_text("".join(lines))
    return Origin("CSV", str(tmp_path / "ten.txt"))


def test_what_is_there_is_replaced_only_by_force_and_only_what_a_conversion_wrote(several, small, tmp_path):
    target = tmp_path / "it.bcf"
    converted(several, target, "BCF")
    before = target.read_bytes()
    with pytest.raises(DataError, match=f"{target} is there already; --force replaces it, or write to another name"):
        converted(small, target, "BCF")
    assert target.read_bytes() == before
    source, _ = converted(small, target, "BCF", force=True)
    assert len(source) == 10 and source.labels is None and source.sample_weights is None
    listed = sorted(os.listdir(tmp_path))
    assert listed == ["it.bcf", "it.bcf.provenance.json", "ten.txt"]  # not the old one's labels
    (tmp_path / "photos_images").mkdir()
    (tmp_path / "photos_images" / "mine.jpg").write_bytes(b"mine")
    for name, format in (("photos.csv", "CSV"), ("photos_images", "LMDB")):
        with pytest.raises(DataError, match=r"photos_images is there.*was not written by a conversion.*move it away"):
            converted(small, tmp_path / name, format, force=True)
    assert os.listdir(tmp_path / "photos_images") == ["mine.jpg"]
    assert sorted(os.listdir(tmp_path)) == [*listed[:2], "photos_images", "ten.txt"]
    with pytest.raises(ConfigError, match="it is the source; write to another name"):
        converted(small, tmp_path / "ten.txt", "CSV", force=True)
    converted(small, tmp_path / "a_lmdb", "LMDB")
    converted(small, tmp_path / "a_lmdb", "BCF", force=True)  # a file in the place of a folder
    with pytest.raises(DataError, match=f"the folder {tmp_path}/none is not there; make it first"):
        converted(small, tmp_path / "none" / "it.bcf", "BCF")


def test_provenance(several, tmp_path):
    _, entry = converted(several, tmp_path / "it.bcf", "BCF", {"resize": (9, 8)}, shuffle=True, seed=4)
    assert json.loads((tmp_path / "it.bcf.provenance.json").read_text()) == entry
    for name, file in entry["files"].items():
        data = (tmp_path / name).read_bytes()
        assert file == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert sorted(entry["files"]) == ["it.bcf", "it.bcf.labels.npy", "it.bcf.weights.npy"]
    assert entry["source"]["source"] == several.source and entry["source"]["root"] == several.root
    assert entry["images"] == {"target_type": "BCF", "resize": [9, 8], "gray": False, "encode": "png"}
    assert entry["shuffled"] == 4 and entry["versions"]["opencv"] == cv2.__version__
    assert entry["when"].endswith("+00:00")


def test_what_cannot_be_written_is_refused_by_name(photos, several, tmp_path):
    origin = Origin("CSV", photos.csv, root=str(photos.folder))
    with pytest.raises(
        DataError, match=rf"{tmp_path}/it.h5: record 1 is an image of type uint8 .*unlike those before it"
    ):
        converted(origin, tmp_path / "it.h5", "HDF5", {"encode": "raw"})
    with pytest.raises(ConfigError, match="--encode raw: BCF holds encoded images only; png loses nothing"):
        Images("BCF", encode="raw")
    for wrong in ("jpg:101", "jpg:0", "jpg", "gif"):
        with pytest.raises(ConfigError, match=f"--encode {wrong}: jpg:QUALITY with a quality from 1 to 100"):
            Images("LMDB", encode=wrong)
    assert os.listdir(tmp_path) == ["it.h5.partial"]


def convert_command(*arguments, folder):
    command = [sys.executable, "-m", "caffe_pylayers", "convert", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def test_the_command(photos, tmp_path):
    """What it guesses, what it prints, and that its line for a prototxt is one that a layer takes."""
    run = convert_command(photos.csv, "it_lmdb", "--root", photos.folder, "--resize", "24x20", folder=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[0].startswith("it_lmdb: LMDB, 37 records, ") and lines[0].endswith(" kB, pixels of 24 x 20")
    assert lines[1:3] == [f"from {photos.csv} (CSV); read back, and all of it is equal", "a layer reads it with"]
    (tmp_path / "net.prototxt").write_text(f"""layer {{ name: "it"  type: "Python"  top: "data"  top: "label"
        python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  {lines[3]} }} }}""")
    code = "import caffe; net = caffe.Net('net.prototxt', caffe.TEST); print(net.forward()['data'].shape)"
    layer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert layer.stdout == "(256, 3, 24, 20)\n"
    run = convert_command("it_lmdb", "it.h5", "--gray", "--json", folder=tmp_path)
    assert json.loads(run.stdout)["layer_options"] == {"source_type": "HDF5", "source": "it.h5", "color": False}


WRONG = {
    "no such source": (["none.txt", "it.bcf"], "CSV source .*none.txt: cannot read it: No such file"),
    "a target that says nothing": (["list.txt", "it"], "it: neither its name nor what is there tells.*give --to CSV, LMDB"),
    "a source that says nothing": (["images", "it.bcf"], "images: neither its name.*give --from CSV, LMDB, BCF or HDF5"),
    "a size": (["list.txt", "it.bcf", "--resize", "big"], "--resize big: pixels are given as N, or as HEIGHTxWIDTH"),
    "options of CSV": (["a.bcf", "it.h5", "--root", "x", "--missing", "skip"], "--root, --missing: of no effect.*BCF"),
    "a seed alone": (["list.txt", "it.bcf", "--seed", "3"], "--seed has no effect without --shuffle"),
    "no workers": (["list.txt", "it.bcf", "--workers", "0"], "0 is not in the range"),
}  # fmt: skip


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_what_the_command_refuses(arguments, message, tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg 1\n")
    run = convert_command(*arguments, folder=tmp_path)
    assert run.returncode == 2 and run.stdout == ""
    assert re.search(message, run.stderr) and len(run.stderr.splitlines()) == 1, run.stderr
    assert os.listdir(tmp_path) == ["list.txt"]
