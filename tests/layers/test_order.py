"""A position in the stream means something under the options that say which records a batch has: another of them is told."""

import pytest

from caffe_pylayers.config.catalogue import SCHEMAS
from tests.layers.small_source import LAYERS

SETS = {"labels": "sets/labels.txt"}
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
    )


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
    "SiameseDataLayer": of_comparisons("Pairs", "pairs"),
    "TripletDataLayer": of_comparisons("Triplets", "triplets"),
}

#: Options that do not say which records a batch has: data may be moved, and images be made otherwise.
SILENT = {
    "source": "moved.csv", "root": ".", "missing": "skip", "bcf_mode": "MEM", "label_order": "key", "resize": 6, "crop_size": 4,
    "mirror": True, "mean_file": "mean.npy", "mean_value": 3, "scale": 0.5, "color": False, "transform": "transform_of_a_user:same",
    "compressed": False, "decode": "fast", "max_pixels": 1000, "prefetch": 1, "workers": 2, "timeout": 9, "restart_every": 3,
    "on_error": "skip",
}  # fmt: skip
SILENT_OF = {
    "ImageDataLayer": {"sample_weights": "weights.npy"},
    "MultiLabelDataLayer": {"sample_weights": "weights.npy", "multilabel": False, "label_dim": 6},
    "SiameseDataLayer": {"shuffle": True, "stacked": True},
    "TripletDataLayer": {"shuffle": True, "stacked": True},
}
CASES = [(layer, option) for layer in LAYERS for option in TOLD[layer]]
SILENT_CASES = [(layer, option) for layer in LAYERS for option in {**SILENT, **SILENT_OF[layer]}]


def restore(net, layer, before, after):
    """Take a snapshot after two batches, and go on in a net with other options."""
    first = net(layer, **before)
    for _ in range(2):
        first.forward()
    first.save("net.caffemodel")
    second = net(layer, **{**before, **after})
    second.copy_from("net.caffemodel")
    second.forward()
    return second


@pytest.mark.parametrize(("layer", "option"), CASES)
def test_another_order_is_told(layer, option, resuming_net, caplog):
    before, after = TOLD[layer][option]
    restore(resuming_net, layer, before, {})
    assert "other options" not in caplog.text
    restore(resuming_net, layer, before, after)
    assert (
        f"{layer}: the snapshot was taken with other options or another source; continuing at batch 2 of" in caplog.text
    )


@pytest.mark.parametrize(("layer", "option"), SILENT_CASES)
def test_the_same_order_is_not_told(layer, option, resuming_net, caplog):
    restore(resuming_net, layer, {}, {option: {**SILENT, **SILENT_OF[layer]}[option]})
    assert "other options" not in caplog.text


def test_another_list_of_the_same_records_is_not_told(resuming_net, caplog):
    restore(resuming_net, "ImageDataLayer", {"source": "list.csv"}, {"source": "headed.csv", "header": True})
    assert "other options" not in caplog.text


@pytest.mark.parametrize("layer", LAYERS)
def test_every_option_is_here(layer):
    elsewhere = {"resume", "header"}
    assert {*TOLD[layer], *SILENT, *SILENT_OF[layer], *elsewhere} == set(SCHEMAS[layer].model_fields)


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
def test_snapshots_of_older_versions_are_known(layer, options, hashed, resuming_net):
    """What stands beside the count in the blob, as version 0.1.0 wrote it."""
    (blobs,) = resuming_net(layer, **options).params.values()
    assert tuple(blobs[0].data[2:]) == hashed
