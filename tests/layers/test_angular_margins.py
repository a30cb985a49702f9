"""MarginInnerProduct and LargeMarginInnerProduct: the schedule of lambda, what forks have, and weights of theirs.

tests/features/test_every_feature.py shows values and gradients, tests/layers/test_resume.py that a restored run goes on.
"""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_pylayers import ConfigError, DataError
from tests.caffe_nets import build, layer_text, python_layer, run
from tests.losses.embedding_cases import psi, unit, vectors_of
from tests.refusals import refused

RNG = np.random.RandomState(0)
X, LABELS = RNG.randn(6, 5), np.array([0, 1, 2, 3, 0, 1])
LAYERS = ["MarginInnerProduct", "LargeMarginInnerProduct"]
every_layer = pytest.mark.parametrize("layer", LAYERS)


def net_of(layer, phase=caffe.TRAIN, x=X, labels=LABELS, **options):
    given = {"num_output": 4, "type": "QUADRUPLE", **options}
    net = build([python_layer(layer, ["x", "label"], ["scores", "lambda"], given)], {"x": x, "label": labels}, phase)
    net.params["scores_layer"][0].data[...] = vectors_of(given["num_output"], x.shape[1])
    return net


def lambdas(net, passes):
    found = []
    for _ in range(passes):
        net.forward()
        found.append(float(net.blobs["lambda"].data[0]))
    return found


@pytest.mark.parametrize(
    ("layer", "options", "numbers"),
    [
        ("MarginInnerProduct", {}, (1000, 0.12, 1, 5, 0)),
        ("MarginInnerProduct", {"lambda_min": 800, "iteration": 1}, (1000, 0.12, 1, 800, 1)),
        ("LargeMarginInnerProduct", {}, (1000, 0.000025, 35, 0, 0)),
        ("LargeMarginInnerProduct", {"base": 3, "gamma": 2, "power": 0.5, "iteration": 10}, (3, 2, 0.5, 0, 10)),
    ],
)
def test_lambda_falls(layer, options, numbers):
    base, gamma, power, least, start = numbers
    expected = [max(base * (1 + gamma * (start + it)) ** -power, least) for it in range(1, 5)]
    np.testing.assert_allclose(lambdas(net_of(layer, **options), 4), expected, rtol=1e-6)
    of_two = lambdas(net_of(layer, iter_size=2, **options), 8)
    np.testing.assert_allclose(of_two[::2], expected, rtol=1e-6)
    assert of_two[::2] == of_two[1::2]


@every_layer
def test_a_test_is_without_margin_and_does_not_move_the_schedule(layer):
    net = net_of(layer, caffe.TEST, lambda_min=3, labels=np.full(6, 99))
    assert lambdas(net, 3) == [3] * 3  # where the schedule ends
    w = vectors_of(4, 5)
    expected = X @ (w.T if layer == "LargeMarginInnerProduct" else np.transpose([unit(each) for each in w]))
    np.testing.assert_allclose(net.blobs["scores"].data, expected, rtol=1e-5)


@every_layer
def test_a_test_reads_the_iteration_that_training_has_come_to(layer):
    train, test = (net_of(layer, phase, resume=True, gamma=0.5) for phase in (caffe.TRAIN, caffe.TEST))
    first, second = lambdas(train, 2)
    test.share_with(train)
    assert lambdas(test, 2) == lambdas(test, 1) * 2 == lambdas(train, 1) * 2
    assert first > second > test.blobs["lambda"].data


@every_layer
def test_without_resume_a_warning_says_what_a_restart_does(layer, caplog):
    for options, phase, count in (
        ({}, caffe.TRAIN, 1),
        ({"resume": True}, caffe.TRAIN, 0),
        ({"gamma": 0}, caffe.TRAIN, 0),
        ({"type": "SINGLE"}, caffe.TRAIN, 0),
        ({}, caffe.TEST, 0),
    ):
        caplog.clear()
        net_of(layer, phase, **options)
        assert len([message for message in caplog.messages if "will repeat the lambdas" in message]) == count


@every_layer
def test_a_margin_that_nobody_asked_for_is_told(layer, caplog):
    build([python_layer(layer, ["x", "label"], ["scores"], {"num_output": 4})], {"x": X, "label": LABELS})
    assert any("there is no margin" in message and "'QUADRUPLE'" in message for message in caplog.messages)
    caplog.clear()
    net_of(layer, type="SINGLE")
    net_of(layer)
    assert not any("there is no margin" in message for message in caplog.messages)


def gradients_of_sphereface(slopes, mixed, m):
    """By x and by the vectors, as its own layer has them for unit vectors: a loop over samples and classes."""
    w = np.array([unit(each) for each in vectors_of(4, 5)])
    by_x = np.zeros(X.shape)
    for i, k in np.ndindex(*slopes.shape):
        if k != LABELS[i]:
            by_x[i] += slopes[i, k] * w[k]
            continue
        length = np.linalg.norm(X[i])
        c, step = X[i] @ w[k] / length, 1e-6
        slope = (psi(c + step, m) - psi(c - step, m)) / (2 * step)
        of_w, of_x = slope, (psi(c, m) - c * slope) / length
        norm = np.hypot(of_w, of_x)
        by_x[i] += slopes[i, k] * ((of_w * w[k] + of_x * X[i]) / norm + mixed * w[k]) / (1 + mixed)
    return by_x, slopes.T @ X


