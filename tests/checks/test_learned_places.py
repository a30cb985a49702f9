"""What `check` says of centres, of blobs behind the first, and of labels beyond the classes that an option names."""

import caffe
import numpy as np
import pytest

from caffe_pylayers import ConfigError
from caffe_pylayers.commands.check.checking import check_files
from tests.caffe_nets import layer_text, net_text, python_layer, write
from tests.checks.good_nets import write_good
from tests.refusals import refused

INPUTS = {"x": (4, 3), "label": (4,)}
#: The same in a net that is trained: one of Input layers alone is a deploy net.
DUMMY = layer_text("DummyData", [], ["x", "label"], "dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 } }")


@pytest.fixture
def findings(tmp_path, monkeypatch):
    """A function: layers and the fields of a solver, or none -> what `check` finds."""
    monkeypatch.chdir(tmp_path)

    def check(layers, solver=None):
        write(net_text([DUMMY, *layers], {}, False), tmp_path)
        if solver is None:
            return check_files(["net.prototxt"], build=False).findings
        text = f'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 snapshot_after_train: false {solver}'
        write(text, tmp_path, "solver.prototxt")
        return check_files(["solver.prototxt"], build=False).findings

    return check


def centers(param="", **options):
    return [python_layer("CenterLoss", ["x", "label"], ["loss"], {"num_output": 3, **options}, 1, param)]


FREE = "param { lr_mult: 1  decay_mult: 0 }"


@pytest.mark.parametrize("update", ["fork", "gradient"])
def test_weight_decay_on_centres(update, findings):
    for solver, params, count in (
        ("weight_decay: 0.1", "", 1),
        ("weight_decay: 0.1", "param { lr_mult: 2  decay_mult: 2 }", 1),
        (None, "", 1),  # nearly all solvers have it
        ("", "", 0),
        ("weight_decay: 0.1", "param { lr_mult: 0 }", 0),
        ("weight_decay: 0.1", FREE, 0),
        (None, FREE, 0),
    ):
        found = findings(centers(params, update=update), solver)
        assert [(each.level, "weight_decay pulls its centres to 0" in each.message) for each in found] == [
            ("warning", True)
        ] * count
        for each in found:  # as it is written
            remedy = each.remedy.split("`")[1]
            assert findings(centers(remedy, update=update), solver) == []


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        *((f'type: "{kind}"', f"type {kind}") for kind in ("Adam", "AdaDelta", "AdaGrad", "RMSProp")),
        ("clip_gradients: 5", "clip_gradients"),
    ],
)
def test_solvers_that_take_steps_for_gradients(solver, words, findings):
    (found,) = findings(centers(FREE), solver)
    assert found.level == "warning" and words in found.message and "'update': 'gradient'" in found.remedy
    assert findings(centers(FREE, update="gradient"), solver) == []
    for right in ('type: "SGD"', 'type: "Nesterov" momentum: 0.9', "clip_gradients: -1", ""):
        assert findings(centers(FREE), right) == []


def test_it_is_so_in_caffe(tmp_path):
    """Adam makes every step as large as the rate, clip_gradients makes all gradients smaller, and decay pulls."""
    x, labels = np.random.RandomState(0).randn(4, 3), np.array([0, 0, 1, 1])

    def moved(solver, param=FREE):
        write(net_text(centers(param), INPUTS), tmp_path)
        made = caffe.get_solver(
            write(
                f'net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" {solver}', tmp_path, "solver.prototxt"
            )
        )
        made.net.blobs["x"].data[...], made.net.blobs["label"].data[...] = x, labels
        (blob,) = made.net.params["loss_layer"]
        blob.data[...] = 5
        made.step(1)
        return blob.data - 5

    plain = moved("")
    np.testing.assert_allclose(plain[0], 0.1 * (x[:2] - 5).sum(axis=0) / 3, rtol=1e-4)
    np.testing.assert_allclose(moved('type: "Adam" momentum: 0.9 momentum2: 0.999')[:2], -0.1, rtol=1e-3)
    assert (np.abs(moved("clip_gradients: 1")[0]) < np.abs(plain[0]) / 2).all()
    assert not plain[2].any() and moved("weight_decay: 0.1", "").all()


# ------------------------------------------------------------------------------------------- a blob behind the first

