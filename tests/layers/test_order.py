"""A position in the stream means something under the options that say which records a batch has: another of them is told."""

import shutil

import h5py
import numpy as np
import pytest

from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.config.order import order_of
from tests.layers.small_source import LAYERS, SIZE
from tests.options import options

SETS = {"labels": "sets/labels.txt"}
MIXED = {"source": None, "sources": [{"source": "list.csv"}, {"source": "lmdb", "source_type": "LMDB"}]}
HARD = {"type": "HARD", "m": "graph.json", "n": 2}


def told(sampler, **others):
    """Option -> options before and after, of those that say which records a batch has."""
    return {
        "source_type": ({}, {"source_type": "LMDB", "source": "lmdb"}),
        "batch_size": ({}, {"batch_size": 5}),
        "seed": ({}, {"seed": 1}),
        "stream": ({}, {"stream": 1}),
        "iter_size": ({}, {"iter_size": 2}),
        "sampler": ({"sampler": f"samplers_of_a_user:{sampler}"}, {"sampler": f"samplers_of_a_user:Other{sampler}"}),
        **others,
    }


def of_images():
    pk = {"type": "PK", "classes_per_batch": 2, "samples_per_class": 3}
    return told(
        "Singles",
        type=({}, {"type": "BALANCED"}),
        shuffle=({}, {"shuffle": True}),
        classes_per_batch=(pk, {"classes_per_batch": 3}),
        samples_per_class=(pk, {"samples_per_class": 2}),
        labels=(SETS, {"labels": "sets/other.txt"}),
        label_format=(SETS, {"label_format": "indicator", "labels": "indicators/labels.txt"}),
        sources=(
            MIXED,
            {
                "sources": [
                    {"source": "list.csv"},
                    {"source": "lmdb", "source_type": "LMDB", "labels": "sets/labels.txt"},
                ]
            },
        ),
        per_batch=(MIXED, {"per_batch": [4, 2]}),
    )


def of_maps():
    return {
        **told("Singles", shuffle=({}, {"shuffle": True})),
        "source_type": ({}, {"source_type": "LMDB", "source": "lmdb", "maps": "maps"}),
    }


def of_comparisons(sampler, listed):
    sets = {"type": "RANDOM_MULTILABEL", **SETS}
    return told(
        sampler,
        type=({}, {"type": "RANDOM_MULTILABEL"}),
        k=(HARD, {"k": 3}),
        n=(HARD, {"n": 4}),
        m=(HARD, {"m": "other_graph.json"}),
        names=(HARD, {"names": "key"}),
        unlabelled=({}, {"unlabelled": "negative"}),
        labels=(sets, {"labels": "sets/other.txt"}),
        label_format=(sets, {"label_format": "indicator", "labels": "indicators/labels.txt"}),
        **{listed: ({listed: f"{listed}.csv"}, {listed: f"other_{listed}.csv"})},
    )


TOLD = {
    "ImageDataLayer": of_images(),
    "MultiLabelDataLayer": of_images(),
    "ImageMapDataLayer": of_maps(),
    "SiameseDataLayer": of_comparisons("Pairs", "pairs"),
    "TripletDataLayer": of_comparisons("Triplets", "triplets"),
}

#: Options that do not say which records a batch has: data may be moved, and images be made otherwise.
SILENT = {
    "source": "moved.csv", "root": ".", "missing": "skip", "resize": 6, "crop_size": 4,
    "mirror": True, "mean_file": "mean.npy", "mean_value": 3, "scale": 0.5, "color": False, "transform": "transform_of_a_user:same",
    "augment": {"brightness": 0.4},
    "cache": "memory", "cache_limit": 10**6, "max_pixels": 1000, "prefetch": 1, "workers": 2, "timeout": 9, "restart_every": 3,
    "on_error": "skip",
}  # fmt: skip
LABELLED = {"bcf_mode": "MEM", "label_order": "key", "compressed": False, "decode": "fast"}
SILENT_OF = {
    "ImageDataLayer": {"label_dim": 1, **LABELLED},
    "MultiLabelDataLayer": {"multilabel": False, "label_dim": 6, **LABELLED},
    "ImageMapDataLayer": {
        "source": "moved_maps.csv", "maps": "maps", "map_type": "values", "label_map": {0: 1}, "pad_label": 3, "scales": [2],
        "like": "DenseImageData", "decode": "lenient",
    },
    "SiameseDataLayer": {"shuffle": True, "stacked": True, **LABELLED},
    "TripletDataLayer": {"shuffle": True, "stacked": True, **LABELLED},
}  # fmt: skip
CASES = [(layer, option) for layer in LAYERS for option in TOLD[layer]]
SILENT_CASES = [(layer, option) for layer in LAYERS for option in {**SILENT, **SILENT_OF[layer]}]


