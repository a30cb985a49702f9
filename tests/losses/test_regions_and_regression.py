"""What the losses on regions, on differences and on teachers' scores take and refuse, on the real Caffe."""

import numpy as np
import pytest

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, python_layer, run
from tests.losses.regression_cases import CURVES
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, T = RNG.randn(4, 3), RNG.randn(4, 3)
SCORES, LABELS = RNG.randn(4, 3, 2, 2), RNG.randint(0, 3, (4, 1, 2, 2))
PART = RNG.rand(4, 3, 2, 2)


def net_of(layer, inputs, **options):
    inputs = {name: np.asarray(array) for name, array in inputs.items()}
    return build([python_layer(layer, list(inputs), ["loss"], options, 1)], inputs)


def loss(layer, inputs, **options):
    net = net_of(layer, inputs, **options)
    net.forward()
    return float(net.blobs["loss"].data)


regressions = pytest.mark.parametrize("layer", CURVES)


# -------------------------------------------------------------------------------------------------- regression


@regressions
def test_four_bottoms_are_those_of_py_faster_rcnn(layer):
    inside, outside = RNG.rand(2, 4, 3)
    four = {"x": X, "t": T, "in": inside, "out": outside}
    expected = sum(outside[at] * CURVES[layer](inside[at] * (X[at] - T[at])) for at in np.ndindex(4, 3))
    assert loss(layer, four) == pytest.approx(expected / 4, rel=1e-5)
    five = {**four, "weight": np.full(4, 2.0)}
    named = ["inside_weight", "outside_weight", "sample_weight"]
    for options in ({}, {"bottoms": named}):
        assert loss(layer, five, **options) == pytest.approx(expected / 4, rel=1e-5)


@regressions
def test_of_three_bottoms_an_option_says_which_the_last_is(layer):
    three = {"x": X, "t": T, "more": np.full((4, 3), 0.5)}
    with refused(ConfigError, "bottom 3", remedy="'bottoms': ['sample_weight']", layer=layer):
        net_of(layer, three)
    plain = loss(layer, {"x": X, "t": T})
    assert loss(layer, three, bottoms=["sample_weight"]) == pytest.approx(plain, rel=1e-5)
    assert loss(layer, three, bottoms=["outside_weight"]) == pytest.approx(plain / 2, rel=1e-5)
    assert loss(layer, three, bottoms=["inside_weight"]) == pytest.approx(
        loss(layer, {"x": X / 2, "t": T / 2}), rel=1e-5
    )


def test_bottoms_out_of_order_are_an_error():
    inputs = {"x": X, "t": T, "a": X, "b": X}
    with refused(ConfigError, "in the order inside_weight, outside_weight, sample_weight", option="bottoms"):
        net_of("SmoothL1Loss", inputs, bottoms=["outside_weight", "inside_weight"])


