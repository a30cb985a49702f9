"""Options that others make meaningless."""

import pytest

from caffe_pylayers.config.remarks import Remark
from tests.options import DATA, options


@pytest.mark.parametrize(
    "layer, values, idle, where, value",
    [
        ("ComputeH", {"weights": [1, 2, 3], "rule": "balanced"}, "rule", "'weights' are given", "max_count"),
        ("ComputeH", {"weights": [1, 2, 3], "empty": "error"}, "empty", "'weights' are given", "zero"),
        (
            "ComputeH",
            {"weights": [1, 2, 3], "counts": "c.npy"},
            "counts",
            "'weights' are given and 'scale' is not 'mean_one'",
            "batch",
        ),
        ("ComputeH", {"source": "H.npy", "smoothing": 0.1}, "smoothing", "'source' gives the matrix", 0.0),
        ("SampleWeight", {"beta": 0.9}, "beta", "'rule' is 'max_count'", 0.999),
        ("SampleWeight", {"decay": 0.9}, "decay", "'counts' is 'batch'", 0.99),
        ("SampleWeight", {"resume": True}, "resume", "nothing depends on the iteration", True),
        ("LabelNoise", {"low": 1}, "low", "'distribution' is 'gaussian'", None),
        ("LabelNoise", {"probability": 0.1}, "probability", "'distribution' is 'gaussian'", None),
        ("LabelNoise", {"n_classes": 3}, "n_classes", "'one_hot' is false", None),
        (
            "WeightedSoftmaxLoss",
            {"normalization": "none", "normalize_by": "count"},
            "normalize_by",
            "'normalization' is 'NONE'",
            "weight",
        ),
        (
            "SoftCrossEntropyLoss",
            {"normalization": "NONE", "normalize_by": "count"},
            "normalize_by",
            "'normalization' is 'NONE'",
            "weight",
        ),
        ("TripletLoss", {"soft": True, "margin": 0.3}, "margin", "'soft' is true", 0.2),
        ("BatchTripletLoss", {"soft": True, "margin": 0.3}, "margin", "'soft' is true", 0.2),
        ("BatchTripletLoss", {"seed": 3}, "seed", "'mining' is 'all'", 0),
        (DATA, {"prefetch": False, "workers": 2}, "workers", "'prefetch' is false", 1),
        (DATA, {"timeout": 5, "prefetch": 0}, "timeout", "'prefetch' is false", 60.0),
        (DATA, {"root": "x", "source_type": "LMDB"}, "root", "'source_type' is 'LMDB'", None),
        (DATA, {"header": True, "source_type": "LMDB"}, "header", "'source_type' is 'LMDB'", False),
        (DATA, {"missing": "skip", "source_type": "HDF5"}, "missing", "'source_type' is 'HDF5'", "error"),
        (DATA, {"label_order": "key"}, "label_order", "'source_type' is 'CSV'", None),
        (
            DATA,
            {"label_order": "key", "source_type": "LMDB"},
            "label_order",
            "there is no 'labels' or 'sample_weights'",
            None,
        ),
        (
            "SiameseDataLayer",
            {"label_order": "key", "source_type": "LMDB"},
            "label_order",
            "there is no 'labels' or 'm' or 'pairs'",
            None,
        ),
        (DATA, {"bcf_mode": "MEM"}, "bcf_mode", "'source_type' is 'CSV'", "FILE"),
        ("SiameseDataLayer", {"graded": True}, "graded", "there are no 'pairs'", False),
        (DATA, {"datasets": {"data": "X"}}, "datasets", "'source_type' is 'CSV'", None),
        (DATA, {"decode": "fast"}, "decode", "there is no 'resize'", "exact"),
        (DATA, {"sampler": "a:B", "shuffle": True}, "shuffle", "there is a 'sampler' of your own", False),
        (DATA, {"classes_per_batch": 3}, "classes_per_batch", "'type' is 'ALL'", None),
        (
            DATA,
            {"type": "BALANCED", "shuffle": True},
            "shuffle",
            "'type' is 'BALANCED': its order is always random",
            False,
        ),
        ("MultiLabelDataLayer", {"label dim": 3}, "label_dim", "'multilabel' is false", None),
        ("TripletDataLayer", {"triplets": "t.csv", "type": "HARD"}, "type", "there is a list: 'triplets'", "RANDOM"),
        ("TripletDataLayer", {"triplets": "t.csv", "k": 3}, "k", "there is a list: 'triplets'", 10),
        ("TripletDataLayer", {"names": "key"}, "names", "there is neither 'triplets' nor 'm' for type HARD", "number"),
        ("TripletDataLayer", {"n": 100}, "n", "'type' is 'RANDOM'", 0),
        (
            "TripletDataLayer",
            {"type": "HARD_MULTILABEL", "k": 3, "m": "g.npz"},
            "m",
            "'type' is 'HARD_MULTILABEL'",
            None,
        ),
        (
            "TripletDataLayer",
            {"triplets": "t.csv", "unlabelled": "negative"},
            "unlabelled",
            "there is a list: 'triplets'",
            "drop",
        ),
        ("SiameseDataLayer", {"sampler": "a:B", "k": 3}, "k", "there is a 'sampler' of your own", 10),
    ],
)
def test_an_option_that_others_make_meaningless_is_a_warning_and_has_its_default(layer, values, idle, where, value):
    checked = options(layer, **values)
    assert checked.warnings == (Remark((idle,), f"option {idle!r} has no effect, because {where}", "leave it out"),)
    assert getattr(checked, idle) == value, "nothing that reads it can be changed by it"


def test_each_option_without_effect_has_a_warning_of_its_own():
    checked = options(
        "LabelNoise", distribution="flip", std=0.5, probability=0.1, n_classes=5, clip=[0, 1], one_hot=True
    )
    assert [remark.names for remark in checked.warnings] == [("std",), ("clip",), ("one_hot",)]
    assert checked.works_in_place()
    checked = options("TripletDataLayer", k=5, n=100, m="graph.json")
    assert [remark.names for remark in checked.warnings] == [("k",), ("n",), ("m",)]


def test_counts_of_classes_leave_the_batch_size_alone_where_they_have_no_effect():
    checked = options(DATA, classes_per_batch=3, samples_per_class=4)
    assert checked.batch_size == 256
    assert len(checked.warnings) == 2


def test_what_has_an_effect_is_no_warning():
    assert options("TripletDataLayer", type="HARD", m="graph.npz", k=3, n=5, names="key").warnings == ()
    assert options("TripletDataLayer", type="HARD_MULTILABEL", k=3, n=5).warnings == ()
    assert options("TripletDataLayer", shuffle=True).warnings == ()
    assert options(DATA, prefetch=2, workers=2, timeout=5).warnings == ()
