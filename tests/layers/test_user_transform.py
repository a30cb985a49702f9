"""A transform of the user's that takes phase, labels or the map of an image, and changes them, on the real Caffe."""

import caffe
import cv2
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.errors import ConfigError
from tests.caffe_nets import python_layer, write
from tests.layers.map_data import fed, painted, write_pairs
from tests.layers.map_data import net_of as map_net
from tests.refusals import refused

FUNCTIONS = """
import functools
import numpy as np

def stamped_phase(image, rng, phase):
    image[...] = {"TRAIN": 1, "TEST": 2}[phase]
    return image

def stamped(image, rng, *, labels):
    image[0, :len(labels)] = labels[:, None]
    assert labels.dtype == np.int64
    labels[:] = 99  # its own copy
    return image

def raised(image, rng, labels):
    image[0, :len(labels)] = labels[:, None]
    return image, np.where(labels >= 0, labels + rng.integers(1, 4), labels)

def whole_numbers(image, rng, labels):
    return image, labels.astype(np.uint8)

def with_defaults(image, rng, labels=None, map=None, strength=2):
    image[...] = 0 if labels is None else strength
    return image, labels

def everything(image, rng, **given):
    image[0, 0] = len(given)
    image[0, 1] = "labels" in given
    return image

def decorated(function):
    @functools.wraps(function)
    def called(*args, **kwargs):
        return function(*args, **kwargs)
    return called

raised_by_a_wrapper = decorated(raised)

def needs_strength(image, rng, strength): return image
def no_rng(image, labels): return image
def by_place(image, rng, labels, /): return image
def of_a_map(image, rng, map): return image

def a_list(image, rng, labels): return image, labels.tolist()
def shorter(image, rng, labels): return image, labels[:-1]
def halves(image, rng, labels): return image, labels * 0.5
def flags(image, rng, labels): return image, labels > 0
def too_large(image, rng, labels): return image, labels + 2**24
def untaken(image, rng, phase): return image, phase
def three(image, rng, labels): return image, labels, 3
def of_floats(image, rng, labels): return image, labels.astype(np.int64)
def infinite(image, rng, labels): return image, labels.astype(float) + 1e39

def map_mirrored(image, rng, map):
    return (image[:, ::-1], map[:, ::-1]) if rng.integers(2) else image

def map_cut(image, rng, map): return image[3:], map[3:].astype(np.int64)
def map_beside(image, rng, map): return image[3:], map
def map_left(image, rng, map): return image[3:]
def map_numbers(image, rng, map): return image, map.astype(np.int64) * 300
def map_halves(image, rng, map): return image, map + np.float32(0.5)
def map_text(image, rng, map): return image, map.astype(str)
def map_seen(image, rng, map):
    image[...] = map[:, :, None]
    return image
"""


