"""Data layers that mix several sources: what their tops hold, and what they refuse. That the stream keeps all promises: test_promises.py."""

import logging
import os

import caffe
import cv2
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.config import load
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import python_layer, write
from tests.layers.small_source import FROZEN
from tests.refusals import refused

FULL = ("data", "label", "sample_weight", "domain")


@pytest.fixture
def sources(tmp_path):
    """Two LMDBs of small images, each all of its number, the second from 100 on; and a dict for each."""
    for name, first, size in (("one", 0, 12), ("two", 100, 5)):
        images = [Datum(bytes([first + number] * 12), number % 3, 3, 2, 2) for number in range(size)]
        write_lmdb(str(tmp_path / name), images)
        np.save(tmp_path / f"{name}.npy", np.arange(size) + first)
    return [{"source": str(tmp_path / name), "source_type": "LMDB"} for name in ("one", "two")]


def images_of(net):
    return net.blobs["data"].data[:, 0, 0, 0].astype(int)


def batches(net, count):
    """The numbers of the images of so many batches, of which the first is there already."""
    found = [images_of(net).tolist()]
    for _ in range(count - 1):
        net.forward()
        found.append(images_of(net).tolist())
    return found


@pytest.mark.parametrize("more", [{}, {"compressed": False}, {"prefetch": True, "workers": 2}], ids=str)
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("how", [{"per_batch": [3, 2]}, {"batch_size": 7}], ids=str)
def test_all_tops_are_of_the_same_record(data_net, sources, tmp_path, how, phase, more):
    weighted = [{**each, "sample_weights": each["source"] + ".npy"} for each in sources]
    net = data_net("ImageDataLayer", FULL, phase, sources=weighted, domain=True, **how, **more)
    assert net.blobs["domain"].data.shape == net.blobs["label"].data.shape == (how.get("batch_size", 5),)
    for _ in range(8):
        numbers = images_of(net)
        np.testing.assert_array_equal(net.blobs["domain"].data, numbers >= 100)
        np.testing.assert_array_equal(net.blobs["label"].data, numbers % 100 % 3)
        np.testing.assert_array_equal(net.blobs["sample_weight"].data, numbers)
        if "per_batch" in how:
            np.testing.assert_array_equal(net.blobs["domain"].data, [0, 0, 0, 1, 1])
        net.forward()


@pytest.mark.parametrize("cache", ["memory", "disk"])
@pytest.mark.parametrize("prefetch", [False, 2])
def test_a_cache_keeps_the_images_of_all_sources(data_net, sources, tmp_path, cache, prefetch):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    lines = [f"{tmp_path}/{number}.png,{number % 3}\n" for number in range(5)]
    for number in range(5):
        cv2.imwrite(f"{tmp_path}/{number}.png", pixels + number)
    (tmp_path / "list.csv").write_text("".join(lines))
    mixed = [{"source": str(tmp_path / "list.csv")}, sources[0]]
    options = {"sources": mixed, "per_batch": [2, 1], "resize": 2, "shuffle": True}
    plain = data_net("ImageDataLayer", ("data", "label"), **options)
    cached = data_net("ImageDataLayer", ("data", "label"), cache=cache, prefetch=prefetch, **options)
    for _ in range(24):
        for top in ("data", "label"):
            np.testing.assert_array_equal(cached.blobs[top].data, plain.blobs[top].data)
        plain.forward()
        cached.forward()
    assert cached.layers[0].cached == 25 * 3 - 17
    files = [name for name in os.listdir(tmp_path) if name.endswith(".cache")]
    assert len(files) == (cache == "disk") and all(name.startswith("list.csv+one.") for name in files)
    assert not any(" and " in name for name in os.listdir(tmp_path))
    caffe_pylayers.close()  # a run trusts what it has looked at
    cv2.imwrite(f"{tmp_path}/0.png", 255 - pixels)
    fresh = data_net("ImageDataLayer", ("data", "label"), cache="disk", **options)
    np.testing.assert_array_equal(images_of(fresh), images_of(data_net("ImageDataLayer", ("data", "label"), **options)))