@regressions
@pytest.mark.parametrize("name", ["target", "inside_weight", "outside_weight"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_errors_that_name_them(layer, name, bad):
    inputs = {"prediction": X, "target": T.copy(), "inside_weight": np.ones((4, 3)), "outside_weight": np.ones((4, 3))}
    inputs[name][2, 1] = bad
    with refused(DataError, f"{name} {bad:g} at index (2, 1)", layer=layer):
        loss(layer, inputs)


@pytest.mark.parametrize("layer", [*CURVES, "WeightedEuclideanLoss"])
@pytest.mark.parametrize("weights", [np.array([1.0, 1, 0, 1]), 1 - (np.arange(12).reshape(4, 3) == 7)])
def test_a_target_that_does_not_count_is_not_blamed_for_a_prediction_that_is_nan(layer, weights):
    prediction, target = X.copy(), T.copy()
    prediction[0, 0] = target[2, 1] = np.nan
    options = {} if layer == "WeightedEuclideanLoss" else {"bottoms": ["sample_weight"]}
    assert np.isnan(loss(layer, {"x": prediction, "t": target, "w": weights}, **options))
    target[0, 1] = np.nan
    with refused(DataError, "target nan at index (0, 1)", layer=layer):
        loss(layer, {"x": prediction, "t": target, "w": weights}, **options)


@regressions
@pytest.mark.parametrize("name", ["target", "inside_weight", "outside_weight"])
def test_counts_that_do_not_fit_are_errors(layer, name):
    inputs = {"prediction": X, "target": T, "inside_weight": X, "outside_weight": X}
    inputs[name] = np.ones((4, 2))
    with refused(ConfigError, name, "(4, 2)", "(4, 3)", layer=layer):
        loss(layer, inputs)


def test_small_differences_keep_their_digits_in_wing_loss():
    d = np.logspace(-7, 1.5, 40).reshape(4, 10)
    found = loss("WingLoss", {"x": d, "t": np.zeros((4, 10))}, w=3.0, epsilon=0.5)
    d = d.astype(np.float32).astype(float)
    expected = np.where(d < 3, 3 * np.log1p(d / 0.5), d - 3 + 3 * np.log1p(6.0)).sum() / 4
    assert found == pytest.approx(expected, rel=1e-6)
    tiny = np.full((4, 10), 1e-7)
    assert loss("WingLoss", {"x": tiny, "t": 0 * tiny}) == pytest.approx(10 * 10 * 1e-7 / 2, rel=1e-5)


@pytest.mark.parametrize("layer", ["L1Loss", "WingLoss"])
def test_the_slope_at_0_is_0(layer):
    (gradient,) = run(net_of(layer, {"x": X, "t": X}), "x")
    assert not gradient.any()


# ----------------------------------------------------------------------------------------------------- regions


def test_in_each_image_both_kinds_count_alike():
    """Whatever there is of both, each has half of what a score of 0 costs, as in HED."""
    target = np.zeros((2, 1, 4, 4))
    target[0, 0, 0, 0] = target[1, 0, :2] = 1
    net = net_of("BalancedSigmoidCrossEntropyLoss", {"scores": np.zeros((2, 1, 4, 4)), "target": target})
    (gradient,) = run(net, "scores")
    for image, slopes in zip(target, gradient):
        assert slopes[image == 1].sum() == pytest.approx(-slopes[image == 0].sum(), rel=1e-5)


def test_other_targets_are_left_out_of_the_gradient_too():
    target = np.array([[0.0, 1, 1], [0.5, 255, -1], [1, 0, 0], [0, 0, 0]])
    (gradient,) = run(net_of("BalancedSigmoidCrossEntropyLoss", {"scores": X, "target": target}), "scores")
    assert not gradient[1].any()
    assert gradient[0].any()


def test_a_target_that_is_nan_is_an_error_and_its_remedy_helps():
    target = RNG.randint(0, 2, (4, 3)).astype(float)
    target[2, 1] = np.nan
    with refused(DataError, "target nan at index (2, 1)", remedy="255", layer="BalancedSigmoidCrossEntropyLoss"):
        loss("BalancedSigmoidCrossEntropyLoss", {"scores": X, "target": target})
    target[2, 1] = 255
    assert np.isfinite(loss("BalancedSigmoidCrossEntropyLoss", {"scores": X, "target": target}))


def test_a_target_of_weight_0_may_be_nan():
    target = RNG.randint(0, 2, (4, 3)).astype(float)
    known = loss("BalancedSigmoidCrossEntropyLoss", {"scores": X, "target": target, "w": [1, 1, 0, 1]})
    target[2, 1] = np.nan
    assert loss("BalancedSigmoidCrossEntropyLoss", {"scores": X, "target": target, "w": [1, 1, 0, 1]}) == known


@pytest.mark.parametrize(
    ("target", "missing", "tells"),
    [
        ([[0, 255, 255]], "no 1", True),
        ([[0, 1.0001, 0]], "no 1", True),
        ([[0, 0, 255], [1, 0, 255]], "", False),
        ([[1, 1, 0.5]], "no 0", True),
        ([[0, 0, 0]], "", False),
    ],
)
def test_edges_that_are_not_1_are_told_once(target, missing, tells, caplog):
    net = net_of("BalancedSigmoidCrossEntropyLoss", {"scores": X[: len(target)], "target": target})
    for _ in range(2):
        net.forward()
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert [missing in text for text in told] == [True] * tells
    assert (float(net.blobs["loss"].data) == 0) == (tells or target == [[0, 0, 0]])


@pytest.mark.parametrize("over", ["batch", "sample", "class"])
def test_dice_of_labels_is_that_of_their_one_hot(over):
    hot = np.moveaxis(np.eye(3)[LABELS[:, 0]], -1, 1)
    nets = [
        net_of("DiceLoss", {"scores": SCORES, "target": LABELS}, over=over),
        net_of("DiceLoss", {"scores": SCORES, "target": hot}, over=over, activation="softmax"),
    ]
    gradients = [run(net, "scores")[0] for net in nets]
    assert float(nets[0].blobs["loss"].data) == pytest.approx(float(nets[1].blobs["loss"].data), rel=1e-6)
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-8)


def test_tversky_of_halves_is_dice_and_of_ones_jaccard():
    inputs = {"scores": SCORES, "target": PART}
    tversky = {alpha: loss("DiceLoss", inputs, type="tversky", alpha=alpha, beta=alpha) for alpha in (0.5, 1.0)}
    assert tversky[0.5] == pytest.approx(loss("DiceLoss", inputs), rel=1e-6)
    assert tversky[1.0] == pytest.approx(loss("DiceLoss", inputs, type="jaccard"), rel=1e-6)


def test_an_axis_of_classes_behind_another():
    inputs = {"scores": SCORES, "target": PART}
    swapped = {name: np.moveaxis(array, 1, 3) for name, array in inputs.items()}
    for over in ("batch", "sample", "class"):
        assert loss("DiceLoss", swapped, over=over, axis=3) == pytest.approx(
            loss("DiceLoss", inputs, over=over), rel=1e-6
        )
    weights = np.array([1.0, 2.0, 0.5, 0])
    for over in ("batch", "sample"):
        found = [
            run(net_of("DiceLoss", {**each, "w": weights}, over=over, axis=axis), "scores", "w")
            for each, axis in ((inputs, 1), (swapped, 3))
        ]
        np.testing.assert_allclose(np.moveaxis(found[1][0], 3, 1), found[0][0], rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (np.full((4, 1, 2, 2), 3), "label 3"),
        (np.full((4, 1, 2, 2), 0.5), "label 0.5"),
        (np.full((4, 3, 2, 2), 255), "target 255"),
        (np.full((4, 3, 2, 2), np.nan), "target nan"),
    ],
)
def test_bad_targets_of_dice_are_errors_and_the_remedy_helps(target, problem):
    inputs = {"scores": SCORES, "target": target}
    with refused(DataError, problem, layer="DiceLoss"):
        loss("DiceLoss", inputs)
    value = target.flat[0]
    if value in (3, 255):
        with refused(DataError, remedy="'ignore_label'"):
            loss("DiceLoss", inputs)
        assert loss("DiceLoss", inputs, ignore_label=int(value)) == 0
    elif np.isnan(value):
        for weights in (np.zeros(target.shape), np.zeros(4)):
            for over in ("batch", "sample", "class"):
                assert loss("DiceLoss", {**inputs, "w": weights}, over=over) == 0


