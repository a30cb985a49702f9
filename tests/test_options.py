"""The schemas: what each layer takes, normalises and refuses."""

import json
import os

import pytest

from caffe_pylayers import LAYERS, ConfigError
from caffe_pylayers.config import Options, json_schema, load
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.options import DATA, REQUIRED, options
from tests.refusals import refused


def test_every_layer_has_a_schema_named_after_it():
    assert list(SCHEMAS) == list(LAYERS)
    for layer, schema in SCHEMAS.items():
        assert schema.__name__ == layer + "Options"
        assert issubclass(schema, Options)


@pytest.mark.parametrize("layer", SCHEMAS)
def test_json_schema_says_all_there_is_about_an_option(layer):
    schema = json.loads(json.dumps(json_schema(layer)))
    assert schema["description"].endswith(".")
    assert set(schema["properties"]) == set(SCHEMAS[layer].model_fields)
    names = set(schema["properties"])
    for name, option in schema["properties"].items():
        assert option["description"].endswith("."), name
        assert "\n" not in option["description"]
        assert ("default" in option) != (name in schema.get("required", [])), name
        for alias in option.get("aliases", ()):
            assert alias not in names, "a name must mean one option"
            names.add(alias)
    conditional = {"std", "kernel_size", *(["source"] if "sources" in names else [])}
    assert schema.get("required", []) == [name for name in REQUIRED.get(layer, {}) if name not in conditional]


@pytest.mark.parametrize("layer", SCHEMAS)
def test_defaults_are_valid_when_given(layer):
    schema = json_schema(layer)["properties"]
    defaults = {name: option["default"] for name, option in schema.items() if "default" in option}
    checked = options(layer, **{**defaults, **REQUIRED.get(layer, {})})
    assert checked.model_dump() == options(layer).model_dump()


def test_the_seeds_param_strs():
    assert load("ComputeH", '{"n_classes": 7}').n_classes == 7
    triplets = load(
        "TripletDataLayer",
        "{'source_type': 'CSV', 'root': '../data/ALISC/train_image', 'batch_size': 32, "
        "'source': '../data/ALISC/train_cat.csv', 'prefetch': True, 'type': 'RANDOM', "
        "'resize': [256, 256], 'compressed': True}",
    )
    assert triplets.source == os.path.abspath("../data/ALISC/train_cat.csv")
    assert triplets.root == os.path.abspath("../data/ALISC/train_image")
    assert (triplets.source_type, triplets.type, triplets.batch_size) == ("CSV", "RANDOM", 32)
    assert (triplets.prefetch, triplets.resize, triplets.compressed) == (3, (256, 256), True)
    assert triplets.warnings == ()


