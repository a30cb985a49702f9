"""Numbers of options and files that float32 cannot hold, or that make what it cannot hold."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError, config
from caffe_pylayers.blob_limits import LARGEST_NUMBER, SMALLEST_NUMBER
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.files.counts import read_counts
from caffe_pylayers.files.matrix import read_matrix
from caffe_pylayers.files.mean import read_mean
from tests.caffe_nets import build, python_layer, run
from tests.refusals import refused

#: What a layer must be given.
REQUIRED = {
    "n_classes": 3, "distribution": "uniform", "low": 0, "high": 1, "counts": [3, 2, 1], "source": "list.txt",
    "pooled_h": 2, "pooled_w": 2, "max_iter": 9, "num_output": 3, "type": "ntxent",
    ("ProxyLoss", "type"): "proxy_anchor",
}  # fmt: skip


def float_options():
    """(layer, option) of every option that takes a float, or several."""
    for layer in SCHEMAS:
        for name, schema in config.json_schema(layer)["properties"].items():
            if '"number"' in repr(schema).replace("'", '"'):
                yield layer, name


def given(layer, name, value):
    """Options of the layer with one that has this value."""
    schema = config.json_schema(layer)
    options = {each: REQUIRED.get((layer, each)) or REQUIRED[each] for each in schema.get("required", ())}
    if layer == "LabelNoise":
        options = {"std": {"distribution": "gaussian"}, "probability": {"distribution": "flip", "n_classes": 3}}.get(
            name, {"distribution": "uniform", "low": 0, "high": 1}
        )
    text = repr(schema["properties"][name])
    several = {"clip": 2, "mean_value": 1, "mean_file": 3}.get(name, 3 if "'array'" in text else 0)
    return {**options, name: [value] * several if several else value}


@pytest.mark.parametrize(("layer", "name"), list(float_options()))
def test_no_option_takes_a_number_that_float32_cannot_compute_with(layer, name):
    for value in (1e308, 1e39, 3.5e18, -1e308, -1e39, 1e-46, -1e-300):
        with pytest.raises(ConfigError) as caught:
            config.validate(layer, given(layer, name, value))
        rules = [problem.problem for problem in caught.value.problems if problem.option == name]
        assert any("must be" in rule for rule in rules)


def test_the_list_of_options_is_not_empty():
    assert len(list(float_options())) > 40
    assert {("ImageDataLayer", "scale"), ("LDAMLoss", "counts"), ("TripletLoss", "margin")} <= set(float_options())


def test_the_message_has_the_range():
    with pytest.raises(ConfigError) as caught:
        config.load("ImageDataLayer", "{'source': 'list.txt', 'scale': 1e308, 'mean_value': [1e39]}")
    assert str(caught.value) == (
        "ImageDataLayer: option 'mean_value' must be 0, or from 1e-37 to 1e+18 in size, not 1e+39: Caffe computes in float32\n"
        "ImageDataLayer: option 'scale' must be 0, or from 1e-37 to 1e+18 in size, not 1e+308: Caffe computes in float32"
    )


def test_the_message_allows_0_only_where_the_option_does():
    for layer, option, words in (
        ("KnowledgeDistillation", "temperature", "be from 1e-37"),
        ("WingLoss", "w", "be from 1e-37"),
        ("TripletLoss", "margin", "be 0, or from 1e-37"),
    ):
        with pytest.raises(ConfigError, match=f"option '{option}' must {words} to"):
            config.validate(layer, {option: 1e-38})


RNG = np.random.RandomState(0)
SCORES, LABEL = RNG.randn(6, 3), np.arange(6) % 3
ONE, OTHER, THIRD = (RNG.randn(6, 3) for _ in range(3))


@pytest.mark.parametrize(
    ("layer", "inputs", "options"),
    [
        ("WeightedContrastiveLoss", {"a": ONE, "b": OTHER, "s": np.arange(6) % 2}, {"margin": LARGEST_NUMBER}),
        (
            "WeightedContrastiveLoss",
            {"a": ONE, "b": OTHER, "s": np.arange(6) % 2},
            {"margin": LARGEST_NUMBER, "legacy_version": True},
        ),
        ("WeightedSoftmaxLoss", {"x": SCORES, "y": LABEL}, {"class_weights": [LARGEST_NUMBER, SMALLEST_NUMBER, 1]}),
        (
            "WeightedSoftmaxLoss",
            {"x": SCORES, "y": LABEL},
            {"class_weights": [LARGEST_NUMBER, 0, 1], "normalization": "NONE"},
        ),
        ("WeightedSoftmaxLoss", {"x": SCORES, "y": LABEL}, {"class_weights": [SMALLEST_NUMBER] * 3}),
        ("FocalLoss", {"x": SCORES, "y": LABEL}, {"gamma": LARGEST_NUMBER}),
        ("FocalLoss", {"x": SCORES, "y": LABEL}, {"gamma": SMALLEST_NUMBER}),
        ("FocalLoss", {"x": SCORES, "y": LABEL}, {"alpha": LARGEST_NUMBER}),
        (
            "FocalLoss",
            {"x": SCORES, "y": LABEL},
            {"alpha": [LARGEST_NUMBER, SMALLEST_NUMBER, 0], "gamma": LARGEST_NUMBER},
        ),
        ("LDAMLoss", {"x": SCORES, "y": LABEL}, {"counts": [LARGEST_NUMBER, SMALLEST_NUMBER, 1]}),
        (
            "LDAMLoss",
            {"x": SCORES, "y": LABEL},
            {"counts": [3, 2, 1], "max_margin": LARGEST_NUMBER, "scale": LARGEST_NUMBER},
        ),
        (
            "LDAMLoss",
            {"x": SCORES, "y": LABEL},
            {"counts": [3, 2, 1], "max_margin": SMALLEST_NUMBER, "scale": SMALLEST_NUMBER},
        ),
        ("TripletLoss", {"a": ONE, "p": OTHER, "n": THIRD}, {"margin": LARGEST_NUMBER}),
        ("TripletLoss", {"a": ONE, "p": OTHER, "n": THIRD}, {"margin": SMALLEST_NUMBER, "distance": "euclidean"}),
        ("BatchTripletLoss", {"x": ONE, "y": LABEL}, {"margin": LARGEST_NUMBER}),
        ("BatchTripletLoss", {"x": ONE, "y": LABEL}, {"margin": LARGEST_NUMBER, "mining": "semihard"}),
        (
            "BatchTripletLoss",
            {"x": ONE, "y": LABEL},
            {"mining": "distance", "cutoff": SMALLEST_NUMBER, "nonzero_loss_cutoff": LARGEST_NUMBER},
        ),
        *(
            ("BatchPairLoss", {"x": ONE, "y": LABEL}, options)
            for options in (
                {"type": "ntxent", "temperature": LARGEST_NUMBER},
                {"type": "ntxent", "temperature": SMALLEST_NUMBER},
                {"type": "supcon", "temperature": SMALLEST_NUMBER},
                {"type": "multi_similarity", "alpha": LARGEST_NUMBER, "beta": LARGEST_NUMBER, "base": LARGEST_NUMBER},
                {
                    "type": "multi_similarity",
                    "alpha": SMALLEST_NUMBER,
                    "beta": SMALLEST_NUMBER,
                    "base": -LARGEST_NUMBER,
                },
                {"type": "circle", "scale": LARGEST_NUMBER, "margin": 1},
                {"type": "contrastive", "pos_margin": LARGEST_NUMBER, "neg_margin": LARGEST_NUMBER},
                {"type": "margin", "margin": LARGEST_NUMBER, "beta": LARGEST_NUMBER},
                {"type": "lifted", "neg_margin": LARGEST_NUMBER},
            )
        ),
        ("LabelNoise", {"y": LABEL}, {"distribution": "gaussian", "std": LARGEST_NUMBER}),
        ("LabelNoise", {"y": LABEL}, {"distribution": "uniform", "low": -LARGEST_NUMBER, "high": LARGEST_NUMBER}),
        (
            "LabelNoise",
            {"y": LABEL},
            {
                "distribution": "uniform",
                "low": 0,
                "high": LARGEST_NUMBER,
                "one_hot": True,
                "n_classes": 3,
                "clip": [0, LARGEST_NUMBER],
            },
        ),
        ("LabelSmoothing", {"y": LABEL}, {"n_classes": 3, "epsilon": SMALLEST_NUMBER}),
        ("L2Normalize", {"x": ONE}, {"eps": LARGEST_NUMBER, "scale": LARGEST_NUMBER}),
        ("L2Normalize", {"x": ONE}, {"eps": SMALLEST_NUMBER, "scale": SMALLEST_NUMBER}),
        (
            "SampleWeight",
            {"y": LABEL},
            {"n_classes": 3, "weights": [LARGEST_NUMBER, SMALLEST_NUMBER, 0], "scale": "mean_one"},
        ),
        ("SampleWeight", {"y": LABEL}, {"n_classes": 3, "rule": "effective_number", "beta": SMALLEST_NUMBER}),
        (
            "ComputeH",
            {"y": LABEL},
            {"n_classes": 3, "weights": [LARGEST_NUMBER, SMALLEST_NUMBER, 0], "scale": "sum_one"},
        ),
        ("ComputeH", {"y": LABEL}, {"n_classes": 3, "counts": "running", "decay": SMALLEST_NUMBER}),
    ],
    ids=str,
)
def test_what_is_computed_with_the_extremes_is_finite(layer, inputs, options):
    loss = layer.endswith("Loss")
    net = build([python_layer(layer, list(inputs), ["top"], options, 1 if loss else None)], inputs)
    for _ in range(2):
        gradients = run(net, *inputs) if loss or layer == "L2Normalize" else [net.forward()["top"]]
        assert np.isfinite(net.blobs["top"].data).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_images_with_the_extremes_are_finite():
    image = RNG.randint(0, 256, (4, 5, 3)).astype(np.uint8)
    for scale in (LARGEST_NUMBER, -LARGEST_NUMBER, SMALLEST_NUMBER):
        for mean in (LARGEST_NUMBER, -LARGEST_NUMBER, SMALLEST_NUMBER):
            out = np.empty((3, 4, 5), np.float32)
            transforms = Transforms(mean=read_mean(None, (mean,)), scale=scale)
            transforms.write(image, transforms.window(image.shape, Draw(0, 0, False)), out)
            assert np.isfinite(out).all()
            assert out.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39, -1e19])
def test_files_have_such_numbers_neither(bad, tmp_path):
    mean, matrix = np.zeros((3, 4, 5)), np.eye(3)
    mean[1, 2, 3] = matrix[1, 2] = bad
    np.save(tmp_path / "mean.npy", mean)
    np.save(tmp_path / "matrix.npy", matrix)
    with refused(DataError, "channel 1, row 2, column 3", remedy="1e+18", source="mean.npy"):
        read_mean(str(tmp_path / "mean.npy"), None)
    with refused(DataError, "row 1, column 2", remedy="1e+18", source="matrix.npy"):
        read_matrix(str(tmp_path / "matrix.npy"), 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39, 1e-30, -1])
def test_counts_of_a_file_are_in_range(bad, tmp_path):
    np.savetxt(tmp_path / "counts.txt", [5, bad, 1])
    with refused(DataError, "class 1", "1e-18", "1e+18"):
        read_counts(str(tmp_path / "counts.txt"), 3)


def test_a_net_with_such_an_option_is_not_set_up(tmp_path):
    layer = python_layer("ImageDataLayer", [], ["data"], {"source": "list.txt", "scale": 1e308})
    with refused(ConfigError, "1e-37", option="scale"):
        build([layer], {}, caffe.TEST)