@pytest.mark.parametrize("kind", ["dice", "tversky", "jaccard"])
def test_many_small_probabilities_without_a_target_are_a_region_that_is_missed(kind):
    """A sum of them is far above epsilon, though each is beside 1 as good as 0 in float32."""
    scores = np.full((1, 1, 200, 200), -18.0)
    found = loss("DiceLoss", {"scores": scores, "target": np.zeros_like(scores)}, type=kind)
    total = scores.size / (1 + np.exp(18.0)) * (0.5 if kind == "tversky" else 1)
    assert found == pytest.approx(1 - 1e-6 / (total + 1e-6), rel=1e-4)


@pytest.mark.parametrize("bad", [-0.5, 3, np.nan])
@pytest.mark.parametrize("target", [PART, LABELS])
def test_scores_that_are_no_probabilities_are_an_error_and_its_remedy_helps(target, bad):
    scores = PART.copy()
    scores[2, 1, 0, 1] = bad
    inputs = {"scores": scores, "target": target}
    with refused(DataError, f"score {bad:g} at index (2, 1, 0, 1)", remedy="'sigmoid'", option="activation"):
        loss("DiceLoss", inputs, activation="none")
    assert np.isfinite(loss("DiceLoss", {**inputs, "w": [1, 1, 0, 1]}, activation="none"))
    if not np.isnan(bad):
        assert np.isfinite(loss("DiceLoss", inputs, activation="sigmoid"))


