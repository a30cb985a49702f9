import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.ldam import ldam, ldam_margins
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses import class_cases, references
from tests.refusals import refused

COUNTS = [500, 60, 7, 1]
INPUTS = {"scores": np.random.RandomState(0).randn(5, 4, 3), "label": np.random.RandomState(1).randint(0, 4, (5, 3))}


def net_of(inputs=INPUTS, **options):
    return build([python_layer("LDAMLoss", list(inputs), ["loss"], options, 1)], inputs)


def test_margins_are_those_of_the_paper():
    margins = ldam_margins(np.array(COUNTS), 0.5)
    assert margins[3] == 0.5
    np.testing.assert_allclose(margins * np.array(COUNTS) ** 0.25, 0.5)


def test_an_absent_class_has_the_margin_of_the_rarest():
    np.testing.assert_allclose(ldam_margins(np.array([16, 0, 1]), 0.8), [0.4, 0.8, 0.8])


@given(st.integers(1, 6), st.integers(1, 5), st.one_of(st.none(), st.integers(1, 7)), st.integers(0, 2**31))
def test_equals_the_plain_loop_in_blocks_of_any_size(outer, num_classes, inner, seed):
    rng = np.random.RandomState(seed)
    scores = rng.randn(outer, num_classes, *(() if inner is None else (inner,))) * 3
    labels = rng.randint(0, num_classes, scores.shape[:1] + scores.shape[2:])
    counts, scale = rng.randint(1, 100, num_classes), rng.uniform(0.5, 5)
    margins, factor, gradient = ldam_margins(counts), rng.uniform(0, 2, labels.shape), np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = ldam(scores, labels, margins, scale, factor, gradient)
    finally:
        blocks.BLOCK = whole
    expected = class_cases.ldam(scores, labels, counts, scale=scale)[0].reshape(labels.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)
    slopes = references.numeric_gradient(lambda x: (factor * ldam(x, labels, margins, scale)).sum(), scores)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("inner", [(), (2,)])
def test_nan_scores_of_factor_zero_give_gradient_zero(inner):
    references.check_nan_of_factor_zero(
        lambda s, f, g: ldam(s, np.zeros((3, *inner), int), np.ones(4), 30.0, f, g), inner
    )


def test_equal_counts_and_a_margin_of_almost_nothing_are_stock():
    net = net_of(counts=[3, 3, 3, 3], max_margin=1e-30)
    twin = build([layer_text("SoftmaxWithLoss", list(INPUTS), ["loss"])], INPUTS)
    np.testing.assert_allclose(run(net, "scores")[0], run(twin, "scores")[0], rtol=1e-5, atol=1e-8)
    assert float(net.blobs["loss"].data) == pytest.approx(float(twin.blobs["loss"].data), rel=1e-6)


@pytest.mark.parametrize("kind", ["npy", "txt"])
def test_counts_from_a_file_are_those_of_a_list(tmp_path, kind):
    path = str(tmp_path / f"counts.{kind}")
    if kind == "npy":
        np.save(path, np.array(COUNTS))
    else:
        np.savetxt(path, COUNTS)
    of_file, of_list = net_of(counts=path), net_of(counts=COUNTS)
    np.testing.assert_array_equal(run(of_file, "scores"), run(of_list, "scores"))
    assert of_file.blobs["loss"].data == of_list.blobs["loss"].data


def test_a_wrong_number_of_counts_names_both(tmp_path):
    with refused(ConfigError, "2 numbers", "4 classes", option="counts", layer="LDAMLoss"):
        net_of(counts=[1, 2])
    path = str(tmp_path / "counts.npy")
    np.save(path, np.array([1, 2]))
    with pytest.raises(DataError, match=r"counts.npy: .*2.*4"):
        net_of(counts=path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "option 'counts' is required"),
        ({"counts": [0, 0, 0, 0]}, "option 'counts' must have a number above 0"),
        ({"counts": [1, 2, 3, -4]}, "counts"),
        ({"counts": COUNTS, "max_margin": 0}, "max_margin"),
        ({"counts": COUNTS, "scale": 0}, "scale"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        net_of(**options)


def test_it_has_one_top():
    with refused(ConfigError, "2 tops", "1: loss", layer="LDAMLoss"):
        build([python_layer("LDAMLoss", list(INPUTS), ["loss", "prob"], {"counts": COUNTS}, [1, 0])], INPUTS)


def test_another_number_of_classes_later_is_an_error():
    net = net_of(counts=COUNTS)
    net.forward()
    net.blobs["scores"].reshape(5, 3, 3)
    with refused(ConfigError, "4 numbers", "3 classes", option="counts"):
        net.forward()