def restore(net, layer, before, after):
    """Take a snapshot after two batches, and go on in a net with other options."""
    saved(net(layer, **before))
    resumed(net(layer, **{**before, **after}))


def saved(net):
    """A snapshot of a net after two batches more."""
    for _ in range(2):
        net.forward()
    net.save("net.caffemodel")


def resumed(net):
    """The next batch of a net after the snapshot."""
    net.copy_from("net.caffemodel")
    net.forward()


@pytest.mark.parametrize(("layer", "option"), CASES)
def test_another_order_is_told(layer, option, resuming_net, caplog):
    before, after = TOLD[layer][option]
    restore(resuming_net, layer, before, {})
    assert "the snapshot" not in caplog.text
    restore(resuming_net, layer, before, after)
    assert (
        f"{layer}: the snapshot was taken with other options or another source; continuing at batch 2 of" in caplog.text
    )


@pytest.mark.parametrize(("layer", "option"), SILENT_CASES)
def test_the_same_order_is_not_told(layer, option, resuming_net, caplog):
    restore(resuming_net, layer, {}, {option: {**SILENT, **SILENT_OF[layer]}[option]})
    assert "the snapshot" not in caplog.text


def test_another_list_of_the_same_records_is_not_told(resuming_net, caplog):
    restore(resuming_net, "ImageDataLayer", {"source": "list.csv"}, {"source": "headed.csv", "header": True})
    assert "the snapshot" not in caplog.text


def names(folder="", order=range(SIZE)):
    """A list of the images below a folder, each with its label."""
    return "".join(f"{folder}{record},{record % 3}\n" for record in order)


#: What is different -> layer, options, and a file that they name, before and after.
CHANGED = {
    "the order of a list": ("ImageDataLayer", {"source": "c.csv"}, "c.csv", names(), names(order=[1, 0, *range(2, SIZE)])),
    "a label": ("ImageDataLayer", {"source": "c.csv"}, "c.csv", names(), names().replace("7,1", "7,2")),
    "a label file": ("ImageDataLayer", {"labels": "c.txt"}, "c.txt", "1\n2\n" * 6, "2\n1\n" * 6),
    "where labels of one number each begin": (
        "MultiLabelDataLayer", {"labels": "c.txt", "multilabel": True}, "c.txt", "1 2\n3\n" * 6, "1\n2 3\n" * 6,
    ),
    "indicators that are not known": (
        "MultiLabelDataLayer", {"labels": "c.txt", "label_format": "indicator", "label_dim": 2}, "c.txt",
        "1 0\n0 1\n" * 6, "1 -1\n0 1\n" * 6,
    ),
    "the maps of two images": (
        "ImageMapDataLayer", {"source": "c.csv"}, "c.csv", "1,2\n2,1\n" * 6, "1,2\n2,2\n" * 6,
    ),
    "weights": ("ImageDataLayer", {"sample_weights": "c.txt"}, "c.txt", "1\n2\n" * 6, "2\n1\n" * 6),
    "pairs": ("SiameseDataLayer", {"pairs": "c.csv"}, "c.csv", "1,2\n3,4\n", "1,2\n3,5\n"),
    "sims of pairs": ("SiameseDataLayer", {"pairs": "c.csv"}, "c.csv", "1,2,0\n3,4,1\n", "1,2,1\n3,4,0\n"),
    "triplets": ("TripletDataLayer", {"triplets": "c.csv"}, "c.csv", "1,4,2\n3,0,4\n", "3,0,4\n1,4,2\n"),
    "similarities": ("TripletDataLayer", {**HARD, "m": "c.json"}, "c.json", '{"1": {"2": 0.5}}', '{"1": {"2": 0.6}}'),
    "similarities of the labelled": (
        "TripletDataLayer", {**HARD, "m": "c.json", "labels": "part.txt"}, "c.json",
        '{"1": {"2": 0.5}}', '{"1": {"2": 0.6}}',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "options", "file", "before", "after"), CHANGED.values(), ids=CHANGED)