@pytest.mark.parametrize("type, m", [("SINGLE", 1), ("DOUBLE", 2), ("TRIPLE", 3), ("QUADRUPLE", 4)])
@pytest.mark.parametrize("mixed", [0.0, 2.5])
def test_the_gradient_of_the_fork(type, m, mixed):
    options = {"num_output": 4, "type": type, "gamma": 0, "base": mixed, "lambda_min": 0}
    slopes = np.random.RandomState(1).randn(6, 4)
    found = {}
    for gradient in ("fork", "true", True):
        head = python_layer("MarginInnerProduct", ["x", "label"], ["scores"], {**options, "gradient": gradient})
        layers = [
            head,
            layer_text("Eltwise", ["scores", "slopes"], ["product"], "eltwise_param { operation: PROD }"),
            layer_text("Reduction", ["product"], ["loss"], loss_weight=1),
        ]
        net = build(layers, {"x": X, "label": LABELS, "slopes": slopes})
        (blob,) = net.params["scores_layer"]
        blob.data[...] = vectors_of(4, 5)
        (by_x,) = run(net, "x")
        found[gradient] = by_x, blob.diff.copy(), net.blobs["scores"].data.copy()
        np.testing.assert_allclose(blob.data, vectors_of(4, 5), rtol=1e-6)  # the fork writes unit vectors into it
    for one, other in zip(found["fork"], gradients_of_sphereface(slopes, mixed, m)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["fork"][2], found["true"][2])
    assert not np.allclose(found["fork"][1], found["true"][1])
    np.testing.assert_array_equal(found[True][0], found["true"][0])


#: A layer of a fork and the field of LayerParameter that its parameters are in, which stock Caffe does not know.
OF_FORKS = [
    ("MarginInnerProduct", {"num_output": 3, "type": "QUADRUPLE"}, 149),
    ("LargeMarginInnerProduct", {"num_output": 3, "type": "DOUBLE"}, 147),
    ("NormalizedInnerProduct", {"num_output": 3}, 150),
    ("CenterLoss", {"num_output": 3}, 147),
    ("MarginSoftmaxLoss", {"num_output": 3}, 201),
]


@pytest.mark.parametrize("layer, options, field", OF_FORKS)
def test_weights_of_forks_are_loaded_by_name_and_ours_are_read_back(layer, options, field, tmp_path):
    file = caffe_pb2.NetParameter()
    head = file.layer.add(name="top_layer", type=layer)
    values = np.arange(12.0)
    head.blobs.add(data=values).shape.dim.extend((3, 4))
    written = head.SerializeToString()
    # The fork's own parameters: a message with num_output 3.
    tag = (field << 3) | 2
    written += bytes([tag & 0x7F | 0x80, tag >> 7, 2, 8, 3])
    file = caffe_pb2.NetParameter()
    file.layer.add().ParseFromString(written)
    (tmp_path / "fork.caffemodel").write_bytes(file.SerializeToString())
    assert bytes([tag & 0x7F | 0x80, tag >> 7, 2, 8, 3]) in (tmp_path / "fork.caffemodel").read_bytes()

    inputs = {"x": (2, 4), "label": (2,)} if layer != "NormalizedInnerProduct" else {"x": (2, 4)}
    loss_weight = 1 if layer.endswith("Loss") else None
    inputs = {name: np.zeros(shape) for name, shape in inputs.items()}
    net = build([python_layer(layer, list(inputs), ["top"], options, loss_weight)], inputs)
    net.copy_from(str(tmp_path / "fork.caffemodel"))
    np.testing.assert_array_equal(net.params["top_layer"][0].data, values.reshape(3, 4))
    net.params["top_layer"][0].data[...] *= 2
    net.save(str(tmp_path / "ours.caffemodel"))
    back = caffe_pb2.NetParameter()
    back.ParseFromString((tmp_path / "ours.caffemodel").read_bytes())
    (blob,) = next(each for each in back.layer if each.name == "top_layer").blobs
    assert list(blob.shape.dim) == [3, 4]
    np.testing.assert_array_equal(blob.data, 2 * values)