@pytest.mark.parametrize("tops", [("data", "domain"), ("data", "label", "domain")])
def test_the_last_top_is_the_domain(data_net, sources, tops):
    net = data_net("ImageDataLayer", tops, sources=sources, domain=True, per_batch=[1, 2])
    assert net.blobs["domain"].data.tolist() == [0, 1, 1]


def test_what_a_source_leaves_out_it_takes_from_the_layer(data_net, sources):
    bare = [{"source": each["source"]} for each in sources]
    told = {"source_type": "LMDB", "per_batch": [2, 2]}
    expected = batches(data_net("ImageDataLayer", ("data",), sources=sources, **told), 5)
    assert batches(data_net("ImageDataLayer", ("data",), sources=bare, **told), 5) == expected


def test_in_test_the_split_of_a_batch_stays_and_each_source_goes_round(data_net, sources):
    net = data_net("ImageDataLayer", ("data",), caffe.TEST, sources=sources, per_batch=[4, 3], shuffle=True)
    one, two = (np.arange(40) % size + first for first, size in ((0, 12), (100, 5)))
    assert batches(net, 6) == [[*one[4 * n : 4 * n + 4], *two[3 * n : 3 * n + 3]] for n in range(6)]


def test_in_test_each_record_comes_once(data_net, sources):
    weighted = [{**each, "weight": weight} for each, weight in zip(sources, (1, 9))]
    net = data_net("ImageDataLayer", ("data",), caffe.TEST, sources=weighted, batch_size=17)
    assert batches(net, 2) == 2 * [[*range(12), *range(100, 105)]]


@pytest.fixture
def ranks():
    """Make this process that rank of two; as long as the test runs."""
    yield lambda rank: (caffe.set_solver_count(2), caffe.set_solver_rank(rank), caffe.set_multiprocess(True))
    caffe.set_solver_count(1), caffe.set_solver_rank(0), caffe.set_multiprocess(False)


@pytest.mark.parametrize("how", [{"per_batch": [3, 2]}, {"batch_size": 7}], ids=str)
def test_both_ranks_of_a_restored_run_go_on_in_the_one_stream(sources, tmp_path, ranks, how):
    weighted = [{**each, **({} if "per_batch" in how else {"weight": weight})} for each, weight in zip(sources, (1, 3))]
    options = {"sources": weighted, "shuffle": True, "domain": True, "resume": True, **how}
    path = write(python_layer("ImageDataLayer", [], ["data", "domain"], options, more=FROZEN), tmp_path)

    def fed(net):
        net.forward()
        return [*images_of(net), *net.blobs["domain"].data]

    whole = caffe.Net(path, caffe.TRAIN)
    stream = [fed(whole) for _ in range(12)]
    for rank in (0, 1):
        ranks(rank)
        net = caffe.Net(path, caffe.TRAIN)
        assert [fed(net) for _ in range(4)] == stream[rank:8:2]
        if rank == 0:
            net.save(str(tmp_path / "net.caffemodel"))
        restored = caffe.Net(path, caffe.TRAIN)
        restored.copy_from(str(tmp_path / "net.caffemodel"))
        assert [fed(restored) for _ in range(2)] == stream[8 + rank :: 2]


