"""Data layers with `cache`: the stream is the same, bit for bit, and from the second pass on it comes from the cache."""

import logging
import shutil
import sys
import threading
from pathlib import Path

import caffe
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError
from caffe_pylayers.data.plugin import load_plugin
from tests.caffe_nets import python_layer
from tests.layers.every_source_and_layer import (
    BAD,
    CASES,
    LAYERS,
    in_turns,
    layer_text,
    net_of,
    stream_of,
    write_all,
)
from tests.layers.held import held
from tests.refusals import refused

NUM_BATCHES = 24  # three passes over 37 records by 5
REFUSED = ("decoded", "CSV of 16 bits")
OWN_SOURCE = '''
import os
import cv2
import numpy as np
from caffe_pylayers.data.sources import Source

class FolderSource(Source):
    """The JPEGs of a folder."""

    def __init__(self, path):
        self.all = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith("jpg"))
        super().__init__(path, [os.fsencode(name) for name in self.all], np.arange(len(self.all)) % 5)

    def files(self):
        return iter(self.all)

    def read(self, record):
        return cv2.imread(self.all[record])

class SilentSource(FolderSource):
    files = Source.files

class ListedSource(FolderSource):
    def files(self):
        yield self.path

def negative(image, rng):
    image[...] = 255 - image
    return image
'''

#: What an image may be augmented by; `resized_crop` is refused.
AUGMENT = {
    "brightness": 0.4, "saturation": {"range": 0.4, "p": 0.5}, "hue": 0.1, "gray": 0.2, "rotate": 15, "erase": {"value": "noise"},
}  # fmt: skip