@pytest.mark.parametrize("layer", [*LAYERS, "NormalizedInnerProduct"])
def test_vectors_and_samples_of_0_one_class_and_large_numbers_are_finite(layer):
    x = np.array([[0, 0, 0], [1, 2, 3], [-1, -2, -3], [1e15, 0, -1e15], [1e-15, 0, 0]])
    inputs = {"x": x} if layer == "NormalizedInnerProduct" else {"x": x, "label": np.zeros(5)}
    options = {"num_output": 1} if len(inputs) == 1 else {"num_output": 1, "type": "TRIPLE", "base": 0, "lambda_min": 0}
    net = build([python_layer(layer, list(inputs), ["top"], options)], inputs)
    (blob,) = net.params["top_layer"]
    for vector in ([1, 2, 3], [0, 0, 0], [1e-15, 0, 0]):
        blob.data[...], blob.diff[...] = vector, 0
        net.forward()
        net.blobs["top"].diff[...] = 1
        net.backward()
        found = [net.blobs["top"].data, net.blobs["x"].diff, blob.diff]
        assert all(np.isfinite(each).all() for each in found)
        if vector == [0, 0, 0] and layer == "NormalizedInnerProduct":
            assert not net.blobs["top"].data.any()


@pytest.mark.parametrize(
    ("layer", "inputs", "options", "error", "words"),
    [
        ("MarginInnerProduct", {"x": X, "label": LABELS[:4]}, {}, ConfigError, ("label", "(4,)", "(6, 5)")),
        ("MarginInnerProduct", {"x": X, "label": LABELS + 1}, {}, DataError, ("label 4", "sample 3", "0..3")),
        ("MarginInnerProduct", {"x": X, "label": LABELS / 2}, {}, DataError, ("label 0.5", "sample 1")),
        ("CosinAddm", {"x": X, "label": LABELS + 2}, None, DataError, ("label 5", "sample 3", "0..4")),
        ("CosinAddm", {"x": X, "label": LABELS[:3]}, None, ConfigError, ("label", "(3,)", "cos (6, 5)")),
        ("CosinAddm", {"x": X[:, :, None, None] * np.ones((1, 2)), "label": LABELS}, None, ConfigError, ("cos", "(6, 5, 1, 2)")),
        ("CosinAddm", {"x": X[:, 0], "label": LABELS}, None, ConfigError, ("cos", "(6,)")),
    ],
    ids=str,
)  # fmt: skip
def test_bottoms_that_do_not_fit(layer, inputs, options, error, words):
    given = {} if options is None else {"num_output": 4, "type": "DOUBLE", **options}
    with refused(error, *words, layer=layer):
        build([python_layer(layer, list(inputs), ["top"], given)], inputs).forward()


@pytest.mark.parametrize("layer", [*LAYERS, "CosinAddm"])
def test_behind_an_error_nothing_of_an_earlier_batch_is_left(layer):
    options = {} if layer == "CosinAddm" else {"num_output": 5, "type": "DOUBLE"}
    net = build([python_layer(layer, ["x", "label"], ["top"], options)], {"x": X / 9, "label": LABELS})
    run(net)
    net.blobs["label"].data[0] = 9
    for call in (net.forward, net.backward):
        with refused(DataError, "label 9", layer=layer):
            call()
    net.blobs["label"].data[0] = 1
    net.backward()


@every_layer
def test_an_x_whose_size_changes_is_an_error(layer):
    net = net_of(layer)
    net.blobs["x"].reshape(6, 4)
    with refused(ConfigError, "4 numbers", "5", layer=layer):
        net.forward()


@pytest.mark.parametrize("num_output", [10**9, 2**40])
def test_more_vectors_than_a_blob_holds(num_output):
    with refused(ConfigError, f"{num_output} vectors of 5 numbers", remedy="num_output", option="num_output"):
        build([python_layer("NormalizedInnerProduct", ["x"], ["top"], {"num_output": num_output})], {"x": X})


def test_vectors_of_0_are_refused_where_only_directions_count():
    for layer in ("NormalizedInnerProduct", "MarginSoftmaxLoss", *LAYERS):
        for filler in ({"type": "constant"}, {}):
            inputs = {"x": X} if layer == "NormalizedInnerProduct" else {"x": X, "label": LABELS}
            options = {"num_output": 4, "weight_filler": filler}
            with refused(ConfigError, "'weight_filler'", remedy="'xavier'", layer=layer, option="weight_filler"):
                build([python_layer(layer, list(inputs), ["top"], options)], inputs)


@every_layer
def test_its_place_in_the_blob_is_watched(layer):
    net = net_of(layer, resume=True)
    net.forward()
    net.params["scores_layer"][1].data[1] = 0.5
    with refused(ConfigError, "the solver has changed", remedy="lr_mult: 0", layer=layer):
        net.forward()


def test_a_layer_of_xavier_begins_as_caffes_own():
    stock = layer_text(
        "InnerProduct",
        ["x"],
        ["top"],
        'inner_product_param { num_output: 4 bias_term: false weight_filler { type: "xavier" } }',
    )
    found = []
    for layer in (stock, python_layer("NormalizedInnerProduct", ["x"], ["top"], {"num_output": 4})):
        caffe.set_random_seed(3)
        found.append(build([layer], {"x": X}).params["top_layer"][0].data.copy())
    np.testing.assert_array_equal(*found)