def test_an_axis_of_samples_is_an_error():
    with refused(ConfigError, "axis 0", option="axis", layer="DiceLoss"):
        loss("DiceLoss", {"scores": SCORES, "target": PART}, axis=0)


# --------------------------------------------------------------------------------------------------- a teacher


def test_which_the_third_bottom_of_distillation_is():
    student, teacher = X, T
    ignored = np.array([0, 255, 2, 255])
    three = {"student": student, "teacher": teacher, "more": ignored}
    with refused(ConfigError, "bottom 3", remedy="'bottoms': ['label']"):
        net_of("KnowledgeDistillation", three)
    some = loss("KnowledgeDistillation", {"student": student[::2], "teacher": teacher[::2]})
    assert loss("KnowledgeDistillation", three, ignore_label=255) == pytest.approx(some, rel=1e-5)
    weights = {**three, "more": np.array([1.0, 0, 1, 0])}
    assert loss("KnowledgeDistillation", weights, bottoms=["sample_weight"]) == pytest.approx(some, rel=1e-5)


def test_an_ignore_label_without_labels_is_an_error_and_its_remedy_helps():
    two = {"student": X, "teacher": T}
    for inputs, options in ((two, {}), ({**two, "w": np.ones(4)}, {"bottoms": ["sample_weight"]})):
        with refused(ConfigError, "no bottom with labels", remedy="bottom 3", option="ignore_label"):
            net_of("KnowledgeDistillation", inputs, ignore_label=255, **options)
    assert loss("KnowledgeDistillation", {**two, "label": np.zeros(4)}, ignore_label=255) == loss(
        "KnowledgeDistillation", two
    )


@pytest.mark.parametrize("options", [{}, {"ignore_label": 9}])
def test_labels_without_effect_are_told(options, caplog):
    net_of("KnowledgeDistillation", {"student": X, "teacher": T, "label": np.zeros(4)}, bottoms=["label"], **options)
    assert ["have no effect" in message for message in caplog.messages] == [True] * (not options)


def test_a_class_that_the_teacher_rules_out_adds_nothing():
    for student in (X, np.where([False, False, True], -np.inf, X)):
        net = net_of(
            "KnowledgeDistillation", {"student": student, "teacher": np.where([False, False, True], -np.inf, T)}
        )
        (gradient,) = run(net, "student")
        p = np.exp(student) / np.exp(student).sum(axis=1, keepdims=True)
        q = np.exp(T[:, :2]) / np.exp(T[:, :2]).sum(axis=1, keepdims=True)
        expected = (q * (np.log(q) - np.log(p[:, :2]))).sum(axis=1).mean()
        assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(gradient, (p - np.pad(q, ((0, 0), (0, 1)))) / 4, atol=1e-6)


def test_a_teacher_of_another_shape_is_an_error():
    with refused(ConfigError, "teacher", "(4, 2)", remedy="(4, 3)", layer="KnowledgeDistillation"):
        loss("KnowledgeDistillation", {"student": X, "teacher": X[:, :2]})


# ------------------------------------------------------------------------------------------- pos_weight and keep


def test_one_pos_weight_per_label_goes_with_axis_1():
    weights = [0.5, 2.0, 3.0]
    inputs = {"scores": SCORES, "target": PART}
    whole = loss("WeightedSigmoidCrossEntropyLoss", inputs, pos_weight=weights)
    parts = [
        loss("WeightedSigmoidCrossEntropyLoss", {n: a[:, i : i + 1] for n, a in inputs.items()}, pos_weight=weight)
        for i, weight in enumerate(weights)
    ]
    assert whole == pytest.approx(sum(parts), rel=1e-5)


