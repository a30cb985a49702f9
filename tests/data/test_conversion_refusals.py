"""convert: what it does not write over, what it says, and what it refuses; the command itself."""

import hashlib
import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin
from caffe_pylayers.commands.convert.provenance import described
from caffe_pylayers.commands.convert.run import Run
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import ConfigError, DataError
from tests.data.conversions import FORMATS, SUFFIXES, converted
from tests.refusals import refused
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
    with refused(DataError, "already", str(target), remedy="--force"):
        converted(small, target, "BCF")
    assert target.read_bytes() == before
    source, _ = converted(small, target, "BCF", force=True)
    assert len(source) == 10 and source.labels is None and source.sample_weights is None
    listed = sorted(os.listdir(tmp_path))
    assert listed == ["it.bcf", "it.bcf.provenance.json", "ten.txt"]  # not the old one's labels
    (tmp_path / "photos_images").mkdir()
    (tmp_path / "photos_images" / "mine.jpg").write_bytes(b"mine")
    for name, format in (("photos.csv", "CSV"), ("photos_images", "LMDB")):
        with refused(DataError, "photos_images", "not written by a conversion", remedy="move it away"):
            converted(small, tmp_path / name, format, force=True)
    assert os.listdir(tmp_path / "photos_images") == ["mine.jpg"]
    assert sorted(os.listdir(tmp_path)) == [*listed[:2], "photos_images", "ten.txt"]
    with refused(ConfigError, "it is the source", remedy="another name"):
        converted(small, tmp_path / "ten.txt", "CSV", force=True)
    converted(small, tmp_path / "a_lmdb", "LMDB")
    converted(small, tmp_path / "a_lmdb", "BCF", force=True)  # a file in the place of a folder
    with refused(DataError, f"{tmp_path}/none ", remedy="make it"):
        converted(small, tmp_path / "none" / "it.bcf", "BCF")


def conversion_sources(photos, folder):
    """name -> an origin, and the files that it consists of."""
    photo = photos.bytes_of(0)
    (folder / "images").mkdir()
    for number in range(3):
        (folder / "images" / f"{number}.jpg").write_bytes(photo)
    (folder / "list.txt").write_text("".join(f"{number}.jpg\n" for number in range(3)))
    (folder / "labels.txt").write_text("1\n2\n3\n")
    np.save(folder / "weights.npy", np.ones(3))
    write_lmdb(str(folder / "a_lmdb"), (Datum(photo, 1, encoded=True) for _ in range(3)))
    write_lmdb(str(folder / "labels_lmdb"), (Datum(label=number) for number in range(3)))
    write_bcf(str(folder / "a.bcf"), [Record(photo)] * 3)
    write_hdf5(str(folder / "one.h5"), [Record(photo)] * 3)
    (folder / "files.txt").write_text(f"{folder}/one.h5\n")
    os.symlink(folder / "images", folder / "linked")
    os.link(folder / "labels.txt", folder / "same_labels.txt")
    path = str(folder)
    listed = Origin("CSV", f"{path}/list.txt", root=f"{path}/images", labels=f"{path}/labels.txt")
    yield listed, ["list.txt", "images", "images/1.jpg", "labels.txt", "linked/2.jpg", "linked", "same_labels.txt"]
    yield Origin("LMDB", f"{path}/a_lmdb"), ["a_lmdb", "a_lmdb/data.mdb", "a_lmdb/new.bcf"]
    keyed = Origin("LMDB", f"{path}/a_lmdb", labels=f"{path}/labels_lmdb", sample_weights=f"{path}/weights.npy")
    yield keyed, ["labels_lmdb", "labels_lmdb/data.mdb", "labels_lmdb/new.h5", "weights.npy"]
    yield Origin("BCF", f"{path}/a.bcf"), ["a.bcf"]
    yield Origin("HDF5", f"{path}/files.txt"), ["files.txt", "one.h5"]


