import numpy as np
import pytest
from caffe.io import array_to_blobproto
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers import ConfigError, DataError
from caffe_pylayers.losses import blocks
from caffe_pylayers.losses.infogain import infogain_loss, infogain_of
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses import class_cases, references
from tests.refusals import refused

RNG = np.random.RandomState(0)
SCORES, LABEL, H = RNG.randn(5, 4, 3), RNG.randint(0, 4, (5, 3)), RNG.randn(4, 4)
INPUTS = {"scores": SCORES, "label": LABEL, "H": H}


def net_of(inputs, tops=("loss",), loss_weight=1, **options):
    loss_weight = [loss_weight, 0][: len(tops)]
    return build([python_layer("WeightedInfogainLoss", list(inputs), tops, options, loss_weight)], inputs)


def stock(inputs, params="", loss_weight=1):
    """Stock InfogainLoss aborts where `force_backward` asks for the gradient of H: here a learnable factor of 1 does."""
    inputs = {("x" if name == "scores" else name): value for name, value in inputs.items()}
    layers = [
        layer_text("Scale", ["x"], ["scores"], "scale_param { axis: 0 num_axes: 0 }"),
        layer_text("InfogainLoss", ["scores", *list(inputs)[1:]], ["loss"], params, loss_weight),
    ]
    return build(layers, inputs, force_backward=False)


def assert_equal(net, twin):
    (ours,), (theirs,) = run(net, "scores"), run(twin, "scores")
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert float(net.blobs["loss"].data) == pytest.approx(float(twin.blobs["loss"].data), rel=1e-5)


@pytest.mark.parametrize("kind", ["diagonal", "full"])
@pytest.mark.parametrize("inner", [(), (2,)])
@pytest.mark.parametrize("height", [46, 60, 300, 1e4, -1e4])
def test_extreme_scores_equal_stock(height, inner, kind):
    """Also where stock cuts p at 1e-20."""
    scores = np.zeros((4, 3, *inner))
    scores[0, 1], scores[1, 1], scores[2], scores[3, 0], scores[3, 1] = height, -height, height, height, -height
    matrix = np.diag([0.5, 2, 3]) if kind == "diagonal" else H[:3, :3]
    label = np.ones((4, *inner), int)
    label[0] = 0
    inputs = {"scores": scores, "label": label, "H": matrix}
    net = net_of(inputs)
    assert_equal(net, stock(inputs))
    assert np.isfinite(net.blobs["scores"].diff).all()


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 7)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_equals_the_plain_loop_in_blocks_of_any_size(outer, num_classes, inner, diagonal, seed):
    rng = np.random.RandomState(seed)
    scores = rng.randn(outer, num_classes, *(() if inner is None else (inner,))) * 3
    scores.flat[0] -= rng.choice([0, 100])
    labels = rng.randint(0, num_classes, scores.shape[:1] + scores.shape[2:])
    matrix = np.diag(rng.randn(num_classes)) if diagonal else rng.randn(num_classes, num_classes)
    infogain = infogain_of(matrix)
    factor, gradient, prob = rng.uniform(0, 2, labels.shape), np.empty_like(scores), np.empty_like(scores)
    whole, blocks.BLOCK = blocks.BLOCK, rng.randint(1, 2 * scores.size + 1)
    try:
        values = infogain_loss(scores, labels, infogain, factor, gradient, prob)
    finally:
        blocks.BLOCK = whole
    expected = class_cases.infogain(scores, labels, matrix)[0].reshape(labels.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-11)
    rows = np.moveaxis(matrix[labels], -1, 1)
    slopes = (prob * rows.sum(axis=1)[:, None] - rows) * factor[:, None]
    np.testing.assert_allclose(gradient, slopes, atol=1e-12)
    assert (infogain.diagonal is not None) == (diagonal or num_classes == 1)


def test_gradient_equals_finite_differences():
    gradient, infogain = np.empty_like(SCORES), infogain_of(H)
    infogain_loss(SCORES, LABEL, infogain, 2.0, gradient)
    slopes = references.numeric_gradient(lambda x: 2 * infogain_loss(x, LABEL, infogain).sum(), SCORES)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7)


@pytest.mark.parametrize("place", [(0, 1), (3, 0), (2, 1)])
@pytest.mark.parametrize("value", [1e-30, -1e-30, np.nan])
def test_one_entry_off_the_diagonal_makes_it_full(place, value):
    matrix = np.eye(4)
    assert infogain_of(matrix).diagonal is not None
    matrix[place] = value
    assert infogain_of(matrix).diagonal is None


def test_smoothed_class_weights_are_soft_labels():
    """What ComputeH gives: H = diag(w) ((1-e) I + e/K 11')."""
    matrix = np.diag([0.5, 1, 2, 3]) @ (0.9 * np.eye(4) + 0.1 / 4)
    soft = {"scores": SCORES, "distribution": np.moveaxis(matrix[LABEL], -1, 1)}
    other = build([python_layer("SoftCrossEntropyLoss", list(soft), ["loss"], {}, 1)], soft)
    assert_equal(net_of({**INPUTS, "H": matrix}), other)