def test_other_contents_of_a_file_are_told(
    layer, options, file, before, after, resuming_net, small_source_folder, caplog
):
    (small_source_folder / "part.txt").write_text("-1\n1\n2\n1\n" * 3)
    (small_source_folder / file).write_text(before)
    saved(resuming_net(layer, **options))
    resumed(resuming_net(layer, **options))
    assert "the snapshot" not in caplog.text
    (small_source_folder / file).write_text(after)
    resumed(resuming_net(layer, **options))
    source = small_source_folder / options.get("source", "list.csv")
    assert (
        f"{layer}: the snapshot was taken with other names, labels, weights or listed samples of the CSV source {source}; "
        "continuing at batch 2 of"
    ) in caplog.text
    caplog.clear()
    again = resuming_net(layer, **options)
    again.copy_from("net.caffemodel")
    again.forward()
    saved(again)
    resumed(resuming_net(layer, **options))
    assert caplog.text.count("the snapshot") == 1  # once, not at each resume from then on


def test_moved_images_are_not_told(resuming_net, small_source_folder, caplog):
    """By absolute names, or by a root that is a folder further down."""
    here, there = small_source_folder, small_source_folder / "moved" / "deep down"
    shutil.copytree(here, there, ignore=shutil.ignore_patterns("moved"))
    (here / "c.csv").write_text(names(f"{here}/"))
    saved(resuming_net("ImageDataLayer", source="c.csv"))
    for text, root in (
        (names(f"{there}/"), None),
        (names("deep down/"), str(there.parent)),
        (names(), str(there)),
    ):
        (here / "c.csv").write_text(text)
        resumed(resuming_net("ImageDataLayer", source="c.csv", root=root))
    assert "the snapshot" not in caplog.text


@pytest.mark.parametrize("layer", LAYERS)
def test_every_option_is_here(layer):
    elsewhere = {"resume", "domain", "header", "sample_weights", "weights", "crops", "datasets", *POINTS}
    elsewhere |= {"graded"} if layer == "SiameseDataLayer" else set()
    assert {*TOLD[layer], *SILENT, *SILENT_OF[layer]} == set(SCHEMAS[layer].model_fields) - elsewhere


#: What can be only with labels that are values.
POINTS = {"points": [[0, 1], [2, 3]], "flip_pairs": [[0, 1]], "normalize_points": True, "outside": "nan"}


def test_ten_crops_are_silent(resuming_net, small_source_folder, caplog):
    restore(resuming_net, "ImageDataLayer", {"crop_size": 1}, {"crops": "ten"})
    assert "the snapshot" not in caplog.text


def test_snapshots_of_nets_without_sources_stay_known():
    pk = {
        "type": "PK",
        "classes_per_batch": 1,
        "samples_per_class": 5,
        "label_format": "indicator",
        "labels": "x/y.txt",
    }
    assert order_of(options("ImageDataLayer", **pk)) == [
        "CSV", 5, 0, 0, "PK", None, None, None, None, 1, 5, 1, "indicator", "", "", "", "y.txt",
    ]  # fmt: skip
    hard = {"source_type": "LMDB", "unlabelled": "negative", "m": "/a/b.json", "type": "HARD"}
    assert order_of(options("TripletDataLayer", **hard)) == [
        "LMDB", 256, 0, 0, "HARD", 10, 0, "number", None, None, None, 1, "indices", "negative", "b.json", "", "", "",
    ]  # fmt: skip


def test_how_the_order_of_sources_is_written_is_silent(resuming_net, caplog):
    said_once = {
        "source": None,
        "source_type": "LMDB",
        "sources": [{"source": "list.csv", "source_type": "CSV"}, {"source": "lmdb"}],
    }
    restore(resuming_net, "ImageDataLayer", MIXED, said_once)
    assert "the snapshot" not in caplog.text


