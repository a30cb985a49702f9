"""An LMDB whose keys are numbers in another order than that of the numbers, and what goes by the places of its records."""

import json

import lmdb
import numpy as np
import pytest
import scipy.sparse

from caffe_pylayers import config
from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin, convert
from caffe_pylayers.data import samplers
from caffe_pylayers.data.sources import open_source, source_of
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError
from tests.refusals import refused

COUNT = 12
KEYS = {
    "plain": [str(number) for number in range(COUNT)],
    "with names": [f"{number}_cat.jpg" for number in range(COUNT)],
    "files": [f"{number}.jpg" for number in range(COUNT)],
    "strings of C": [f"{number}\0" for number in range(COUNT)],
    "eight places and nine": ["99999998", "99999999", "100000000", *map(str, range(100000001, 100000001 + COUNT - 3))],
}


def keyed(path, keys):
    """An LMDB in which the label of the record of keys[i] is i."""
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for label, key in enumerate(keys):
            transaction.put(key.encode(), write_datum(Datum(bytes([label] * 3), label, 3, 1, 1)))
    return str(path)


@pytest.fixture(params=KEYS)
def unpadded(request, tmp_path):
    return keyed(tmp_path / "lmdb", KEYS[request.param])


@pytest.mark.parametrize("option", ["labels", "sample_weights"])
@pytest.mark.parametrize("name", ["rows.npy", "rows.txt"])
def test_rows_of_a_file(unpadded, tmp_path, option, name):
    rows = np.arange(COUNT)
    np.save(tmp_path / name, rows) if name.endswith("npy") else np.savetxt(tmp_path / name, rows)
    file = str(tmp_path / name)
    with refused(DataError, "in this order: '", remedy=f"the rows of {option} {file} must") as caught:
        open_source("LMDB", unpadded, **{option: file})
    assert caught.value.remedy.endswith("set `label_order: key`, otherwise put them into this order")
    source = open_source("LMDB", unpadded, label_order="key", **{option: file})
    np.testing.assert_array_equal(source.labels if option == "labels" else source.sample_weights, rows)


def test_rows_in_the_order_of_the_keys(tmp_path):
    """As docs/data.md puts them there."""
    path = keyed(tmp_path / "lmdb", KEYS["plain"])
    labels = np.arange(COUNT)
    np.save(tmp_path / "sorted.npy", labels[sorted(range(len(labels)), key=str)])
    source = open_source("LMDB", path, labels=str(tmp_path / "sorted.npy"), label_order="key")
    np.testing.assert_array_equal(source.labels, open_source("LMDB", path).labels)


def test_the_message_shows_the_first_keys(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(COUNT))
    path = keyed(tmp_path / "lmdb", KEYS["plain"])
    with refused(DataError, "'0', '1', '10', '11', '2', '3', ...", remedy="rows of labels"):
        open_source("LMDB", path, labels=str(tmp_path / "rows.npy"))


FINE = {
    "padded": [f"{number:08d}" for number in range(COUNT)],
    "padded, with names": [f"{number:08d}_{number}.jpg" for number in range(COUNT)],
    "names": [f"img{number}.jpg" for number in range(COUNT)],
    "a name among numbers": [*KEYS["plain"][:-1], "mean"],
    "below ten": KEYS["plain"][:9],
    "one number for several": [f"{number // 3}_{number}" for number in range(COUNT)],
    "hashes": ["9a0f.jpg", "10bb.jpg", "2c.jpg"],
}


@pytest.mark.parametrize("keys", FINE.values(), ids=FINE)
def test_what_is_in_order_or_no_number(keys, tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(len(keys)))
    source = open_source("LMDB", keyed(tmp_path / "lmdb", keys), labels=str(tmp_path / "rows.npy"))
    assert source.labels.tolist() == list(range(len(keys)))


def test_labels_of_its_own_and_by_key_need_no_order(unpadded, tmp_path):
    own = open_source("LMDB", unpadded)
    table = keyed(tmp_path / "labels", [own.names[number].decode() for number in range(COUNT)])
    assert open_source("LMDB", unpadded, labels=table).labels[:, 0].tolist() == list(range(COUNT))


def _pairs(folder, names):
    (folder / "pairs.csv").write_text("".join(f"{one},{other},1\n" for one, other in zip(names, names[1:])))
    return "SiameseDataLayer", {"pairs": str(folder / "pairs.csv")}