@pytest.mark.parametrize("mode", ["skip", "replace"])
@pytest.mark.parametrize("more", [{}, {"prefetch": 2}], ids=str)
def test_records_that_cannot_be_read(data_net, sources, tmp_path, caplog, mode, more):
    bad = [Datum(bytes([100 + n] * (12 if n % 4 else 3)), n % 2, 3, 2, 2) for n in range(8)]
    write_lmdb(str(tmp_path / "bad"), bad)
    mixed = [sources[0], {**sources[0], "source": str(tmp_path / "bad")}]
    net = data_net(
        "ImageDataLayer",
        ("data", "label", "domain"),
        sources=mixed,
        per_batch=[2, 3],
        on_error=mode,
        domain=True,
        **more,
    )
    for _ in range(9):
        numbers, labels = images_of(net), net.blobs["label"].data
        assert (numbers[:2] < 100).all() and (numbers[2:] > 100).all()
        np.testing.assert_array_equal(labels[2:], numbers[2:] % 2)
        np.testing.assert_array_equal(net.blobs["domain"].data, [0, 0, 1, 1, 1])
        net.forward()
    assert net.layers[0].stand_ins > 0
    assert (
        f"LMDB source {tmp_path}/bad: record 4" in caplog.text and "unreadable records so far: 2 of 20" in caplog.text
    )


def test_the_log_says_how_often_records_come(data_net, sources, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("GLOG_minloglevel", "0")
    data_net("ImageDataLayer", ("data",), sources=sources, per_batch=[2, 2])
    assert "17 records, 6 batches of 4 per epoch" in caplog.text
    assert (
        f"sources[1], LMDB source {sources[1]['source']}: 5 records, 50.0% of the samples; each record comes 2.4 times"
        in caplog.text
    )


def test_sets_of_labels_of_several_forms(data_net, sources, tmp_path):
    (tmp_path / "sets.txt").write_text("0 2\n" * 11 + "1 2 3\n")
    np.save(
        tmp_path / "indicators.npy", np.array([[0, 0, 0, 1], [1, -1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]])
    )
    mixed = [
        {**sources[0], "labels": str(tmp_path / "sets.txt")},
        {**sources[1], "labels": str(tmp_path / "indicators.npy"), "label_format": "indicator"},
    ]
    options = {"sources": mixed, "per_batch": [1, 2], "multilabel": True}
    net = data_net("MultiLabelDataLayer", ("data", "label"), caffe.TEST, label_dim=4, **options)
    assert net.blobs["label"].data[..., 0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 1], [1, -1, 0, 0]]
    with refused(DataError, "each of 4 labels", "numbers of labels", source=sources[1]["source"], remedy="'label_dim'"):
        data_net("MultiLabelDataLayer", ("data", "label"), **options)


@pytest.mark.parametrize(
    ("more", "tops", "words"),
    [
        ({"labels": "rows.npy"}, ("data", "label"), ("rows of 2 labels", "one label")),
        ({"sample_weights": "two.npy"}, ("data", "label", "sample_weight"), ("one sample weight", "no sample weights")),
        ({"labels": "rows.npy", "label_format": "values"}, ("data", "label"), None),
    ],
)
def test_sources_that_do_not_go_together(data_net, sources, tmp_path, monkeypatch, more, tops, words):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.ones((5, 2)))
    mixed = [sources[0], {**sources[1], **more}]
    if words is None:
        with refused(
            ConfigError, "'sources[1].label_format' is 'values'", "'sources[0].label_format'", option="sources"
        ):
            data_net("ImageDataLayer", tops, sources=mixed)
        return
    with refused(DataError, *words, sources[0]["source"], source=sources[1]["source"], remedy="leave the top out"):
        data_net("ImageDataLayer", tops, sources=mixed)
    data_net("ImageDataLayer", ("data",), sources=mixed)


@pytest.mark.parametrize("datum", [Datum(bytes(4), 0, 1, 2, 2), Datum(bytes(27), 0, 3, 3, 3)], ids=["channels", "size"])
def test_an_image_that_is_unlike_those_of_the_first_source(data_net, sources, tmp_path, datum):
    write_lmdb(str(tmp_path / "other"), [datum])
    mixed = [sources[0], {"source": str(tmp_path / "other"), "source_type": "LMDB"}]
    first = f"the first record of LMDB source {sources[0]['source']} has"
    with refused(DataError, first, source=f"{tmp_path / 'other'}: record 0"):
        data_net("ImageDataLayer", ("data",), sources=mixed, per_batch=[1, 1])