@pytest.mark.parametrize(
    "layer, values, name, value",
    [
        ("ComputeH", {}, "scale", "sum_one"),
        ("ComputeH", {"weights": [1, 2, 3]}, "scale", "none"),
        ("ComputeH", {"weights": [1, 2, 3], "scale": "Mean_One"}, "scale", "mean_one"),
        ("ComputeH", {"weights": [1, 2, 3]}, "weights", (1.0, 2.0, 3.0)),
        ("ComputeH", {"weights": ["1e-1", "2", 3]}, "weights", (0.1, 2.0, 3.0)),
        ("ComputeH", {"counts": "BATCH"}, "counts", "batch"),
        ("ComputeH", {"counts": "counts.npy"}, "counts", os.path.abspath("counts.npy")),
        ("ComputeH", {"ignore_label": "none"}, "ignore_label", None),
        ("WeightedSoftmaxLoss", {}, "normalization", "VALID"),
        ("WeightedSoftmaxLoss", {"normalization": "batch_size"}, "normalization", "BATCH_SIZE"),
        ("WeightedSoftmaxLoss", {"normalization": 0}, "normalization", "FULL"),
        ("WeightedSoftmaxLoss", {"normalization": 3}, "normalization", "NONE"),
        ("WeightedSoftmaxLoss", {"normalize": True}, "normalization", "VALID"),
        ("WeightedSoftmaxLoss", {"normalize": "false"}, "normalization", "BATCH_SIZE"),
        ("WeightedSigmoidCrossEntropyLoss", {}, "normalization", "BATCH_SIZE"),
        ("WeightedSigmoidCrossEntropyLoss", {"normalize": True}, "normalization", "VALID"),
        ("SoftCrossEntropyLoss", {"normalization": 2}, "normalization", "BATCH_SIZE"),
        ("WeightedEuclideanLoss", {}, "normalization", "BATCH_SIZE"),
        ("WeightedInfogainLoss", {"source": "H.npy"}, "source", os.path.abspath("H.npy")),
        ("FocalLoss", {"alpha": "0.25"}, "alpha", 0.25),
        ("FocalLoss", {"alpha": [1, 2]}, "alpha", (1.0, 2.0)),
        ("FocalLoss", {"alpha": None}, "alpha", None),
        ("LDAMLoss", {"counts": ["9", 1]}, "counts", (9.0, 1.0)),
        ("LDAMLoss", {"counts": "counts.txt"}, "counts", os.path.abspath("counts.txt")),
        ("BatchTripletLoss", {"mining": "SemiHard"}, "mining", "semihard"),
        ("BatchTripletLoss", {"mining": "semihard", "soft": True, "margin": 1}, "margin", 1.0),
        ("SampleWeight", {"counts": "running", "decay": 0.9}, "decay", 0.9),
        ("SampleWeight", {"counts": "c.txt", "defer": 100, "resume": True}, "resume", True),
        ("ComputeH", {"weights": [1, 2, 3], "defer": 9, "counts": "c.txt"}, "counts", os.path.abspath("c.txt")),
        ("LabelSmoothing", {"over": "OTHERS"}, "over", "others"),
        ("LabelSmoothing", {"epsilon": 0.2}, "smoothing", 0.2),
        ("ComputeH", {"n_classes": 3, "epsilon": 0.2}, "smoothing", 0.2),
        ("LDAMLoss", {"margin": 1}, "max_margin", 1.0),
        ("LabelNoise", {"one_hot": True, "n_classes": 3}, "clip", None),
        ("LabelNoise", {"clip": [0, "9"]}, "clip", (0.0, 9.0)),
        ("TripletLoss", {"bottoms": ["Margin", "sample_weight"]}, "bottoms", ("margin", "sample_weight")),
        ("TripletLoss", {"bottoms": []}, "bottoms", ()),
        ("TripletLoss", {"soft": True}, "average", "all"),
        ("L2Normalize", {"scale": 20}, "scale", 20.0),
        (DATA, {}, "resize", None),
        (DATA, {"resize": -1}, "resize", None),
        (DATA, {"resize": "-1"}, "resize", None),
        (DATA, {"resize": None}, "resize", None),
        (DATA, {"resize": 256}, "resize", (256, 256)),
        (DATA, {"resize": [100.0, "200"]}, "resize", (100, 200)),
        (DATA, {"crop_size": 0}, "crop_size", None),
        (DATA, {"crop_size": 227, "resize": [227, 300]}, "crop_size", (227, 227)),
        (DATA, {"crop_size": [100, 50]}, "crop_size", (100, 50)),
        (DATA, {"mean_file": [1, 2, 3]}, "mean_file", (1.0, 2.0, 3.0)),
        (DATA, {"mean_file": "123"}, "mean_file", os.path.abspath("123")),
        (DATA, {"mean_value": 104}, "mean_value", (104.0,)),
        (DATA, {"mean_value": "104.5"}, "mean_value", (104.5,)),
        (DATA, {"mean_value": [1, 2, 3], "mean_file": None}, "mean_value", (1.0, 2.0, 3.0)),
        (DATA, {"prefetch": True}, "prefetch", 3),
        (DATA, {"prefetch": "false"}, "prefetch", 0),
        (DATA, {"prefetch": "5"}, "prefetch", 5),
        (DATA, {"prefetch": 1}, "prefetch", 1),
        (DATA, {"workers": 1}, "prefetch", 0),
        (DATA, {"root_folder": "images"}, "root", os.path.abspath("images")),
        (DATA, {"is_color": False, "mean_value": 5}, "color", False),
        (DATA, {"color": "ANY", "mean_value": [1, 2, 3, 4]}, "color", "any"),
        (DATA, {"color": "true"}, "color", True),
        (DATA, {"source_type": "LMDB", "mean_value": [1, 2]}, "mean_value", (1.0, 2.0)),
    ],
)
def test_normalises(layer, values, name, value):
    result = getattr(options(layer, **values), name)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "layer, values, message",
    [
        ("ComputeH", {"weights": [1, 2]}, "option 'weights' has 2 numbers, but 'n_classes' is 3"),
        ("ComputeH", {"weights": [0, 0, 0], "scale": "sum_one"}, "option 'weights' has no number above 0"),
        ("SampleWeight", {"smoothing": 0.1}, "unknown option 'smoothing'"),
        (
            "WeightedSoftmaxLoss",
            {"normalize": True, "normalization": "VALID"},
            "are both given; leave one out",
        ),
        ("WeightedSoftmaxLoss", {"normalization": True}, "'FULL', 'VALID', 'BATCH_SIZE', 'NONE', not True"),
        ("WeightedSoftmaxLoss", {"normalization": 4}, "'FULL', 'VALID', 'BATCH_SIZE', 'NONE', not 4"),
        ("WeightedSoftmaxLoss", {"normalize": 1}, "option 'normalize' must be true or false, or none, not 1"),
        ("LabelNoise", {"std": None}, "option 'std' is required if 'distribution' is 'gaussian'"),
        ("LabelNoise", {"std": 0}, "option 'std' must be a number above 0, or none, not 0"),
        (
            "LabelNoise",
            {"clip": [9, 0]},
            "option 'clip' must be [lo, hi] with lo not above hi, not [9.0, 0.0]",
        ),
        ("LabelNoise", {"clip": [0, 1, 2]}, "option 'clip' must be a list of 2, each a number, or none"),
        ("LabelNoise", {"one_hot": True}, "option 'n_classes' is required if"),
        (
            "LabelNoise",
            {"one_hot": True, "n_classes": 3, "clip": [-1, 1]},
            "option 'clip' must not go below 0 if 'one_hot' is true",
        ),
        ("LabelSmoothing", {"epsilon": 1.5}, "option 'epsilon' must be a number of at least 0 and of at most 1"),
        ("LabelSmoothing", {"over": "both"}, "must be one of 'all', 'others', not 'both'"),
        ("SampleWeight", {"rule": "effective_number", "beta": 1}, "must be a number above 0 and below 1, not 1"),
        (
            "WeightedSoftmaxLoss",
            {"class_weights": [1, -1]},
            "each entry a number of at least 0, or a path, or none, not [1, -1]",
        ),
        ("WeightedEuclideanLoss", {"normalization": "VALID"}, "unknown option 'normalization'"),
        ("SoftCrossEntropyLoss", {"ignore_label": 255}, "unknown option 'ignore_label'"),
        ("FocalLoss", {"gamma": -1}, "option 'gamma' must be a number of at least 0, not -1"),
        ("BatchTripletLoss", {"mining": "easy"}, "must be one of 'all', 'semihard', 'hard', 'distance', 'given'"),
        ("BatchTripletLoss", {"soft": True, "average": "active"}, "option 'average' cannot be 'active'"),
        (
            "BatchTripletLoss",
            {"mining": "distance", "cutoff": 2},
            "option 'cutoff' is 2, not below 'nonzero_loss_cutoff', which is 1.4",
        ),
        ("LabelNoise", {"seed": -1}, "option 'seed' must be an integer of at least 0"),
        ("TripletLoss", {"margin": -1}, "option 'margin' must be a number of at least 0, not -1"),
        ("TripletLoss", {"soft": True, "average": "active"}, "option 'average' cannot be 'active'"),
        ("TripletLoss", {"soft": True, "bottoms": ["margin"]}, "option 'bottoms' cannot have a margin"),
        (
            "TripletLoss",
            {"bottoms": "margin"},
            "option 'bottoms' must be a list, each entry one of 'margin', 'sample",
        ),
        (
            "TripletLoss",
            {"bottoms": ["sample_weight", "margin"]},
            "must have each name once, in the order margin, sample_weight",
        ),
        ("TripletLoss", {"bottoms": ["margin", "margin"]}, "must have each name once"),
        ("L2Normalize", {"eps": 0}, "option 'eps' must be a number above 0, not 0"),
        ("L2Normalize", {"axis": "C"}, "option 'axis' must be an integer, not 'C'"),
        (
            DATA,
            {"batch_size": 0},
            "option 'batch_size' must be an integer of at least 1 and of at most 2147483647, not 0",
        ),
        (
            DATA,
            {"resize": 0},
            "must be -1, or an integer of at least 1, or a list of 2, each an integer",
        ),
        (DATA, {"resize": True}, "option 'resize' must be -1, or"),
        (
            DATA,
            {"resize": [256]},
            "or a list of 2, each an integer of at least 1, or a dict of 'short', 'long', 'pad', or none, not [256]",
        ),
        (
            DATA,
            {"crop_size": 300, "resize": 256},
            "option 'crop_size' is [300, 300], more than 'resize', which is [256, 256]",
        ),
        (DATA, {"crop_size": 201, "resize": [200, 300]}, "option 'crop_size' is [201, 201], more than 'resize'"),
        (
            DATA,
            {"mean_value": [1, 2]},
            "option 'mean_value' has 2 numbers, but images have 3 channels: 'color' is true; give one number for all channels",
        ),
        (DATA, {"mean_file": [1, 2, 3, 4]}, "option 'mean_file' has 4 numbers, but images have 3 channels"),
        (
            DATA,
            {"mean_value": []},
            "option 'mean_value' must be a number, or a list of one or more, each a number, or none",
        ),
        (
            DATA,
            {"source_type": "HDF5", "datasets": {"lable": "y"}},
            "unknown option 'datasets.lable'; did you mean 'label'?",
        ),
        (
            DATA,
            {"source_type": "HDF5", "datasets": {"label": "y"}, "labels": "z"},
            "'datasets.label' and 'labels' are both given",
        ),
        (
            DATA,
            {"source_type": "HDF5", "datasets": {"sample_weight": "y"}, "sample_weights": "z"},
            "'datasets.sample_weight' and 'sample_weights' are both given; leave one out",
        ),
        (
            DATA,
            {"source_type": "HDF5", "datasets": "X"},
            "option 'datasets' must be a dict of 'data', 'label', 'sample_weight', 'name', or none",
        ),
        (DATA, {"augment": {"brightnes": 0.4}}, "unknown option 'augment.brightnes'; did you mean 'brightness'?"),
        (
            DATA,
            {"augment": {"brightness": -1}},
            "option 'augment.brightness' must be a number of at least 0 and of at most 100, or a list of 2, each a number of at least 0 and of at "
            "most 100, or a dict of 'p', "
            "'range', or none, not -1",
        ),
        (DATA, {"augment": {"hue": [-0.1, 0.6]}}, "each a number of at least -0.5 and of at most 0.5, or"),
        (
            DATA,
            {"augment": {"contrast": {"range": [2, 1]}}},
            "'augment.contrast' has [2.0, 1.0], whose first number is above",
        ),
        (DATA, {"augment": {"hue": {"p": 0.5}}}, "option 'augment.hue.range' is required: n: from -n to n"),
        (
            DATA,
            {"augment": {"gray": 2}},
            "option 'augment.gray' must be a number of at least 0 and of at most 1, not 2",
        ),
        (
            DATA,
            {"augment": {"resized_crop": {}}, "resize": {"short": 40}},
            "option 'augment.resized_crop' needs a size, but there is no 'crop_size'; set 'crop_size'",
        ),
        (
            DATA,
            {"augment": {"resized_crop": {"area": [0, 1]}}},
            "'augment.resized_crop.area' must be a list of 2, each a number above 0",
        ),
        (
            DATA,
            {"augment": {"resized_crop": {"ratio": [2, 1]}}},
            "'augment.resized_crop.ratio' has [2.0, 1.0], whose first",
        ),
        (
            DATA,
            {"augment": {"rotate": [9, -9]}},
            "'augment.rotate' has [9.0, -9.0], whose first number is above the second",
        ),
        (
            DATA,
            {"augment": {"erase": {"value": 256}}},
            "must be an integer of at least 0 and of at most 255, or one of 'mean', 'noise', not 256",
        ),
        (
            DATA,
            {"augment": {"blur": {"sigma": [0, 2]}}},
            "option 'augment.blur.sigma' must be a list of 2, each a number above 0",
        ),
        (
            DATA,
            {"augment": {"translate": [0.1, 0.1]}},
            "option 'augment.translate' must be a number of at least 0 and of at most 1",
        ),
        (DATA, {"augment": "image-net"}, "or one of 'imagenet', 'ssd', or none, not 'image-net'"),
        (DATA, {"color": "all"}, "option 'color' must be true or false, or 'any', not 'all'"),
        (DATA, {"mean_value": True}, "option 'mean_value' must be a number, or"),
        (
            DATA,
            {"mean_file": "m.npy", "mean_value": 1},
            "options 'mean_file' and 'mean_value' are both given",
        ),
        (
            DATA,
            {"color": False, "mean_value": [1, 2, 3]},
            "option 'mean_value' has 3 numbers, but images have 1 channel: 'color' is false",
        ),
        (
            DATA,
            {"prefetch": -1},
            "option 'prefetch' must be true or false, or an integer of at least 0, not -1",
        ),
        (
            DATA,
            {"batch_size": 10**12},
            "option 'batch_size' must be an integer of at least 1 and of at most 2147483647",
        ),
        (
            DATA,
            {"batch_size": 3642, "resize": [256, 256 * 3]},
            "make a top of 2148139008 numbers (3642 x 3 x 256 x 768)",
        ),
        (
            DATA,
            {"batch_size": 10**6, "resize": 300, "crop_size": 27},
            "'crop_size', [27, 27], make a top of 2187000000",
        ),
        (DATA, {"batch_size": 1, "resize": 30_000}, "make a top of 2700000000 numbers (1 x 3 x 30000 x 30000)"),
        (
            "TripletDataLayer",
            {"batch_size": 2**20, "stacked": True, "resize": 16},
            "make a top of 2415919104 numbers (3145728 x 3 x 16 x 16); a Caffe blob holds at most 2147483647: lower one of them",
        ),
        ("SiameseDataLayer", {"batch_size": 2**21, "stacked": True, "resize": 16}, "numbers (4194304 x 3 x 16 x 16)"),
        (
            "MultiLabelDataLayer",
            {"batch_size": 2**16, "multilabel": True, "label_dim": 2**15},
            "and 'label_dim', 32768, make a top of 2147483648 numbers",
        ),
        (
            "TripletDataLayer",
            {"type": "HARD_MULTILABEL", "k": 10**8},
            "must be an integer of at least 1 and of at most 10000",
        ),
        (
            "ComputeH",
            {"n_classes": 46341},
            "H would have 2147488281 numbers, but a Caffe blob holds at most 2147483647",
        ),
        ("LabelSmoothing", {"n_classes": 10**12}, "must be an integer of at least 2 and of at most 16777216"),
        (DATA, {"timeout": 0, "prefetch": 2}, "option 'timeout' must be a number above 0, not 0"),
        (DATA, {"k": 3}, "unknown option 'k'"),
        (
            "SiameseDataLayer",
            {"pairs": "p.csv", "sampler": "a:B"},
            "options 'sampler' and 'pairs' both say which records a sample has; leave one out",
        ),
        ("TripletDataLayer", {"type": "HARD"}, "option 'm' is required if 'type' is 'HARD'"),
        ("TripletDataLayer", {"pairs": "p.csv"}, "unknown option 'pairs'"),
        ("TripletDataLayer", {"sample_weights": "w.npy"}, "unknown option 'sample_weights'"),
        ("SiameseDataLayer", {"type": "HARD_MULTILABEL"}, "must be one of 'RANDOM', 'RANDOM_MULTILABEL', 'HARD', not"),
        (DATA, {"label_order": "number"}, "option 'label_order' must be 'key', or none, not 'number'"),
        (DATA, {"label_format": "one-hot"}, "must be one of 'indices', 'indicator'"),
        (DATA, {"on_error": "ignore"}, "must be one of 'stop', 'replace', 'skip'"),
        (
            DATA,
            {"transform": "augment.py"},
            "'transform' must be text such as 'module:name', or none, not 'augment.py'",
        ),
        (DATA, {"sampler": "a:B", "on_error": "skip"}, "'on_error' must be 'stop' with a 'sampler' of your own"),
        (DATA, {"type": "PK", "classes_per_batch": 3}, "'samples_per_class' is required if 'type' is 'PK'"),
        (
            DATA,
            {"type": "PK", "classes_per_batch": 3, "samples_per_class": 4, "batch_size": 10},
            "option 'batch_size' is 10, but 'classes_per_batch' times 'samples_per_class' is 12",
        ),
        ("TripletDataLayer", {"label_dim": 3}, "unknown option 'label_dim'"),
    ],
)
def test_refuses(layer, values, message):
    with pytest.raises(ConfigError) as caught:
        options(layer, **values)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") == 0, "one problem, one line"
    assert caught.value.layer == layer
    option = caught.value.option
    spellings = [option, *json_schema(layer)["properties"].get(option, {}).get("aliases", ())]
    assert any(f"{name!r}" in caught.value.problem for name in spellings)


