"""The promises of the data engine, for every source and every layer, each broken on purpose."""

import logging
import os
import random
import signal
import time

import caffe
import lmdb
import numpy as np
import psutil
import pytest

import caffe_pylayers
from caffe_pylayers import DataError
from caffe_pylayers.caffe_files.datum import Datum, write_datum
from tests.layers.every_source_and_layer import (
    BAD,
    CASES,
    FALLIBLE,
    FALLIBLE_WITH_MAPS,
    FEW_CASES,
    LAYERS,
    MAP_LAYERS,
    MAP_SOURCES,
    SOURCES,
    in_turns,
    layer_text,
    net_of,
    options_of,
    stream_of,
    write_all,
)
from tests.layers.runs import Run
from tests.refusals import refused

NUM_BATCHES = 12  # more than an epoch of 37 records by 5


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    """Every source, whole."""
    path = tmp_path_factory.mktemp("every source")
    write_all(path, photos)
    return path


@pytest.fixture(scope="module")
def bad_folder(photos, tmp_path_factory):
    """Every source, with two records in it that are no images."""
    path = tmp_path_factory.mktemp("bad records")
    write_all(path, photos, BAD)
    return path


@pytest.fixture(autouse=True)
def nothing_is_left(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)  # the user's sampler
    shared = shared_memory()
    yield
    caffe_pylayers.close()
    assert psutil.Process().children() == []
    deadline = time.monotonic() + 10
    while shared_memory() - shared and time.monotonic() < deadline:
        time.sleep(
            0.05
        )  # a semaphore that a test beside this one has not named yet: glibc makes it and takes the name away
    assert shared_memory() - shared == set()