def _triplets(folder, names):
    (folder / "triplets.csv").write_text(f"{names[0]},{names[1]},{names[2]}\n")
    return "TripletDataLayer", {"triplets": str(folder / "triplets.csv")}


def _dict(folder, names):
    (folder / "graph.json").write_text(json.dumps({names[0]: {names[1]: 0.5}}))
    return "TripletDataLayer", {"type": "HARD", "m": str(folder / "graph.json")}


def _edges(folder, names):
    (folder / "graph.csv").write_text(f"a,b,similarity\n{names[0]},{names[1]},0.5\n")
    return "TripletDataLayer", {"type": "HARD", "m": str(folder / "graph.csv")}


@pytest.mark.parametrize("made", [_pairs, _triplets, _dict, _edges])
def test_numbers_in_lists_and_graphs(made, tmp_path):
    path = keyed(tmp_path / "lmdb", KEYS["with names"])
    source = {"source_type": "LMDB", "source": path}
    layer, options = made(tmp_path, KEYS["plain"])
    file = next(value for value in options.values() if "/" in value)
    with refused(DataError, "in this order: '", remedy=f"the numbers of records in {file} must") as caught:
        drawn(layer, {**source, **options})
    assert caught.value.remedy.endswith("otherwise name them by their keys, with `names: 'key'`")
    drawn(layer, {**source, **options, "label_order": "key"})
    layer, options = made(tmp_path, KEYS["with names"])
    drawn(layer, {**source, **options, "names": "key"})


def _square(folder):
    np.savetxt(folder / "graph.csv", np.eye(COUNT), delimiter=",")
    return str(folder / "graph.csv")


def _sparse(folder):
    scipy.sparse.save_npz(folder / "graph.npz", scipy.sparse.eye(COUNT))
    return str(folder / "graph.npz")


@pytest.mark.parametrize("made", [_square, _sparse])
def test_matrices_of_similarities(made, tmp_path):
    path, file = keyed(tmp_path / "lmdb", KEYS["plain"]), made(tmp_path)
    options = {"source_type": "LMDB", "source": path, "type": "HARD", "m": file}
    with refused(DataError, "in this order: '", remedy=f"the lines and columns of {file} must"):
        drawn("TripletDataLayer", options)
    drawn("TripletDataLayer", {**options, "label_order": "key"})


def drawn(layer, values):
    """The first batch that a sampler of these options draws; classes are alike in threes."""
    options = config.validate(layer, {"batch_size": 4, **values})
    assert not options.warnings
    source = source_of(options)
    source.set_labels(source.labels // 3)
    make = samplers.triplets if layer == "TripletDataLayer" else samplers.pairs
    return make(source, options, training=True, ranks=1).batch(0)


def test_other_sources_have_an_order_of_their_own(tmp_path):
    """A CSV is in the order of its lines, whatever its files are called."""
    (tmp_path / "list.csv").write_text("".join(f"{number}.jpg\n" for number in (0, 1, 10, 11, 2)))
    np.save(tmp_path / "rows.npy", np.arange(5))
    source = open_source("CSV", str(tmp_path / "list.csv"), missing=None, labels=str(tmp_path / "rows.npy"))
    assert source.labels.tolist() == [0, 1, 2, 3, 4]


def test_what_write_lmdb_writes_is_in_order(tmp_path):
    write_lmdb(str(tmp_path / "lmdb"), [Datum(b"", number) for number in range(COUNT)])
    np.save(tmp_path / "rows.npy", np.arange(COUNT))
    open_source("LMDB", str(tmp_path / "lmdb"), labels=str(tmp_path / "rows.npy"))


def test_a_conversion_says_in_which_order_its_records_are(unpadded, tmp_path):
    """Its own keys are in order: later nobody sees that the numbers of the old ones were not."""
    converted = convert(Conversion(Origin("LMDB", unpadded), str(tmp_path / "out"), Images("LMDB")))
    (note,) = converted["notes"]
    assert note.startswith("records are in the order of their keys, not of their numbers: '")
    again = convert(Conversion(Origin("LMDB", str(tmp_path / "out")), str(tmp_path / "again"), Images("LMDB")))
    assert again["notes"] == []