def test_pos_weight_of_1_changes_nothing_and_a_file_may_have_it(tmp_path):
    np.save(tmp_path / "weights.npy", np.array([0.5, 2.0, 3.0]))
    inputs = {"scores": SCORES, "target": PART}
    name = "WeightedSigmoidCrossEntropyLoss"
    assert loss(name, inputs, pos_weight=1.0) == pytest.approx(loss(name, inputs), rel=1e-6)
    of_file = loss(name, inputs, pos_weight=str(tmp_path / "weights.npy"))
    assert of_file == loss(name, inputs, pos_weight=[0.5, 2.0, 3.0])


def test_a_wrong_number_of_pos_weights_is_an_error():
    inputs = {"scores": SCORES, "target": PART}
    with refused(ConfigError, "2 numbers", "3 labels", option="pos_weight"):
        loss("WeightedSigmoidCrossEntropyLoss", inputs, pos_weight=[1.0, 2.0])


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ({"top_k": 2}, [1, 3]),
        ({"top_k": 9}, [0, 1, 3, 4]),
        ({"fraction": 0.5}, [1, 3]),
        ({"fraction": 0.51}, [0, 1, 3]),
        ({"fraction": 1e-12}, [1]),
        ({"threshold": 1.0}, [1, 3]),
        ({"threshold": 9.0}, []),
        ({"threshold": 9.0, "min_kept": 3}, [0, 1, 3]),
    ],
)
def test_which_are_hard(keep, kept):
    """Of five samples the third is ignored; of the first and the fifth, which are equal, the first comes first."""
    scores = np.array([[0.0, 0], [3, 0], [9, 0], [0, 2], [0, 0]])
    labels = np.array([0, 1, 255, 0, 0])
    net = net_of("WeightedSoftmaxLoss", {"scores": scores, "label": labels}, ignore_label=255, keep=keep)
    for _ in range(2):
        (gradient,) = run(net, "scores")
        assert np.flatnonzero(gradient.any(axis=1)).tolist() == kept
    each = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(5), np.minimum(labels, 1)]
    expected = each[kept].mean() if kept else 0
    assert float(net.blobs["loss"].data) == pytest.approx(expected, rel=1e-6)


def test_hard_examples_are_chosen_before_weights():
    scores = np.array([[0.0, 0], [3, 0], [0, 2]])
    inputs = {"scores": scores, "label": [0, 1, 0], "sample_weight": [9.0, 1, 1]}
    (gradient,) = run(net_of("WeightedSoftmaxLoss", inputs, keep={"top_k": 1}), "scores")
    assert np.flatnonzero(gradient.any(axis=1)).tolist() == [1]


def test_a_value_that_is_nan_and_has_weight_0_takes_no_place():
    target, weights = np.zeros((3, 2)), np.array([[1.0, 1], [0, 1], [1, 1]])
    target[1, 0] = np.nan
    inputs = {"x": [[1, 2], [3, 4], [5, 6]], "t": target, "w": weights}
    (gradient,) = run(net_of("WeightedEuclideanLoss", inputs, keep={"top_k": 2}), "x")
    assert np.flatnonzero(gradient).tolist() == [4, 5]


def test_a_class_of_weight_0_takes_no_place_where_its_scores_are_nan():
    inputs = {"scores": [[np.nan, 0], [0, 1], [0, 2.0]], "label": [0, 1, 1]}
    options = {"class_weights": [0, 1], "keep": {"top_k": 1}}
    (gradient,) = run(net_of("WeightedSoftmaxLoss", inputs, **options), "scores")
    assert np.flatnonzero(gradient.any(axis=1)).tolist() == [1]


def test_a_score_that_is_nan_is_not_left_out_as_easy():
    scores = np.array([[0.0, 0], [np.nan, 0], [0, 2]])
    assert np.isnan(loss("WeightedSoftmaxLoss", {"scores": scores, "label": [0, 1, 0]}, keep={"top_k": 1}))


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ({}, "exactly one"),
        ({"top_k": 1, "fraction": 0.5}, "exactly one"),
        ({"top_k": 0}, "top_k"),
        ({"fraction": 1.5}, "fraction"),
    ],
)
def test_a_keep_that_is_wrong_is_an_error(keep, problem):
    with refused(ConfigError, problem, layer="FocalLoss"):
        net_of("FocalLoss", {"scores": X, "label": [0, 1, 0, 1]}, keep=keep)