def shared_memory():
    """The names of what lies in /dev/shm, but for that of the ranks of tests that run beside these."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith("mpich")}


def for_each(cases, names="source, layer"):
    return pytest.mark.parametrize(names, cases, ids=[" - ".join(map(str, case)) for case in cases])


every_case = for_each(CASES)

#: Those in which others may stand in for a bad record. What does is the sampler's matter: tests/data/test_stand_ins.py.
BAD_CASES = in_turns(
    [CASES[0], *(case for case in FEW_CASES if case[0] in FALLIBLE + FALLIBLE_WITH_MAPS)], "skip", "replace"
)


@every_case
def test_any_number_of_workers_feeds_the_same(folder, source, layer):
    options = {"crop_size": 16, "mirror": True}
    expected = stream_of(net_of(folder, source, layer, **options), NUM_BATCHES)
    assert len(set(expected)) == NUM_BATCHES
    for workers in (1, 2, 8) if (source, layer) == CASES[0] else (1,):
        net = net_of(folder, source, layer, prefetch=max(3, workers), workers=workers, **options)
        assert stream_of(net, NUM_BATCHES) == expected, f"{workers} workers"
        caffe_pylayers.close()


@for_each(in_turns(CASES, False, 2), "source, layer, prefetch")
def test_a_restored_run_goes_on_with_the_very_next_batch(folder, tmp_path, source, layer, prefetch):
    (tmp_path / "net.prototxt").write_text(
        layer_text(folder, source, layer, resume=True, crop_size=16, mirror=True, prefetch=prefetch)
        + f'layer {{ name: "ip"  type: "InnerProduct"  bottom: "{LAYERS[layer][1][0]}"  top: "ip" '
        "inner_product_param { num_output: 1 } }\n"
        'layer { name: "loss"  type: "Reduction"  bottom: "ip"  top: "loss"  loss_weight: 1 }'
    )
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt"  type: "Adam"  base_lr: 0.001  lr_policy: "fixed"  weight_decay: 0.01 '
        f'snapshot_prefix: "{tmp_path}/net"'
    )

    def steps(solver, number):
        streams = []
        for _ in range(number):
            solver.step(1)
            streams.append([solver.net.blobs[top].data.tobytes() for top in LAYERS[layer][1]])
        return streams

    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    steps(solver, 5)
    solver.snapshot()
    expected = steps(solver, NUM_BATCHES - 5)
    caffe_pylayers.close()
    restored = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    restored.restore(str(tmp_path / "net_iter_5.solverstate"))
    assert steps(restored, NUM_BATCHES - 5) == expected


@pytest.mark.parametrize("num_ranks", [2, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_ranks_share_one_stream(folder, ranks, layer, num_ranks):
    """Batch k of rank r is batch k R + r of a single run: equal counts, nothing twice, nothing left out."""
    # A rank counts its own iterations until hard negatives begin.
    later = {"n": LAYERS[layer][2]["n"] * num_ranks} if "n" in LAYERS[layer][2] else {}
    source = "LMDB and maps" if layer in MAP_LAYERS else "LMDB"
    whole = stream_of(net_of(folder, source, layer, **later), 4 * num_ranks)
    for rank in range(num_ranks):
        ranks(rank, num_ranks)
        assert stream_of(net_of(folder, source, layer), 4) == whole[rank::num_ranks]


def test_ranks_read_every_record_once_an_epoch(folder, ranks):
    """37 records by 5 to 2 ranks: two epochs are 74 samples, of which the first 70 are batches."""
    seen = []
    for rank in range(2):
        ranks(rank, 2)
        net = net_of(folder, "LMDB", "images", prefetch=2)
        for count in range(7):
            net.forward()
            weights = net.blobs["weight"].data  # which tell the records apart
            seen += [(2 * count + rank, weight) for weight in np.rint(weights * 18).astype(int).tolist()]
    order = [record for _, record in sorted(seen, key=lambda pair: pair[0])]
    assert len(order) == 70
    assert sorted(order[:37]) == list(range(37))
    assert len(set(order[37:])) == 33


@for_each([*in_turns(([source] for source in SOURCES), "triplets"), ("LMDB and maps", "maps of their own sizes")])
def test_lost_workers_change_nothing(folder, source, layer, caplog):
    """One is killed in the middle of the stream; of an LMDB another is terminated, and one more is killed."""
    ways = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL) if source == "LMDB" else (signal.SIGKILL,)
    expected = stream_of(net_of(folder, source, layer), 10 * len(ways) + 8)
    net = net_of(folder, source, layer, prefetch=True, workers=2)
    dice = random.Random(0)
    got = []
    for how in ways:
        got += stream_of(net, 10)
        os.kill(dice.choice(psutil.Process().children()).pid, how)
        time.sleep(dice.random() / 20)
    assert got + stream_of(net, 8) == expected
    assert "another takes over" in caplog.text


@for_each(FEW_CASES)
def test_memory_does_not_grow(folder, source, layer):
    """Over 1,000 batches, in this process and in a worker."""
    batch_size = {"images PK": 6, "maps of their own sizes": 1}.get(layer, 2)
    net = net_of(folder, source, layer, prefetch=2, batch_size=batch_size)
    processes = [psutil.Process()]
    sizes = []
    for number in range(1301):
        net.forward()
        if number == 0:
            processes += processes[0].children()
        if number in (300, 1300):
            sizes.append([process.memory_info().rss for process in processes])
    growth = np.subtract(*sizes[::-1]) / 2**20
    assert (growth < 4).all(), f"MB in this process and its worker: {growth}"


@for_each(in_turns(CASES, False, 2), "source, layer, prefetch")
def test_test_passes_are_the_same_and_do_not_disturb_training(folder, source, layer, prefetch):
    expected = stream_of(net_of(folder, source, layer), 6)
    train = net_of(folder, source, layer, prefetch=prefetch)
    test = net_of(folder, source, layer, phase=caffe.TEST, restart_every=3, prefetch=prefetch)
    passes = []
    for start in (0, 2, 4):
        assert stream_of(train, 2) == expected[start : start + 2]
        passes.append(stream_of(test, 3))
    assert passes[0] == passes[1] == passes[2]
    assert len(set(passes[0])) == 3


@every_case
def test_reshape_draws_nothing(folder, source, layer):
    expected = stream_of(net_of(folder, source, layer), 3)
    net = net_of(folder, source, layer)
    got = []
    for _ in range(3):
        net.reshape()
        got += stream_of(net, 1)
    assert got == expected


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("source", FALLIBLE)
def test_stop_names_the_first_bad_record(bad_folder, source, prefetch):
    with refused(DataError, source=f"source {bad_folder}/", record=BAD[0]):
        stream_of(net_of(bad_folder, source, "images in order", prefetch=prefetch), 8)


@pytest.mark.parametrize("on_error", ["skip", "replace"])
@pytest.mark.parametrize("source", FALLIBLE)
def test_others_stand_in_for_bad_records(folder, bad_folder, source, on_error, caplog):
    """At their places alone; the rest of the stream does not shift. In order, skip takes the next record."""
    good, bad = [], []
    for where, samples in ((folder, good), (bad_folder, bad)):
        net = net_of(where, source, "images in order", on_error=on_error)
        for _ in range(15):
            net.forward()
            images, labels = net.blobs["data"].data, net.blobs["label"].data
            samples += [(image.tobytes(), label) for image, label in zip(images, labels)]
    assert [place for place in range(75) if good[place] != bad[place]] == [3, 17, 40, 54]
    if on_error == "skip":
        assert bad[3] == bad[4] == good[4]
        assert bad[54] == good[18]
    else:
        for place in (3, 17, 40, 54):
            assert bad[place][1] == good[place][1]
            assert bad[place] in good
    assert net.layers[0].stand_ins == 4
    for record in BAD:
        assert caplog.text.count(f"on_error {on_error}: ") == 2
        assert f"record {record} " in caplog.text


def damaged_datums(path, photos):
    """An LMDB with a Datum that was cut short, one that is empty, and one that lacks the label that others have."""
    values = [
        write_datum(Datum(photos.bytes_of(record), label, 3, encoded=True))
        for record, label in enumerate(photos.labels.tolist())
    ]
    values[3], values[17] = values[3][:1000], b""
    values[20] = write_datum(Datum(photos.bytes_of(20), None, 3, encoded=True))
    with lmdb.open(path, map_size=1 << 30, sync=False) as environment, environment.begin(write=True) as transaction:
        for record, value in enumerate(values):
            transaction.put(b"%08d" % record, value)


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_others_stand_in_for_damaged_datums(photos, folder, tmp_path, on_error, prefetch, caplog):
    """They are found at set-up, with the labels; their class is not known, so that replace takes the next record too."""
    damaged_datums(str(tmp_path / "lmdb"), photos)
    with refused(DataError, "protobuf message cut short", record=3):
        net_of(tmp_path, "LMDB", "images in order")
    good = stream_of(net_of(folder, "LMDB", "images in order"), 8)
    bad = net_of(tmp_path, "LMDB", "images in order", on_error=on_error, prefetch=prefetch)
    good, bad = (
        [np.concatenate([np.frombuffer(batch[top], np.float32).reshape(5, -1) for batch in stream]) for top in (0, 1)]
        for stream in (good, stream_of(bad, 8))
    )
    for ours, theirs in zip(bad, good):
        expected = theirs.copy()
        for record in (3, 17, 20):
            expected[[record, *range(record + 37, 40, 37)]] = theirs[record + 1]
        np.testing.assert_array_equal(ours, expected)
    for record in (3, 17, 20):
        assert f"record {record} " in caplog.text


@for_each(BAD_CASES, "source, layer, on_error")
def test_stand_ins_are_the_same_for_any_number_of_workers(bad_folder, source, layer, on_error):
    net = net_of(bad_folder, source, layer, on_error=on_error)
    expected = stream_of(net, 2 * NUM_BATCHES)
    assert net.layers[0].stand_ins > 0
    for workers in (1, 3) if (source, layer) == CASES[0] else (2,):
        other = net_of(bad_folder, source, layer, on_error=on_error, prefetch=4, workers=workers)
        assert stream_of(other, 2 * NUM_BATCHES) == expected
        assert other.layers[0].stand_ins == net.layers[0].stand_ins
        caffe_pylayers.close()


@pytest.mark.parametrize("prefetch", [False, 2])
def test_a_source_of_nothing_but_bad_records(photos, tmp_path, prefetch):
    write_all(tmp_path, photos, tuple(range(len(photos.labels))))
    with refused(DataError, "first 37 records", "record 0 "):
        net_of(tmp_path, "LMDB", "images", prefetch=prefetch, on_error="skip")


@pytest.mark.parametrize("prefetch", [False, 2])
def test_records_that_run_out_are_told(photos, tmp_path, prefetch):
    """All pictures of all classes but one cannot be read: no negative is left."""
    bad = tuple(record for record, label in enumerate(photos.labels.tolist()) if label)
    write_all(tmp_path, photos, bad)
    with pytest.raises(DataError, match="(?i)can be read|readable"):
        stream_of(net_of(tmp_path, "LMDB", "triplets", prefetch=prefetch, on_error="skip"), 9)


def test_warnings_of_bad_records_are_one_a_record(bad_folder, caplog):
    caplog.set_level(logging.WARNING)
    stream_of(net_of(bad_folder, "CSV", "pairs", on_error="skip", prefetch=4, workers=2), 40)
    assert len([record for record in caplog.records if "on_error" in record.message]) == len(BAD)


def test_every_source_feeds_the_caffe_program(folder, tmp_path):
    """Which has an HDF5 library of its own, and a Python that is embedded; the sources of the same photos feed the same."""
    records = {}
    for source in SOURCES:
        options = options_of(folder, source, "images in order", prefetch=2, workers=2)
        run = Run(tmp_path / source.replace(" ", "_"), "ImageDataLayer", **options).solver(max_iter=9)
        run.train()
        records[source] = run.record()
        assert len(set(records[source])) == 9
    for source in MAP_SOURCES:
        options = options_of(folder, source, "maps in order", prefetch=2, workers=2, weights=False)
        run = Run(tmp_path / source.replace(" ", "_"), "ImageMapDataLayer", **options).solver(max_iter=9)
        run.train()
        records[source] = run.record()
        assert len(set(records[source])) == 9
    assert records["CSV with maps"] == records["LMDB and maps"]
    assert records["LMDB of pixels"] == records["HDF5 of arrays"]
    for source in ("CSV", "BCF", "BCF in memory", "HDF5", "decoded"):
        assert records[source] == records["LMDB"]