FROZEN = "param { lr_mult: 0  decay_mult: 0 }"


def sphere(param="", **options):
    options = {"num_output": 3, "type": "DOUBLE", "resume": True, **options}
    return [python_layer("MarginInnerProduct", ["x", "label"], ["scores"], options, more=param)]


@pytest.mark.parametrize(
    ("param", "level"),
    [
        ("", "error"),
        ("param { lr_mult: 1 }", "error"),
        (FROZEN, "error"),
        ("param { lr_mult: 1 } param { lr_mult: 1 decay_mult: 0 }", "warning"),
        ("param { lr_mult: 1 } param { }", "error"),
        (f"param {{ lr_mult: 1 }} {FROZEN}", ""),
        (f"{FROZEN} {FROZEN}", ""),
    ],
)
def test_a_position_needs_a_param_of_its_own_behind_that_of_the_vectors(param, level, findings):
    found = [each for each in findings(sphere(param)) if "without" in each.message or "lr_mult" in each.message]
    assert [each.level for each in found] == [level] * bool(level)
    for each in found:  # the remedy, as it is written
        written = each.remedy.split("`")[1]
        if each.remedy.startswith("add"):
            written = f"{param} {written}"
        elif "in place of it" not in each.remedy:
            written = f"param {{ lr_mult: 1 }} {written}"
        assert findings(sphere(written)) == []
        assert "lr_mult: 1" in written.partition("}")[0]


def test_more_params_than_blobs(findings):
    (found,) = findings(sphere(f"param {{ lr_mult: 1 }} {FROZEN}", resume=False))
    assert (found.level, "2 param blocks, but the layer has one blob" in found.message) == ("error", True)
    (found,) = findings(sphere(f"param {{ lr_mult: 1 }} {FROZEN} {FROZEN}"))
    assert (found.level, "3 param blocks, but the layer has 2 blobs" in found.message) == ("error", True)


def test_weights_with_and_without_a_position(tmp_path, monkeypatch):
    """What Caffe says of them, and what to do."""
    monkeypatch.chdir(tmp_path)
    params = {True: f"param {{ lr_mult: 1 }} {FROZEN}", False: ""}
    for resume in (True, False):
        write(net_text([DUMMY, *sphere(params[resume], resume=resume)], {}, False), tmp_path, f"{resume}.prototxt")
        caffe.Net(f"{resume}.prototxt", caffe.TRAIN).save(f"{resume}.caffemodel")
    found = {
        (net, weights): [
            (each.level, each.message, each.remedy)
            for each in check_files([f"{net}.prototxt"], weights=f"{weights}.caffemodel").findings
        ]
        for net in (True, False)
        for weights in (True, False)
    }
    assert found[False, False] == []
    ((level, message, _),) = found[True, True]
    assert level == "note" and "has its position" in message
    ((level, message, remedy),) = found[False, True]
    assert level == "error" and "2 blobs (3 x 3 and 4) for it, but the layer has 1 blob (3 x 3)" in message
    assert remedy.startswith("the last is its position in a run with 'resume': True")
    ((level, message, remedy),) = found[True, False]
    assert level == "error" and remedy.startswith("they are from a run without 'resume': True")


# -------------------------------------------------------------------------------------------------------- a memory


def pairs(param="", **options):
    options = {"type": "contrastive", "memory": 8, **options}
    return [python_layer("BatchPairLoss", ["x", "label"], ["loss"], options, 1, param)]


@pytest.mark.parametrize(
    ("param", "levels"),
    [
        ("", ["error"]),
        (FROZEN, ["error"]),
        (f"{FROZEN} {FROZEN}", ["error"]),
        (f"{FROZEN} param {{ }} {FROZEN}", ["error"]),
        (f"{FROZEN} {FROZEN} param {{ lr_mult: 1 decay_mult: 0 }}", ["warning"]),
        ("param { lr_mult: 1 }", ["error", "error"]),
        (f"{FROZEN} {FROZEN} {FROZEN}", []),
        (f"{FROZEN} {FROZEN} {FROZEN} {FROZEN}", ["error"]),
    ],
)
def test_a_memory_needs_three_frozen_params(param, levels, findings):
    found = findings(pairs(param))
    assert [each.level for each in found] == levels
    for each in found:
        assert "memory" in each.message or "4 param blocks" in each.message
        if each.remedy.startswith("add"):  # the remedy, as it is written
            added = findings(pairs(f"{param} {each.remedy.split('`')[1]}"))
            assert [each.level for each in added] == levels[1:]