A, B = {"source": "a.csv"}, {"source": "b.csv"}
WEIGHTED = [{**A, "weight": 0.7}, {**B, "weight": 0.3}]


@pytest.mark.parametrize(
    ("options", "option", "words", "remedy", "instead"),
    [
        ({}, "source", ["'source' is required"], "'sources'", {"sources": [A, B]}),
        ({"source": "a.csv", "sources": [A]}, "source", ["'source' and 'sources'"], "leave one out", {"sources": [A]}),
        ({"sources": [A, B], "type": "BALANCED"}, "type", ["must be ALL"], "leave it out", {"sources": [A, B]}),
        ({"sources": [A, B], "sampler": "a:B"}, "sampler", ["must be none"], "leave it out", {"sources": [A, B]}),
        ({"source": "a.csv", "domain": True}, "domain", ["no 'sources'"], "leave it out", {"source": "a.csv"}),
        ({"source": "a.csv", "per_batch": [3]}, "per_batch", ["no 'sources'"], "leave it out", {"source": "a.csv"}),
        ({"sources": [A, B], "per_batch": [3]}, "per_batch", ["1 numbers", "2 sources"], "for each", {"sources": [A, B], "per_batch": [3, 1]}),
        ({"sources": [A], "per_batch": [3], "batch_size": 4}, "batch_size", ["is 4", "is 3"], "leave", {"sources": [A], "per_batch": [3]}),
        ({"sources": WEIGHTED, "per_batch": [3, 4]}, "per_batch", ["sources[0].weight"], "leave one out", {"sources": WEIGHTED}),
        ({"sources": [A, WEIGHTED[1]]}, "sources", ["'sources[0].weight' is required"], "to none", {"sources": WEIGHTED}),
        ({"sources": [WEIGHTED[0], {**B, "weight": 1e-4}]}, "sources", ["'sources[1].weight' is 0.0001", "2/4096"], "'per_batch'", {"sources": [A, B], "per_batch": [9, 1]}),
        ({"sources": [A, {"root": "x"}]}, "sources[1].source", ["is required"], "", {"sources": [A, {**B, "root": "x"}]}),
        ({"sources": [A, {**B, "sorce_type": "LMDB"}]}, "sources[1].sorce_type", ["unknown option"], "'source_type'", {"sources": [A, {**B, "source_type": "LMDB"}]}),
        ({"sources": [A, {**B, "labels": ["x", "y"]}]}, "sources[1].labels", ["'sources[1].labels'", "`header: true`"], "name one", {"sources": [A, {**B, "labels": "x"}]}),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(options, option, words, remedy, instead):
    with refused(ConfigError, *words, option=option, remedy=remedy):
        load("ImageDataLayer", repr(options))
    assert load("ImageDataLayer", repr(instead)).warnings == ()


def test_options_without_effect():
    mixed = {"root": "x", "label_order": "key", "sources": [{**A, "bcf_mode": "MEM"}, {**B, "source_type": "LMDB"}]}
    options = load("MultiLabelDataLayer", repr(mixed))
    told = [remark.names for remark in options.warnings]
    assert told == [("label_order",), ("sources[0].bcf_mode",)]
    assert options.sources[0].root.endswith("/x") and options.sources[1].root is None


def test_paths_and_plugins_of_sources_are_found():
    """So that `check` looks for them, and imports nothing that it was not told to."""
    options = load(
        "ImageDataLayer", repr({"sources": [A, {**B, "source_type": "own:Source"}], "mean_file": "mean.npy"})
    )
    assert {"sources[0].source", "sources[1].source", "mean_file"} == set(options.paths())
    assert options.plugins() == {"sources[1].source_type": "own:Source"}