def test_uniform_noise_needs_low_and_high():
    with pytest.raises(ConfigError) as caught:
        load("LabelNoise", "distribution: UNIFORM, std: 1")
    assert [problem.option for problem in caught.value.problems] == ["low", "high"]
    with refused(ConfigError, "2", "'high'", "1", option="low"):
        load("LabelNoise", "distribution: uniform, low: 2, high: 1")
    noise = load("LabelNoise", "distribution: uniform, low: -1, high: -1")
    assert (noise.low, noise.high, noise.std) == (-1.0, -1.0, None)


def test_flips_need_probability_and_classes():
    with pytest.raises(ConfigError) as caught:
        load("LabelNoise", "distribution: flip, clip: [0, 1]")
    assert [problem.option for problem in caught.value.problems] == ["probability", "n_classes"]
    assert load("LabelNoise", "distribution: flip, probability: 0.1, n_classes: 5").n_classes == 5


def test_counts_scale_weights_by_hand_to_mean_one():
    weights = options("ComputeH", weights=[1, 2, 3], scale="mean_one", counts="counts.txt")
    assert weights.counts == os.path.abspath("counts.txt")


def test_batch_size_of_type_pk_follows_from_its_counts():
    batch = options(DATA, type="pk", classes_per_batch="4", samples_per_class=3.0)
    assert (batch.batch_size, batch.type) == (12, "PK")
    assert options(DATA, type="PK", classes_per_batch=4, samples_per_class=3, batch_size=12).batch_size == 12


def test_the_seeds_label_dim():
    assert options("MultiLabelDataLayer", **{"label dim": 7, "multilabel": True}).label_dim == 7
    assert options("MultiLabelDataLayer", **{"label dim": 1}).multilabel is False