def test_a_memory_without_them_is_changed_by_the_solver(tmp_path):
    """The layer finds it in the next iteration."""
    path = write(net_text(pairs(), INPUTS), tmp_path)
    solver = write(f'net: "{path}" base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.1', tmp_path, "solver.prototxt")
    made = caffe.get_solver(solver)
    made.net.blobs["x"].data[...] = np.random.RandomState(0).randn(4, 3)
    made.step(1)
    with refused(ConfigError, "the solver has changed", remedy="param { lr_mult: 0  decay_mult: 0 } three times"):
        made.step(1)


def test_a_test_layer_of_the_same_name_has_the_memory_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phases = "include { phase: TRAIN }", "include { phase: TEST }"
    for of_test, count in ((8, 0), (0, 1)):
        layers = [
            *pairs(f"{FROZEN} {FROZEN} {FROZEN} {phases[0]}"),
            *pairs(f"{FROZEN * (3 if of_test else 0)} {phases[1]}", memory=of_test),
        ]
        write(net_text([DUMMY, *layers], {}, False), tmp_path)
        found = check_files(["net.prototxt"], build=False).findings
        assert ["'memory', but the layer with this name" in each.message for each in found] == [True] * count


def test_weights_with_and_without_a_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for memory in (8, 0):
        write(
            net_text([DUMMY, *pairs(FROZEN * 3 if memory else "", memory=memory)], {}, False),
            tmp_path,
            f"{memory}.prototxt",
        )
    caffe.Net("8.prototxt", caffe.TRAIN).save("8.caffemodel")
    (found,) = check_files(["8.prototxt"], weights="8.caffemodel").findings
    assert found.level == "note" and "has its memory" in found.message
    (found,) = check_files(["0.prototxt"], weights="8.caffemodel").findings
    assert found.level == "error" and found.remedy.startswith("they are its memory in a run with 'memory'")


# ---------------------------------------------------------------------------------------------------------- labels

DATA = python_layer("ImageDataLayer", [], ["data", "label"], {"source": "train.csv", "batch_size": 4})
OF_OPTION = [
    ("ProxyLoss", {"type": "proxy_nca"}),
    ("MarginSoftmaxLoss", {}), ("CenterLoss", {"update": "gradient"}), ("MarginInnerProduct", {"type": "DOUBLE"}),
    ("LargeMarginInnerProduct", {"type": "DOUBLE"}),
]  # fmt: skip


@pytest.mark.parametrize("layer, options", OF_OPTION)
def test_labels_beyond_num_output(layer, options, tmp_path, monkeypatch):
    """Those of the data are 0 to 4."""
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    loss_weight = 1 if layer.endswith("Loss") else None
    for classes in (4, 5):
        given = {"num_output": classes, **options}
        write(
            net_text([DATA, python_layer(layer, ["data", "label"], ["top"], given, loss_weight, FREE)], {}, False),
            tmp_path,
            "of.prototxt",
        )
        found = check_files(["of.prototxt"], build=False).findings
        assert [each.level for each in found] == ["error"] * (classes == 4)
        for each in found:
            assert "the data have label 4" in each.message and "'num_output' is 4: labels are 0 to 3" in each.message


def test_labels_beyond_the_cosines(tmp_path, monkeypatch):
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    layers = [
        DATA,
        layer_text("InnerProduct", ["data"], ["cos"], "inner_product_param { num_output: 4 }"),
        python_layer("CosinAddm", ["cos", "label"], ["top"]),
    ]
    write(net_text(layers, {}, False), tmp_path, "of.prototxt")
    (found,) = check_files(["of.prototxt"], build=False).findings
    assert "the data have label 4" in found.message


def test_a_normalized_inner_product_of_a_fork(findings):
    """Forks have it as a field of InnerProduct."""
    layer = layer_text("InnerProduct", ["x"], ["cos"], "inner_product_param { num_output: 3 normalize: true }")
    (found,) = findings([layer])
    assert "unknown field 'normalize'" in found.message and "NormalizedInnerProduct" in found.remedy