@pytest.mark.parametrize("kind", ["npy", "binaryproto"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("matrix", [H, np.diag([1, 2, 3, 4])], ids=["full", "diagonal"])
def test_source_takes_the_place_of_the_bottom(tmp_path, kind, weighted, matrix):
    path = str(tmp_path / f"H.{kind}")
    if kind == "npy":
        np.save(path, matrix)
    else:
        (tmp_path / "H.binaryproto").write_bytes(
            array_to_blobproto(matrix.reshape(1, 1, 4, 4).astype(np.float32)).SerializeToString()
        )
    weights = {"sample_weight": RNG.uniform(0.5, 2, 5)} if weighted else {}
    inputs = {"scores": SCORES, "label": LABEL}
    net, other = net_of({**inputs, **weights}, source=path), net_of({**inputs, "H": matrix, **weights})
    for _ in range(2):
        assert_equal(net, other)
    if kind == "binaryproto" and not weighted:
        params = f'infogain_loss_param {{ source: "{path}" }}'
        assert_equal(net, build([layer_text("InfogainLoss", list(inputs), ["loss"], params)], inputs))


def test_h_may_change_from_batch_to_batch():
    net = net_of(INPUTS)
    for matrix in (H, np.eye(4), 2 * H):
        net.blobs["H"].data[...] = matrix
        assert_equal(net, net_of({**INPUTS, "H": matrix}))


def test_a_weight_of_k_is_k_copies():
    copies = np.array([2, 0, 3, 1, 1])
    copied = {"scores": np.repeat(SCORES, copies, axis=0), "label": np.repeat(LABEL, copies, axis=0), "H": H}
    net, of_copies = net_of({**INPUTS, "sample_weight": copies}), net_of(copied)
    (one,), (several,) = run(net, "scores"), run(of_copies, "scores")
    assert float(net.blobs["loss"].data) == pytest.approx(float(of_copies.blobs["loss"].data), rel=1e-5)
    groups = np.repeat(np.arange(5), copies)
    for sample in range(5):
        np.testing.assert_allclose(one[sample], several[groups == sample].sum(axis=0), rtol=1e-4, atol=1e-6)


def test_prob_is_the_softmax_of_stock():
    for matrix in (H, np.eye(4)):
        inputs = {**INPUTS, "H": matrix}
        layers = [
            python_layer("WeightedInfogainLoss", list(inputs), ["loss", "prob"], {}, [1, 0]),
            layer_text("Softmax", ["scores"], ["expected"]),
        ]
        net = build(layers, inputs)
        np.testing.assert_array_equal(run(net, "scores"), run(net_of(inputs), "scores"))
        np.testing.assert_allclose(net.blobs["prob"].data, net.blobs["expected"].data, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("matrix", [H, np.eye(4)], ids=["full", "diagonal"])
def test_ignored_positions_may_hold_nan(matrix):
    scores, label = SCORES.copy(), LABEL.copy()
    scores[1], label[1] = np.nan, 9
    net = net_of({"scores": scores, "label": label, "H": matrix}, ignore_label=9)
    (gradient,) = run(net, "scores")
    assert np.isfinite(net.blobs["loss"].data)
    assert np.isfinite(gradient).all()
    assert not gradient[1].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(2, 2), (2, 3)])
def test_an_h_that_is_not_finite_is_an_error_that_says_where(bad, place):
    for matrix in (H.copy(), np.eye(4)):
        matrix[place] = bad
        with refused(DataError, f"H {bad} at index {place}", layer="WeightedInfogainLoss"):
            net_of({**INPUTS, "H": matrix}).forward()


def test_an_h_of_another_size_is_an_error(tmp_path):
    with refused(ConfigError, "H has shape (3, 3)", remedy="4 x 4"):
        net_of({**INPUTS, "H": np.eye(3)}).forward()
    path = str(tmp_path / "H.npy")
    np.save(path, np.eye(3))
    with refused(DataError, remedy="4 x 4", source="H.npy"):
        net_of({"scores": SCORES, "label": LABEL}, source=path)


@pytest.mark.parametrize("given_bottoms", [["scores", "label"], ["scores", "label", "H", "weight", "more"]])
def test_without_a_source_h_is_a_bottom(given_bottoms):
    inputs = dict.fromkeys(given_bottoms, SCORES)
    with refused(ConfigError, "3 to 4: scores, label, H, [sample_weight]"):
        net_of(inputs)


def test_with_a_source_h_is_no_bottom(tmp_path):
    path = str(tmp_path / "H.npy")
    np.save(path, H)
    inputs = dict.fromkeys(("scores", "label", "H", "weight"), SCORES)
    with refused(ConfigError, "4 bottoms", "2 to 3: scores, label, [sample_weight]"):
        net_of(inputs, source=path)
