"""Sources that change: the cache feeds what they are now."""

import contextlib
import os

import cv2
import lmdb
import pytest

from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.data.cache.cache import Cache
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.data.cached_runs import (
    ALL,
    LATER,
    NUM_RECORDS,
    batches,
    datum,
    fed,
    feeder_of,
    image,
    write_source,
)

# Sources that change


def write_list(folder, order=range(NUM_RECORDS)):
    for name, shift in (("images", 0), ("maps", 1)):
        (folder / name).mkdir(exist_ok=True)
        for record in range(NUM_RECORDS):
            pixels = image(record) if not shift else image(record)[:, :, 0] // 90
            cv2.imwrite(str(folder / name / f"{record}.png"), pixels)
    (folder / "list.txt").write_text("".join(f"images/{record}.png {record % 3}\n" for record in order))
    (folder / "pairs.txt").write_text("".join(f"images/{record}.png maps/{record}.png\n" for record in order))


def over(path):
    """Another image of that name, in place."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    path.write_bytes(cv2.imencode(".png", found // 2)[1].tobytes())


def through_a_map(path, make=datum, number=500):
    """An LMDB of the same date, and, if it was written so before, of the same size."""
    status = (path / "data.mdb").stat()
    with lmdb.open(str(path), map_size=1 << 20, writemap=True) as environment, environment.begin(
        write=True
    ) as transaction:
        transaction.put(b"%08d" % 3, write_datum(make(number)))
    os.utime(path / "data.mdb", ns=(status.st_atime_ns, status.st_mtime_ns))


def renamed(path, write):
    """Another source of that name; the old one stays where it is open."""
    os.rename(path, f"{path}.old")
    write(path)


def map_datum(number):
    return Datum(cv2.imencode(".png", image(number)[:, :, 0] // 90)[1].tobytes(), 0, encoded=True)


def write_maps(path, version=0):
    write_lmdb(str(path), (map_datum(record + 1000 * version) for record in range(NUM_RECORDS)))


def records(version):
    return [Record(image(record + 1000 * version), (0,)) for record in range(NUM_RECORDS)]


CSV = {"source_type": "CSV", "source": "list.txt"}
CSV_MAPS = {"source_type": "CSV", "source": "pairs.txt", "layer": "ImageMapDataLayer"}
LMDB_MAPS = {"maps": "maps_lmdb", "layer": "ImageMapDataLayer"}
#: Options, what is written first, and how it changes.
CHANGES = {
    "an image": (CSV, write_list, lambda folder: over(folder / "images" / "7.png")),
    "the order of a list": (CSV, write_list, lambda folder: write_list(folder, range(NUM_RECORDS - 1, -1, -1))),
    "a map": (CSV_MAPS, write_list, lambda folder: over(folder / "maps" / "7.png")),
    "the image of a map": (CSV_MAPS, write_list, lambda folder: over(folder / "images" / "7.png")),
    "an image of a second source": (
        {"sources": [{"source_type": "LMDB", "source": "source", "weight": 1}, {**CSV, "weight": 1}]}, write_list, lambda folder: over(folder / "images" / "7.png"),
    ),
    "an LMDB of its name": ({}, lambda folder: None, lambda folder: renamed(folder / "source", lambda path: write_source(path, 1))),
    "an LMDB through a map": (
        {}, lambda folder: through_a_map(folder / "source", number=3), lambda folder: through_a_map(folder / "source"),
    ),
    "an LMDB of maps of its name": (
        LMDB_MAPS, lambda folder: write_maps(folder / "maps_lmdb"), lambda folder: renamed(folder / "maps_lmdb", lambda path: write_maps(path, 1)),
    ),
    "an LMDB of maps through a map": (
        LMDB_MAPS,
        lambda folder: (write_maps(folder / "maps_lmdb"), through_a_map(folder / "maps_lmdb", map_datum, 3)),
        lambda folder: through_a_map(folder / "maps_lmdb", map_datum),
    ),
    "a BCF file": (
        {"source_type": "BCF", "source": "bcf"}, lambda folder: write_bcf(str(folder / "bcf"), records(0)),
        lambda folder: renamed(folder / "bcf", lambda path: (os.remove(f"{path}.labels.npy"), write_bcf(str(path), records(1)))),
    ),
    "an HDF5 file": (
        {"source_type": "HDF5", "source": "h5"}, lambda folder: write_hdf5(str(folder / "h5"), records(0)),
        lambda folder: renamed(folder / "h5", lambda path: write_hdf5(str(path), records(1))),
    ),
}  # fmt: skip


@pytest.fixture(params=CHANGES)
def changing(request, folder, monkeypatch):
    """Options of a source, and what changes it."""
    monkeypatch.chdir(folder)
    options, write, change = CHANGES[request.param]
    write(folder)
    options = dict(options)
    return {"path": folder / options.pop("source", "source"), **options}, lambda: change(folder)


def test_a_source_that_changes_between_two_runs(changing):
    options, change = changing
    before, _ = fed(**options, cache="disk")
    assert fed(**options, cache="disk") == (before, ALL)
    change()
    expected, _ = fed(**options)
    assert expected != before
    assert fed(**options, cache="disk")[0] == expected
    assert fed(**options, cache="disk") == (expected, ALL)


def test_a_source_that_changes_while_it_is_set_up(changing):
    """Between its opening and the first batch: what is kept then is not taken for the new version."""
    options, change = changing
    feeder = feeder_of(**options, cache="disk")
    change()
    with contextlib.suppress(Exception):  # some say that it has changed
        batches(feeder)
    feeder.close()
    expected, _ = fed(**options)
    assert fed(**options, cache="disk")[0] == expected
    assert fed(**options, cache="disk") == (expected, ALL)


def test_an_lmdb_that_is_replaced_between_opening_and_the_cache(folder, monkeypatch):
    """Its records are those of the old one, which is still open."""
    of = Cache.of

    def later(*arguments):
        renamed(folder / "source", lambda path: write_source(path, 1))
        return of(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "of", later)
        fed(folder / "source", cache="disk")
    expected, _ = fed(folder / "source")
    assert fed(folder / "source", cache="disk")[0] == expected


def test_an_image_that_changes_in_a_run_is_kept_as_it_was_for_that_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    write_list(folder)
    options = {"path": folder / "list.txt", "source_type": "CSV"}
    feeder = feeder_of(**options, cache="disk")
    before, _ = batches(feeder)
    over(folder / "images" / "7.png")
    assert batches(feeder) == (before, ALL)
    feeder.close()
    assert fed(**options, cache="disk")[0] == fed(**options)[0] != before


def test_another_opencv_decodes_anew(folder, monkeypatch):
    expected, _ = fed(folder / "source", cache="disk")
    monkeypatch.setattr(cv2, "__version__", "4.0.0")
    assert fed(folder / "source", cache="disk") == (expected, LATER)