def contents(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_that_the_source_consists_of_is_replaced(photos, tmp_path):
    """By force or not, by whatever name it is called, and a record of a conversion there or not."""
    for origin, pieces in conversion_sources(photos, tmp_path):
        before = contents(tmp_path)
        for piece in pieces:
            for format in FORMATS:
                for force in (False, True):
                    with pytest.raises((ConfigError, DataError), match="write to another (name|folder)"):
                        converted(origin, tmp_path / piece, format, force=force)
        # As if an earlier conversion had written it there.
        for piece in pieces:
            target = tmp_path / piece
            if target.exists():
                target.with_name(f"{target.name}.provenance.json").write_text(
                    json.dumps({"files": {target.name: described(str(target))}})
                )
                with pytest.raises(ConfigError, match="write to another (name|folder)"):
                    converted(origin, target, "BCF", force=True)
                os.remove(f"{target}.provenance.json")
        assert contents(tmp_path) == before


def test_images_that_an_earlier_conversion_wrote_are_kept_while_they_are_the_source(photos, small, tmp_path):
    """A conversion to CSV, then one from a list of its images to another format of the same name."""
    converted(small, tmp_path / "it", "CSV")
    images = sorted(os.listdir(tmp_path / "it_images"))
    (tmp_path / "own.txt").write_text("".join(f"{tmp_path}/it_images/{name}\n" for name in images))
    before = contents(tmp_path)
    with refused(ConfigError, "reads it", remedy="another name", source="it_images"):
        converted(Origin("CSV", str(tmp_path / "own.txt")), tmp_path / "it", "BCF", force=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("format", FORMATS)
def test_what_no_conversion_wrote_or_somebody_changed_is_not_replaced(small, tmp_path, format):
    thesis = tmp_path / "thesis"
    thesis.write_text("years of work")
    with refused(DataError, "already", "thesis", remedy="move it away"):
        converted(small, thesis, format)
    with pytest.raises(DataError, match="thesis is there, but was not written by a conversion, so --force does not"):
        converted(small, thesis, format, force=True)
    assert thesis.read_text() == "years of work"
    target = tmp_path / f"mine{SUFFIXES[format]}"
    converted(small, target, format)
    pieces = [target / "data.mdb" if format == "LMDB" else target]
    if format == "CSV":
        pieces.append(next((tmp_path / "mine_images").rglob("*.jpg")))
    for piece in pieces:
        before = piece.read_bytes()
        piece.write_bytes(before[:-4] + b"mine")  # of the same size
        with pytest.raises(DataError, match="has changed since a conversion wrote it"):
            converted(small, target, format, force=True)
        assert piece.read_bytes().endswith(b"mine")
        piece.write_bytes(before)
    converted(small, target, format, force=True)


def test_what_a_user_put_into_an_lmdb_is_not_replaced(small, tmp_path):
    """A mean image for example. The lock file is nobody's: whoever reads the database, Caffe too, makes one."""
    target = tmp_path / "it_lmdb"
    converted(small, target, "LMDB")
    (target / "lock.mdb").write_bytes(b"")
    (target / "mean.binaryproto").write_bytes(b"mine")
    with refused(DataError, f"{target}/mean.binaryproto", "not written by a conversion", remedy="move it away"):
        converted(small, target, "LMDB", force=True)
    assert (target / "mean.binaryproto").read_bytes() == b"mine"
    (target / "mean.binaryproto").rename(tmp_path / "mean.binaryproto")
    converted(small, target, "LMDB", force=True)
    assert os.listdir(target) == ["data.mdb"]


def test_what_comes_to_be_there_during_a_conversion_is_not_replaced(small, tmp_path):
    target = tmp_path / "it.bcf"

    def say(line):
        raise AssertionError(line)

    run = Run(Conversion(small, str(target), Images("BCF")), say)
    make = run._make

    def make_and_write(*arguments):
        pieces = make(*arguments)
        target.write_text("years of work")
        return pieces

    run._make = make_and_write
    with pytest.raises(
        DataError, match="it.bcf was not there when the conversion began; move it away, and give the same"
    ):
        run.convert(1, force=False)
    assert target.read_text() == "years of work"
    os.rename(target, tmp_path / "thesis")
    source, _ = converted(small, target, "BCF")
    assert len(source) == 10


@pytest.mark.parametrize("kind", ["folder", "file", "link", "locked by a link", "locked by a pipe"])
def test_a_folder_of_the_users_at_the_place_of_the_unfinished_one(small, tmp_path, kind):
    partial, thesis = tmp_path / "it.bcf.partial", tmp_path / "thesis"
    thesis.write_text("years of work")
    if kind == "file":
        partial.write_text("years of work")
    elif kind == "link":
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "lock").write_text("years of work")
        partial.symlink_to(tmp_path / "mine")
    else:
        (partial / "segments").mkdir(parents=True)
        (partial / "segments" / "mine").write_text("years of work")
    if kind == "locked by a link":
        (partial / "lock").symlink_to(thesis)
    elif kind == "locked by a pipe":
        os.mkfifo(partial / "lock")
    before = contents(tmp_path)
    with pytest.raises(DataError, match=r"it.bcf.partial is there, but no conversion left it; move it away"):
        converted(small, tmp_path / "it.bcf", "BCF")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("place", ["thesis", "segments", "plan.json", "segments/thesis", "made"])
def test_what_somebody_has_put_into_the_folder_of_a_conversion_stays(small, tmp_path, place):
    partial = tmp_path / "it.bcf.partial"
    (partial / place).parent.mkdir(parents=True)
    (partial / "lock").touch()
    if place == "plan.json":
        (partial / place).mkdir()
    else:
        (partial / place).write_text("years of work")
    before = contents(tmp_path)
    with refused(DataError, f"it.bcf.partial/{place} is there", remedy="move it away"):
        converted(small, tmp_path / "it.bcf", "BCF")
    assert contents(tmp_path) == before


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
    with refused(DataError, "record 1", "type uint8", source=f"{tmp_path}/it.h5"):
        converted(origin, tmp_path / "it.h5", "HDF5", {"encode": "raw"})
    with pytest.raises(ConfigError, match="--encode raw: BCF holds encoded images only; png loses nothing"):
        Images("BCF", encode="raw")
    for wrong in ("jpg:101", "jpg:0", "jpg", "gif"):
        with refused(ConfigError, f"--encode {wrong}: jpg:QUALITY"):
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
    assert lines[1:3] == [f"from {photos.csv} (CSV); read back and compared: all equal", "a layer reads it with"]
    (tmp_path / "net.prototxt").write_text(f"""layer {{ name: "it"  type: "Python"  top: "data"  top: "label"
        python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  {lines[3]} }} }}""")
    code = "import caffe; net = caffe.Net('net.prototxt', caffe.TEST); print(net.forward()['data'].shape)"
    layer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert layer.stdout == "(256, 3, 24, 20)\n"
    run = convert_command("it_lmdb", "it.h5", "--gray", "--json", folder=tmp_path)
    assert json.loads(run.stdout)["layer_options"] == {"source_type": "HDF5", "source": "it.h5", "color": False}


WRONG = {
    "no such source": (["none.txt", "it.bcf"], "CSV source .*none.txt: cannot read it: No such file"),
    "a target that says nothing": (["list.txt", "it"], "it: neither its name nor its content .*give --target-type CSV, LMDB"),
    "a source that says nothing": (["images", "it.bcf"], "images: neither its name.*give --source-type CSV, LMDB, BCF or HDF5"),
    "a size": (["list.txt", "it.bcf", "--resize", "big"], "--resize big: pixels are given as N, or as HEIGHTxWIDTH"),
    "options of CSV": (["a.bcf", "it.h5", "--root", "x"], "--root has no effect, because --source-type is 'BCF'"),
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