def test_another_size_of_a_source_is_told(resuming_net, small_source_folder, caplog):
    """As many records in all, with the same names and labels one after the other."""
    rows = names().splitlines(keepends=True)
    sources = {"source": None, "sources": [{"source": "one.csv"}, {"source": "two.csv"}]}
    for cut in (5, 6):
        (small_source_folder / "one.csv").write_text("".join(rows[:cut]))
        (small_source_folder / "two.csv").write_text("".join(rows[cut:]))
        net = resuming_net("ImageDataLayer", **sources)
        saved(net) if cut == 5 else resumed(net)
    assert "the snapshot was taken with other names, labels" in caplog.text


def test_graded_is_silent(resuming_net, small_source_folder, caplog):
    (small_source_folder / "sims.csv").write_text("1,2,0\n3,4,1\n")
    restore(resuming_net, "SiameseDataLayer", {"pairs": "sims.csv"}, {"graded": True})
    assert "the snapshot" not in caplog.text


def test_names_of_data_sets_are_silent_but_other_labels_are_told(resuming_net, small_source_folder, caplog):
    images = np.zeros((SIZE, 3, 2, 2), np.uint8)
    with h5py.File(small_source_folder / "sets.h5", "w") as file:
        for name, values in (("X", images), ("Z", images), ("y", np.arange(SIZE)), ("same", np.arange(SIZE))):
            file.create_dataset(name, data=values)
        file.create_dataset("other", data=np.zeros(SIZE))
    before = {"source_type": "HDF5", "source": "sets.h5", "datasets": {"data": "X", "label": "y"}}
    restore(resuming_net, "ImageDataLayer", before, {"datasets": {"data": "Z", "label": "same"}})
    assert "the snapshot" not in caplog.text
    restore(resuming_net, "ImageDataLayer", before, {"datasets": {"data": "X", "label": "other"}})
    assert "other names, labels, weights" in caplog.text


def test_points_are_silent(resuming_net, small_source_folder, caplog):
    (small_source_folder / "values.txt").write_text("1 2 3 4\n" * 12)
    values = {"label_format": "values", "labels": "values.txt", "mirror": True}
    restore(resuming_net, "ImageDataLayer", values, POINTS)
    assert "the snapshot" not in caplog.text


#: Everything that a layer can have in its order, other than by default.
_EVERYWHERE = {"seed": 3, "stream": 4, "iter_size": 2}
HASHES = [
    ("ImageDataLayer", {}, (10330863, 15002299)),
    (
        "ImageDataLayer",
        {"type": "PK", "classes_per_batch": 3, "samples_per_class": 2, **_EVERYWHERE},
        (1238612, 7685741),
    ),
    ("ImageDataLayer", {"shuffle": True, "source_type": "LMDB", "source": "lmdb", **SETS}, (3434474, 5042)),
    ("ImageDataLayer", {"sampler": "samplers_of_a_user:Singles"}, (6261990, 1463308)),
    (
        "MultiLabelDataLayer",
        {"labels": "indicators/labels.txt", "label_format": "indicator", **_EVERYWHERE},
        (15854026, 10689999),
    ),
    ("SiameseDataLayer", {"pairs": "pairs.csv", "names": "key", **_EVERYWHERE}, (11480775, 3493711)),
    (
        "SiameseDataLayer",
        {**HARD, "k": 4, "unlabelled": "negative", "names": "key", **_EVERYWHERE},
        (12761623, 9835964),
    ),
    ("TripletDataLayer", {}, (14179866, 4447896)),
    ("TripletDataLayer", {"triplets": "triplets.csv"}, (2607073, 14342022)),
    (
        "TripletDataLayer",
        {"type": "HARD_MULTILABEL", "n": 3, "k": 4, "unlabelled": "negative", **SETS},
        (11876588, 2397995),
    ),
]


@pytest.mark.parametrize(("layer", "options", "hashed"), HASHES)
def test_snapshots_of_older_versions_are_known(layer, options, hashed, resuming_net, caplog):
    """What version 0.1.0 wrote beside the count, which said nothing of names and labels."""
    for wrong in (0, 1):
        net = resuming_net(layer, **options)
        (blobs,) = net.params.values()
        blobs[0].data[...] = 0, 2, hashed[0], hashed[1] + wrong
        net.forward()
        assert ("the snapshot was taken with other options" in caplog.text) == wrong
        assert blobs[0].data[1] == 3