@pytest.fixture(autouse=True)
def no_workers_run_on():
    yield
    caffe_pylayers.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures of 6 x 8, each all of its number, with one label or several or values in lists, and the functions."""
    folder = tmp_path_factory.mktemp("transforms")
    (folder / "functions_of_a_user.py").write_text(FUNCTIONS)
    for number in range(12):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((6, 8, 3), number, np.uint8))
    lists = {
        "one": lambda number: str(number % 5),
        "none": lambda number: "",
        "sets": lambda number: ":".join(map(str, {number % 5, number % 3})),
        "values": lambda number: f",{number / 2},{'nan' if number == 3 else number}",
    }
    for name, labels in lists.items():
        lines = [f"{number}.png{' ' * (name not in ('values', 'none'))}{labels(number)}\n" for number in range(12)]
        (folder / f"{name}.csv").write_text("".join(lines))
    return folder


@pytest.fixture
def net(folder, monkeypatch):
    """Make a net of one data layer with one of the functions."""
    monkeypatch.syspath_prepend(str(folder))

    def made(transform, layer="ImageDataLayer", tops="data label", phase=caffe.TRAIN, labels="one", more="", **options):
        options = {"source": str(folder / f"{labels}.csv"), "root": str(folder), "batch_size": 5, **options}
        options.update({"transform": f"functions_of_a_user:{transform}"} if transform else {})
        return caffe.Net(write(python_layer(layer, [], tops.split(), options, more=more)), phase)

    return made


def batches(net, count=4):
    taken = []
    for _ in range(count):
        net.forward()
        taken.append([blob.data.copy() for blob in net.blobs.values()])
    return [np.concatenate(tops) for tops in zip(*taken)]


@pytest.mark.parametrize("layer", ["ImageDataLayer", "TripletDataLayer", "MultiLabelDataLayer"])
def test_the_phase(net, layer):
    tops = "anchor positive negative" if layer == "TripletDataLayer" else "data label"
    for phase, stamp in ((caffe.TRAIN, 1), (caffe.TEST, 2)):
        made = net("stamped_phase", layer, tops, phase)
        assert (batches(made)[0] == stamp).all()
        assert not made.layers[0].recipe.form.num_labels  # what it does not take takes no place


def stamps(data, count):
    return data[:, 0, 0, :count]


@pytest.mark.parametrize("labels, count", [("one", 1), ("sets", 2)])
def test_labels_are_those_of_the_record_and_stay_unless_returned(net, labels, count):
    plain = batches(net(None, labels=labels, shuffle=True))[1].reshape(20, -1)
    data, label = batches(net("stamped", labels=labels, shuffle=True))
    np.testing.assert_array_equal(label.reshape(20, -1), plain)
    np.testing.assert_array_equal(stamps(data, count), plain % 256)


@pytest.mark.parametrize("function", ["raised", "raised_by_a_wrapper"])
def test_returned_labels_are_fed(net, function):
    for labels in ("one", "sets"):
        plain = batches(net(None, labels=labels))[1]
        label = batches(net(function, labels=labels))[1]
        added = (label - plain)[plain >= 0]
        assert set(added) == {1, 2, 3} and (label[plain < 0] == -1).all()


@pytest.mark.parametrize("labels, layer", [("one", "ImageDataLayer"), ("sets", "MultiLabelDataLayer")])
def test_the_stream_is_the_same_with_any_workers(net, labels, layer):
    options = {"multilabel": True, "label_dim": 9} if labels == "sets" else {}
    options.update(shuffle=True, mirror=True, crop_size=5, labels=labels, layer=layer)
    expected = batches(net("raised", **options), 8)
    ways = ({"prefetch": 1}, {"prefetch": 4, "workers": 2}, {"prefetch": 8, "workers": 8}, {"cache": "memory"})
    for way in ways:
        for one, other in zip(expected, batches(net("raised", **way, **options), 8)):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_stream_goes_on_where_a_snapshot_was_taken(net, prefetch, tmp_path):
    def made():
        options = {"resume": True, "shuffle": True, "prefetch": prefetch, "more": "param { lr_mult: 0 decay_mult: 0 }"}
        return net("raised", **options)

    expected = batches(made(), 8)
    first = made()
    batches(first, 3)
    first.save(str(tmp_path / "weights.caffemodel"))
    restored = made()
    restored.copy_from(str(tmp_path / "weights.caffemodel"))
    for one, other in zip(expected, batches(restored, 5)):
        np.testing.assert_array_equal(one[15:], other)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_record_that_stands_in_has_its_own_labels(net, folder, prefetch):
    (folder / "bad.png").write_bytes(b"no image")
    names = ["bad" if number in (2, 3, 7) else number for number in range(12)]
    (folder / "damaged.csv").write_text("".join(f"{name}.png {place % 5}\n" for place, name in enumerate(names)))
    data, label = batches(net("raised", labels="damaged", on_error="skip", prefetch=prefetch))
    added = label - stamps(data, 1)[:, 0]
    assert added.min() == 1 and added.max() == 3
    np.testing.assert_array_equal(stamps(data, 1)[:, 0], data[:, 0, 1, 1] % 5)


def test_ten_crops_have_the_labels_of_their_image(net):
    data, label = batches(net("raised", phase=caffe.TEST, crop_size=4, crops="ten"), 1)
    assert (label.reshape(5, 10) == label.reshape(5, 10)[:, :1]).all()
    assert ((label[::10] - stamps(data, 1)[::10, 0]) >= 1).all()


def test_any_whole_numbers_are_labels(net):
    np.testing.assert_array_equal(*(batches(net(name))[1] for name in (None, "whole_numbers")))


def test_what_has_a_default_is_given_where_it_is_there(net):
    assert (batches(net("with_defaults"))[0] == 2).all()
    assert (batches(net("with_defaults", tops="data", labels="none"))[0] == 0).all()
    for labels, tops, count in (("one", "data label", 2), ("none", "data", 1)):
        data = batches(net("everything", tops=tops, labels=labels))[0]
        assert (data[:, 0, 0, :2] == [count, labels == "one"]).all()


def test_a_set_of_labels_has_others(net):
    def made(**options):
        return net("raised", "MultiLabelDataLayer", labels="sets", multilabel=True, **options)

    data, label = batches(made(label_dim=9))
    for image, row in zip(data, label[:, :, 0, 0]):
        before = {int(each) for each in image[0, 0, :2] if each < 255}
        assert {found - min(np.flatnonzero(row)) for found in np.flatnonzero(row)} == {
            each - min(before) for each in before
        }
    with refused(
        ConfigError, "returned the label", "the top has 5", remedy="raise 'label_dim'", option="transform", record=4
    ):
        batches(made(label_dim=5))


def test_a_label_that_is_returned_is_known(net, folder):
    np.save(folder / "indicators.npy", np.array([[-1, 1, 0, 0, 0]] * 12))
    options = {"labels": str(folder / "indicators.npy"), "label_format": "indicator", "multilabel": True}
    source = {"source": str(folder / "none.csv"), "root": str(folder), "batch_size": 5}
    (folder / "known_of_a_user.py").write_text("def known(image, rng, labels): return image, labels * 0\n")
    text = python_layer(
        "MultiLabelDataLayer", [], ["data", "label"], {**options, **source, "transform": "known_of_a_user:known"}
    )
    assert (batches(caffe.Net(write(text), caffe.TRAIN))[1][:, :, 0, 0] == [1, 0, 0, 0, 0]).all()


@pytest.mark.parametrize(
    "layer, tops", [("SiameseDataLayer", "data data_p sim label label_p"), ("TripletDataLayer", "data label")]
)
@pytest.mark.parametrize("prefetch", [0, 2])
def test_images_of_pairs_and_triplets_get_the_labels_of_their_records(net, layer, tops, prefetch):
    options = {"stacked": True} if layer == "TripletDataLayer" else {}
    made = net("stamped", layer, tops, prefetch=prefetch, **options)
    made.forward()
    for name, label in (("data", "label"), ("data_p", "label_p")):
        if name in made.blobs:
            np.testing.assert_array_equal(stamps(made.blobs[name].data, 1)[:, 0], made.blobs[label].data)
    with refused(ConfigError, "returned labels", remedy="return the image alone", option="transform", record=0):
        net("raised", layer, tops, **options)


@pytest.mark.parametrize(
    "function, labels, problem, remedy",
    [
        ("needs_strength", "one", "(image, rng, strength)", "`labels` and `map`"),
        ("no_rng", "one", "(image, labels)", "function(image, rng)"),
        ("by_place", "one", "(image, rng, labels, /)", "function(image, rng)"),
        ("stamped", "none", "takes `labels`, but records have none", "'labels', or write `labels=None`"),
        ("of_a_map", "one", "takes `map`, but images have none", "ImageMapDataLayer, or write `map=None`"),
    ],
)
def test_what_it_takes_and_cannot_get_is_told_at_set_up(net, function, labels, problem, remedy):
    with refused(ConfigError, f"functions_of_a_user:{function}", problem, remedy=remedy, option="transform"):
        net(function, labels=labels, tops="data")


@pytest.mark.parametrize(
    "function, labels, problem, remedy",
    [
        ("a_list", "one", "list", "integers of shape (1,)"),
        ("shorter", "sets", "int64 (1,)", "integers of shape (2,)"),
        ("halves", "one", "float64 (1,)", "integers of shape (1,)"),
        ("flags", "one", "bool (1,)", "integers of shape (1,)"),
        ("too_large", "sets", "label 16777217", "from -16777216 to 16777216"),
        ("untaken", "one", "an image and more", "it must take `labels` or `map`"),
        ("three", "one", "tuple", "must return an image of uint8"),
        ("of_floats", "values", "int64 (2,)", "float numbers of shape (2,)"),
        ("infinite", "values", "label 1e+39", "finite numbers of float32"),
    ],
)
def test_labels_that_cannot_be(net, function, labels, problem, remedy):
    options = {"label_format": "values"} if labels == "values" else {}
    with refused(ConfigError, function, problem, remedy=remedy, option="transform", source="record "):
        batches(net(function, labels=labels, **options), 2)


@pytest.fixture
def weighted_maps(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    write_pairs(tmp_path, [(20, 30)] * 4)
    lines = [f"{number}.png,{number}_labels.png,{number}_labels.png\n" for number in range(4)]
    (tmp_path / "weighted.txt").write_text("name,map,weights\n" + "".join(lines))
    return tmp_path


def of_functions(folder, function, **options):
    return map_net(folder, transform=f"functions_of_a_user:{function}", **options)


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize(
    "options", [{}, {"cache": "memory"}, {"crop_size": 16, "mirror": True}, {"resize": [50, 70], "crop_size": 40}]
)
def test_a_map_follows_what_the_function_does(weighted_maps, options, prefetch):
    """Images are painted from their maps; where both are resized, between two patches they differ."""
    plain = fed(map_net(weighted_maps, **options), 6)
    mirrored = 0
    for (same, _), (data, label) in zip(plain, fed(of_functions(weighted_maps, "map_mirrored", prefetch=prefetch, **options), 6)):  # fmt: skip
        for before, image, labels in zip(same, data, label[:, 0].astype(int)):
            right = (painted(labels).transpose(2, 0, 1) == image).all(0)
            assert right.all() if "resize" not in options else right.mean() > 0.4
            mirrored += not np.array_equal(before, image)
    assert 5 < mirrored < 20


def test_the_size_may_change_with_the_map(weighted_maps):
    for data, label in fed(of_functions(weighted_maps, "map_cut"), 2):
        assert data.shape == (4, 3, 17, 30) and label.shape == (4, 1, 17, 30)
        np.testing.assert_array_equal(painted(label[:, 0].astype(int)).transpose(0, 3, 1, 2), data)
    for function, problem, remedy in (
        ("map_beside", "a map that is uint8 (20, 30)", "numbers of shape (17, 30)"),
        ("map_left", "but maps would not follow", "take and return `map` too"),
    ):
        with refused(ConfigError, problem, remedy=remedy, option="transform", record=0):
            of_functions(weighted_maps, function)
    weights = {"source": str(weighted_maps / "weighted.txt"), "header": True, "weights": True}
    with refused(ConfigError, "but maps would not follow", remedy="leave the size as it is", record=0):
        of_functions(weighted_maps, "map_cut", tops="data label weight", **weights)


def test_a_map_may_have_all_numbers_of_its_kind(weighted_maps):
    ((_, plain),), ((_, label),) = fed(map_net(weighted_maps)), fed(of_functions(weighted_maps, "map_numbers"))
    np.testing.assert_array_equal(label, 300 * plain)
    for function, problem, remedy in (
        ("map_halves", ".5 at row 0, column 0", "integers"),
        ("map_text", "a map that is <U", "numbers of shape (20, 30)"),
        ("stamped", "takes `labels`, but records have none", "take `map`"),
    ):
        with refused(ConfigError, problem, remedy=remedy, option="transform"):
            of_functions(weighted_maps, function)
    (_, label), *_ = fed(of_functions(weighted_maps, "map_halves", map_type="values"))
    np.testing.assert_array_equal(label, plain + 0.5)


def test_the_function_sees_the_numbers_that_label_map_gives(weighted_maps):
    ((data, label),) = fed(of_functions(weighted_maps, "map_seen", label_map={1: 100, 2: 7}))
    np.testing.assert_array_equal(data[:, :1], label)
    assert {100, 7} <= set(np.unique(label)) and not {1, 2} & set(np.unique(label))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_its_own_size_follows_the_function(weighted_maps, prefetch):
    write_pairs(weighted_maps, [(20, 30), (33, 18), (9, 40)])
    options = {"batch_size": 1, "max_pixels": 2000, "prefetch": prefetch}
    for data, label in fed(of_functions(weighted_maps, "map_cut", **options), 6):
        np.testing.assert_array_equal(painted(label[:, 0].astype(int)).transpose(0, 3, 1, 2), data)


def test_a_module_that_could_not_be_imported_is_asked_again(net, folder, monkeypatch):
    def made():
        options = {"source": str(folder / "one.csv"), "root": str(folder), "transform": "late:stamped", "batch_size": 5}
        return caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], options)), caffe.TRAIN)

    with refused(ConfigError, "cannot import 'late'", remedy="PYTHONPATH", option="transform", record=None):
        made()
    (folder / "late").mkdir()
    (folder / "late" / "late.py").write_text(
        "def stamped(image, rng, labels=None):\n    image[...] = 99 if labels is None else labels[0]\n    return image\n"
    )
    monkeypatch.syspath_prepend(str(folder / "late"))
    data, label = batches(made())
    np.testing.assert_array_equal(data[:, 0, 0, 0], label)


@pytest.mark.parametrize("fault", ["def f(image, rng:\n", "int('x')\n"], ids=["SyntaxError", "ValueError"])
def test_a_module_that_fails_is_told(net, folder, fault, request):
    name = request.node.callspec.id
    (folder / f"fails_with_{name}.py").write_text(fault)
    options = {"source": str(folder / "one.csv"), "root": str(folder), "transform": f"fails_with_{name}:f"}
    with refused(ConfigError, f"'fails_with_{name}'", name, option="transform", record=None):
        caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], options)), caffe.TRAIN)