#: Source, layer, options: every source, every layer, and what else an image goes through.
STREAMS = [
    *((source, layer, {"augment": AUGMENT} if "augmented" in layer else {"compressed": True} if "sources" in layer else {}) for source, layer in CASES if source not in REFUSED),
    ("CSV", "images", {"resize": None, "crop_size": 16}),
    ("CSV", "images", {"resize": {"short": 20}, "crop_size": 16, "mirror": True, "color": False}),
    ("CSV", "images", {"resize": {"long": 30, "pad": "mean"}, "mean_value": [104, 117, 123], "decode": "fast"}),
    ("BCF", "images", {"resize": 24, "color": "any", "transform": "parts_of_a_user:negative"}),
    ("CSV", "images in order", {
        "labels": "points.npy", "label_format": "values", "points": [[0, 1], [2, 3]], "resize": {"short": 20}, "crop_size": 16,
        "augment": {"rotate": 20},
    }),
    ("CSV with maps", "maps", {"resize": {"long": 30, "pad": "mean"}, "label_map": {1: 255, 2: 300}}),
    ("CSV with maps", "maps", {"resize": None, "map_type": "values"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("cached")
    write_all(path, photos)
    (path / "parts_of_a_user.py").write_text(OWN_SOURCE)
    np.save(path / "points.npy", np.random.default_rng(0).uniform(0, 50, (37, 4)))
    return path


@pytest.fixture(autouse=True)
def nothing_is_left(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    yield
    caffe_pylayers.close()
    for path in files_of(folder):
        path.unlink()


def files_of(folder):
    return list(Path(folder).glob("*.cache"))


def images_of(net):
    return net.layers[0].images_a_batch * NUM_BATCHES


@pytest.mark.parametrize(
    "source, layer, options, prefetch",
    in_turns(STREAMS, False, True),
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_the_stream_is_the_same(folder, source, layer, options, prefetch):
    expected = stream_of(net_of(folder, source, layer, **options), NUM_BATCHES)
    for kind, workers in (("memory", 0), ("disk", 2 * prefetch), ("disk", 0)):
        net = net_of(folder, source, layer, cache=kind, prefetch=2 * workers, workers=max(1, workers), **options)
        assert stream_of(net, NUM_BATCHES) == expected
        assert net.layers[0].cached > images_of(net) / 3
        caffe_pylayers.close()
    assert net.layers[0].cached == images_of(net)  # what an earlier run has kept


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("workers", [1, 8])
def test_any_number_of_workers(folder, kind, workers):
    options = {"augment": AUGMENT, "crop_size": 16, "mirror": True}
    expected = stream_of(net_of(folder, "CSV", "images", **options), NUM_BATCHES)
    net = net_of(folder, "CSV", "images", cache=kind, prefetch=8, workers=workers, **options)
    assert stream_of(net, NUM_BATCHES) == expected


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_restored_run_goes_on_with_the_very_next_batch(folder, tmp_path, kind):
    options = {"crop_size": 16, "mirror": True, "augment": AUGMENT}
    (tmp_path / "net.prototxt").write_text(
        layer_text(folder, "LMDB", "images", resume=True, cache=kind, **options)
        + 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 } }\n'
        'layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 }'
    )
    solver = f'net: "{tmp_path}/net.prototxt" base_lr: 0 lr_policy: "fixed" snapshot_prefix: "{tmp_path}/net"'
    (tmp_path / "solver.prototxt").write_text(solver)
    expected = stream_of(net_of(folder, "LMDB", "images", **options), 20)

    def steps(solver, number):
        for _ in range(number):
            solver.step(1)
            yield tuple(solver.net.blobs[top].data.tobytes() for top in LAYERS["images"][1])

    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    assert list(steps(solver, 11)) == expected[:11]
    solver.snapshot()
    caffe_pylayers.close()
    restored = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    restored.restore(str(tmp_path / "net_iter_11.solverstate"))
    assert list(steps(restored, 9)) == expected[11:]


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_ranks(folder, ranks, kind):
    whole = stream_of(net_of(folder, "CSV", "images"), 2 * NUM_BATCHES)
    for rank in (0, 1):
        ranks(rank, 2)
        net = net_of(folder, "CSV", "images", cache=kind)
        assert stream_of(net, NUM_BATCHES) == whole[rank::2]
        assert net.layers[0].cached > images_of(net) / 3


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_test_takes_what_train_has_kept(folder, kind):
    train, test = (
        net_of(folder, "CSV", "images in order", phase=phase, cache=kind) for phase in (caffe.TRAIN, caffe.TEST)
    )
    batches = stream_of(train, 8)
    assert train.layers[0].cached == 3  # 40 images of 37 records
    assert stream_of(test, 8) == batches
    assert test.layers[0].cached == 40


@pytest.mark.parametrize(
    "source, layer, first, second",
    [
        ("CSV", "images", {}, {"resize": [24, 21]}),
        ("CSV", "images", {"resize": 20}, {"resize": 20, "decode": "fast"}),
        ("CSV", "images", {}, {"decode": "lenient"}),
        ("CSV", "images", {}, {"color": False}),
        ("CSV", "images", {}, {"color": "any"}),
        ("CSV", "images", {"resize": {"long": 30, "pad": "mean"}}, {"resize": {"long": 30, "pad": "mean"}, "mean_value": 50}),
        ("CSV with maps", "maps", {}, {"label_map": {1: 2}}),
        ("CSV with maps", "maps", {}, {"map_type": "values"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_other_records_are_not_taken(folder, kind, source, layer, first, second):
    expected = stream_of(net_of(folder, source, layer, **second), 8)
    before = net_of(folder, source, layer, cache=kind, **first)
    stream_of(before, 8)
    net = net_of(folder, source, layer, cache=kind, **second)
    assert stream_of(net, 8) == expected
    assert net.layers[0].cached == 3


@pytest.mark.parametrize(
    "options", [{"crop_size": 16, "mirror": True}, {"mean_value": 7}, {"augment": {"brightness": 0.3}}, {"seed": 3}]
)
def test_what_comes_later_shares_records(folder, options):
    net = net_of(folder, "CSV", "images", cache="memory")
    stream_of(net, 8)
    other = net_of(folder, "CSV", "images", cache="memory", **options)
    stream_of(other, 8)
    assert other.layers[0].cached == 40


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_close_gives_all_back(folder, kind, prefetch):
    net_of(folder, "CSV", "images")  # what is imported and opened once
    caffe_pylayers.close()
    before = held()
    nets = [net_of(folder, "CSV", "images", cache=kind, prefetch=prefetch) for _ in range(2)]
    expected = stream_of(net_of(folder, "CSV", "images"), 6)
    assert all(stream_of(net, 3) == expected[:3] for net in nets)
    assert held() - before
    nets[0].layers[0].close()
    assert stream_of(nets[1], 3) == expected[3:]  # which still has the store
    caffe_pylayers.close()
    assert not held() - before
    assert stream_of(nets[0], 3) == expected[3:]


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_records_that_are_cut_short_are_counted_as_ever(photos, folder, tmp_path, kind, caplog):
    shutil.copytree(photos.folder, tmp_path / "photos")
    for record in (4, 21):
        path = tmp_path / "photos" / photos.names[record]
        path.write_bytes(path.read_bytes()[:-400])
    options = {"source": str(tmp_path / "photos" / "list.csv"), "root": str(tmp_path / "photos"), "decode": "lenient"}

    def told(**cache):
        (tmp_path / "net.prototxt").write_text(
            python_layer("ImageDataLayer", [], ["data", "label"], {"batch_size": 5, "resize": 24, **options, **cache})
        )
        net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
        caplog.clear()
        stream = stream_of(net, NUM_BATCHES)
        caffe_pylayers.close()
        return stream, [entry.getMessage() for entry in caplog.records if "cut short" in entry.getMessage()]

    expected = told()
    assert "2 of 37 records are cut short" in expected[1][-1]
    assert told(cache=kind) == expected
    assert told(cache=kind) == expected


@pytest.mark.parametrize("on_error", ["skip", "replace"])
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_the_same_records_stand_in(photos, tmp_path, kind, on_error):
    write_all(tmp_path, photos, BAD)
    for prefetch in (0, 2):
        net = net_of(tmp_path, "CSV", "triplets", on_error=on_error)
        expected = stream_of(net, NUM_BATCHES)
        cached = net_of(tmp_path, "CSV", "triplets", on_error=on_error, cache=kind, prefetch=prefetch)
        assert stream_of(cached, NUM_BATCHES) == expected
        assert cached.layers[0].stand_ins == net.layers[0].stand_ins > 0
        assert cached.layers[0].cached > 0


REFUSALS = {
    "compressed": ("CSV", {"compressed": False}, {"compressed": True}, "leave one out"),
    "resized_crop": ("CSV", {"augment": {"resized_crop": {}}}, {"augment": {"scale": 0.3}, "crop_size": 16}, "'augment.scale' and 'crop_size'"),
    "16 bits": ("CSV of 16 bits", {}, {"cache": "none"}, "leave it out"),
    "float Datum": ("floats", {}, {"cache": "none"}, "leave it out"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_kept_is_refused(folder, kind, case, monkeypatch):
    source, options, remedied, remedy = REFUSALS[case]
    if source == "floats":
        from caffe_pylayers.caffe_files.datum import Datum
        from caffe_pylayers.data.sources.lmdb import write_lmdb
        from tests.layers import every_source_and_layer

        if not (folder / "floats").exists():
            numbers = np.linspace(0, 1, 12, dtype=np.float32)
            write_lmdb(str(folder / "floats"), (Datum(b"", 0, 3, 2, 2, float_data=numbers) for _ in range(6)))
        monkeypatch.setitem(every_source_and_layer.SOURCES, "floats", {"source_type": "LMDB", "source": "floats"})
    with refused(ConfigError, repr(kind), remedy=remedy):
        net_of(folder, source, "images in order", cache=kind, **options)
    net_of(folder, source, "images in order", **{"cache": kind, **options, **remedied}).forward()


def test_a_limit_above_what_is_free_is_refused(folder):
    for kind in ("memory", "disk"):
        with refused(
            ConfigError, "1000000000 MB", f"MB of {kind} are free", remedy="leave it out", option="cache_limit"
        ):
            net_of(folder, "CSV", "images", cache=kind, cache_limit=10**15)
        net_of(folder, "CSV", "images", cache=kind).forward()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_room_for_some(folder, kind, caplog):
    """The first are kept, and the others decoded each time."""
    caplog.set_level(logging.WARNING)
    expected = stream_of(net_of(folder, "CSV", "images in order"), NUM_BATCHES)
    net = net_of(folder, "CSV", "images in order", cache=kind, cache_limit=20 * (24 * 20 * 3 + 256))
    assert stream_of(net, NUM_BATCHES) == expected
    (told,) = [entry.getMessage() for entry in caplog.records]
    assert "'cache_limit' is reached, 0.034 MB; the cache keeps 21 of 37 images" in told
    assert net.layers[0].cached == 2 * 21 + 9  # three passes and nine images
    assert net.layers[0].recipe.cache.summary.endswith("21 of 37 images, 0.034 MB, of at most 0.034 MB")


def test_a_limit_meant_in_gigabytes_is_told_in_bytes(folder, caplog):
    caplog.set_level(logging.WARNING)
    net_of(folder, "CSV", "images", cache="memory", cache_limit=8).forward()
    (told,) = [entry.getMessage() for entry in caplog.records]
    assert "'cache_limit' is reached, 8 bytes; the cache keeps 0 of 37 images" in told


@pytest.mark.parametrize("name", ["FolderSource", "SilentSource", "ListedSource"])
def test_a_source_of_the_users_own(folder, photos, tmp_path, name):
    shutil.copytree(photos.folder, tmp_path / "photos")
    options = {
        "source_type": f"parts_of_a_user:{name}",
        "source": str(tmp_path / "photos"),
        "batch_size": 5,
        "resize": 24,
    }

    def net(**cache):
        path = tmp_path / "net.prototxt"
        path.write_text(python_layer("ImageDataLayer", [], ["data", "label"], {**options, **cache}))
        return caffe.Net(str(path), caffe.TRAIN)

    expected = stream_of(net(), NUM_BATCHES)
    if name != "ListedSource":
        nets = [net(cache="memory") for _ in range(2)]
        assert all(stream_of(each, NUM_BATCHES) == expected for each in nets)
        missed = [NUM_BATCHES * 5 - each.layers[0].cached for each in nets]
        assert missed == ([37, 0] if name == "FolderSource" else [37, 37])  # which nobody can tell from another version
    if name != "FolderSource":
        words, remedy = (
            ("SilentSource", "`cache: memory`") if name == "SilentSource" else ("a folder", "name the files")
        )
        with refused(ConfigError, words, remedy=remedy, option="cache"):
            net(cache="disk")
        return
    for cached in (NUM_BATCHES * 5 - 37, NUM_BATCHES * 5):
        on_disk = net(cache="disk")
        assert stream_of(on_disk, NUM_BATCHES) == expected
        assert on_disk.layers[0].cached == cached
        caffe_pylayers.close()
    shutil.copy(tmp_path / "photos" / photos.names[9], tmp_path / "photos" / photos.names[3])
    expected = stream_of(net(), NUM_BATCHES)
    assert stream_of(net(cache="disk"), NUM_BATCHES) == expected


def test_code_of_the_users_that_reads_in_another_way(folder, photos, tmp_path, monkeypatch):
    """What an earlier version of it has read is not taken."""
    monkeypatch.syspath_prepend(tmp_path)
    options = {"source_type": "reader_of_a_user:FolderSource", "source": str(photos.folder), "root": None, "resize": 24}
    monkeypatch.setattr("tests.layers.every_source_and_layer.SOURCES", {"own": options})
    for number in range(2):
        code = OWN_SOURCE if not number else OWN_SOURCE.replace("return cv2", "return 255 - cv2")
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "reader_of_a_user.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path / f"{number}")
        sys.modules.pop("reader_of_a_user", None)
        load_plugin.cache_clear()
        expected = stream_of(net_of(tmp_path, "own", "images in order"), 8)
        assert stream_of(net_of(tmp_path, "own", "images in order", cache="disk"), 8) == expected
        caffe_pylayers.close()
    for path in files_of(photos.folder.parent):
        path.unlink()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_image_that_is_written_over_between_two_nets(photos, tmp_path, kind):
    """Also where the first is still there, as in a notebook."""
    shutil.copytree(photos.folder, tmp_path / "photos")
    options = {"source": str(tmp_path / "photos" / "list.csv"), "root": str(tmp_path / "photos"), "batch_size": 37}

    def net(**cache):
        path = tmp_path / "net.prototxt"
        path.write_text(python_layer("ImageDataLayer", [], ["data", "label"], {**options, "resize": 24, **cache}))
        return caffe.Net(str(path), caffe.TRAIN)

    first = net(cache=kind)
    before = stream_of(first, 2)
    shutil.copy(tmp_path / "photos" / photos.names[9], tmp_path / "photos" / photos.names[3])
    expected = stream_of(net(), 2)
    assert expected != before
    assert stream_of(net(cache=kind), 2) == expected
    caffe_pylayers.close()
    assert stream_of(net(cache=kind), 2) == expected


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_two_threads_with_a_net_each(folder, kind):
    """Caffe holds the GIL of Python, but a read lets it go."""
    expected = stream_of(net_of(folder, "CSV", "images"), 60)
    nets = [net_of(folder, "CSV", "images", cache=kind) for _ in range(2)]
    found = {}
    threads = [
        threading.Thread(target=lambda place=place: found.update({place: stream_of(nets[place], 60)}))
        for place in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == expected
    assert all(net.layers[0].cached > 200 for net in nets)


def test_setting_up_writes_nothing(folder, command):
    """So `check` writes no file, whose first reader may be a run of today."""
    text = layer_text(folder, "CSV", "images", cache="disk")
    Path("net.prototxt").write_text(text)
    status, out, _ = command("check", "net.prototxt")
    assert status == 0, out
    net = net_of(folder, "CSV", "images", cache="disk")
    assert files_of(folder) == []
    net.forward()
    assert len(files_of(folder)) == 1
