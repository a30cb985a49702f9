"""Labels that are any numbers in the tops, and points that go where pixels go, through the layers on the real Caffe."""

import caffe
import cv2
import h5py
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.errors import ConfigError, DataError
from tests.caffe_nets import layer_text, python_layer, write
from tests.refusals import refused

SIZE = (40, 60)  # height, width of the pictures


@pytest.fixture(autouse=True)
def no_workers_run_on():
    yield
    caffe_pylayers.close()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Pictures with two dots, one blue and one red, and a list with where these are and an age; some dots are missing."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.RandomState(0)
    lines, rows = ["name,age,x1,y1,x2,y2\n"], []
    for number in range(24):
        image = np.zeros((*SIZE, 3), np.uint8)
        row = [rng.uniform(1, 80)]
        for channel in (0, 2):
            x, y = rng.randint(6, SIZE[1] - 6), rng.randint(6, SIZE[0] - 6)
            if rng.uniform() < 0.2:
                row += [np.nan, np.nan]
                continue
            image[y - 1 : y + 2, x - 1 : x + 2, channel] = 255
            row += [x, y]
        cv2.imwrite(str(folder / f"{number}.png"), image)
        lines.append(",".join([f"{folder}/{number}.png", *(f"{value:.9g}" for value in row)]) + "\n")
        rows.append(row)
    (folder / "list.csv").write_text("".join(lines))
    return folder, np.array(rows, np.float32)


OPTIONS = {"header": True, "label_format": "values", "batch_size": 6}
POINTS = {"labels": ["x1", "y1", "x2", "y2"], "points": [[0, 1], [2, 3]]}


def net_of(faces, phase=caffe.TRAIN, layer="ImageDataLayer", **options):
    options = {"source": str(faces[0] / "list.csv"), **OPTIONS, **options}
    return caffe.Net(write(python_layer(layer, [], ["data", "label"], options)), phase)


def batches(net, count):
    for _ in range(count):
        net.forward()
        yield net.blobs["data"].data.copy(), net.blobs["label"].data.copy()


@pytest.mark.parametrize("layer", ["ImageDataLayer", "MultiLabelDataLayer"])
@pytest.mark.parametrize(
    "columns, shape, chosen",
    [(None, (6, 5), [0, 1, 2, 3, 4]), ("age", (6,), [0]), (["y2", "x1"], (6, 2), [4, 1])],
)
def test_tops(faces, layer, columns, shape, chosen):
    net = net_of(faces, layer=layer, **({"labels": columns} if columns else {}))
    of_layer = (6, 1) if layer == "MultiLabelDataLayer" and shape == (6,) else shape
    assert net.blobs["label"].data.shape == of_layer
    found = np.concatenate([label for _, label in batches(net, 4)]).reshape(24, -1)
    np.testing.assert_array_equal(found, faces[1][:, chosen])


def dots(image):
    """Where the blue and the red dot are in an image that is fed, by their weight; NaN without one."""
    found = []
    for channel in (0, 2):
        plane = image[channel]
        rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
        total = plane.sum()
        found.append([(columns * plane).sum() / total, (rows * plane).sum() / total] if total > 1000 else [np.nan] * 2)
    return np.array(found)


GEOMETRIES = {
    "nothing": {},
    "mirror": {"mirror": True},
    "resized": {"resize": [80, 90], "mirror": True},
    "short": {"resize": {"short": 61}, "mirror": True},
    "padded": {"resize": {"long": 90, "pad": "mean"}, "mirror": True},
    "crop": {"resize": [60, 90], "crop_size": [50, 70], "mirror": True},
    "all": {"resize": {"long": 90, "pad": "mean"}, "crop_size": [80, 72], "mirror": True},
    "rotated": {"augment": {"rotate": 25, "scale": [0.8, 1.3], "translate": 0.1}, "mirror": True},
    "a part": {"resize": [80, 90], "augment": {"resized_crop": {"area": [0.4, 1]}}, "mirror": True},
    "a part of a rotated one": {
        "resize": [60, 90],
        "crop_size": [50, 70],
        "augment": {"rotate": 25, "resized_crop": {"area": [0.4, 1]}},
        "mirror": True,
    },
    "decoded before": {"resize": [60, 90], "crop_size": [50, 70], "mirror": True, "compressed": False},
}


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("options", GEOMETRIES.values(), ids=GEOMETRIES)
def test_points_stay_on_their_pixels(faces, options, prefetch, phase):
    net = net_of(faces, phase, **POINTS, **options, prefetch=prefetch, workers=max(prefetch, 1))
    seen = 0
    for data, label in batches(net, 8):
        for image, points in zip(data, label.reshape(-1, 2, 2)):
            height, width = image.shape[1:]
            for dot, point in zip(dots(image), points):
                inside = (point > 3).all() and point[0] < width - 4 and point[1] < height - 4
                if inside:
                    np.testing.assert_allclose(dot, point, atol=0.5 if "augment" in options else 0.35)
                    seen += 1
    assert seen > 30


def test_pairs_change_places_in_a_mirrored_image(faces):
    plain, swapped = (net_of(faces, mirror=True, **POINTS, **more) for more in ({}, {"flip_pairs": [[0, 1]]}))
    mirrored = 0
    for (data, label), (same, other) in zip(batches(plain, 4), batches(swapped, 4)):
        np.testing.assert_array_equal(data, same)
        for one, two in zip(label.reshape(-1, 2, 2), other.reshape(-1, 2, 2)):
            if not np.array_equal(one, two, equal_nan=True):
                np.testing.assert_array_equal(one, two[::-1])
                mirrored += 1
    assert 3 < mirrored < 21


def test_normalized_points_are_parts_of_the_image(faces):
    geometry = {"resize": [60, 90], "crop_size": [50, 70], "mirror": True}
    for (_, label), (_, part) in zip(
        *(batches(net_of(faces, **POINTS, **geometry, normalize_points=flag), 4) for flag in (False, True))
    ):
        np.testing.assert_allclose(label / [70, 50, 70, 50], part, rtol=1e-6)


def test_points_outside_of_the_crop_are_missing_if_that_is_wanted(faces):
    geometry = {"crop_size": 16}
    lost = 0
    for (_, kept), (_, nan) in zip(
        *(batches(net_of(faces, **POINTS, **geometry, **more), 4) for more in ({}, {"outside": "nan"}))
    ):
        for one, other in zip(kept.reshape(-1, 2), nan.reshape(-1, 2)):
            if np.isnan(one).any() or ((one >= -0.5) & (one < 15.5)).all():
                np.testing.assert_array_equal(one, other)
            else:
                assert np.isnan(other).all()
                lost += 1
    assert lost > 5


def test_columns_that_are_not_there(faces):
    with refused(DataError, "4 values", "column 4"):
        net_of(faces, labels=["x1", "y1", "x2", "y2"], points=[[0, 4]])
    with refused(DataError, "5 values", "'label_dim' is 4"):
        net_of(faces, label_dim=4)


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"points": [[0, 1]], "label_format": "indices"}, "'label_format'"),
        ({"points": [[0, 0]]}, "a column twice"),
        ({"points": [[0, 1]], "mirror": True, "flip_pairs": [[0, 1]]}, "'flip_pairs' has 1"),
        ({"points": [[0, 1], [2, 3]], "mirror": True, "flip_pairs": [[0, 1], [1, 0]]}, "a point twice"),
    ],
)
def test_points_that_cannot_be(faces, options, problem):
    with pytest.raises(ConfigError, match=problem):
        net_of(faces, **options)


FUNCTIONS = """
import numpy as np

def mirrored(image, rng, labels):
    if rng.integers(2):
        return image
    labels[[0, 2]] = image.shape[1] - 1 - labels[[0, 2]]
    return image[:, ::-1], labels

def doubled(image, rng, labels): return image.repeat(2, 0).repeat(2, 1), 2 * labels + np.float32(0.5)
def unchanged(image, rng, labels): return image, labels
def kept(image, rng, labels): return image
def half(image, rng, labels=None): return image[::2].copy()
"""


@pytest.fixture
def transforms(faces, monkeypatch):
    (faces[0] / "points_of_a_user.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(faces[0]))
    return "points_of_a_user:{}".format


@pytest.mark.parametrize("name", ["crop", "all", "rotated", "a part", "decoded before"])
@pytest.mark.parametrize(
    "function, more", [("mirrored", {}), ("mirrored", {"prefetch": 2}), ("doubled", {"cache": "memory"})]
)
def test_points_that_a_transform_moves_stay_on_their_pixels(faces, transforms, function, more, name):
    if name in ("decoded before", "a part"):  # which have no cache
        more = {}
    options = {**GEOMETRIES[name], "transform": transforms(function), **more}
    net = net_of(faces, **POINTS, **options)
    seen = 0
    for data, label in batches(net, 8):
        for image, points in zip(data, label.reshape(-1, 2, 2)):
            for dot, point in zip(dots(image), points):
                if (point > 6).all() and point[0] < image.shape[2] - 7 and point[1] < image.shape[1] - 7:
                    np.testing.assert_allclose(dot, point, atol=0.5)
                    seen += 1
    assert seen > 10


def test_points_go_on_from_where_a_transform_leaves_them(faces, transforms):
    """Those that it returns as it got them have been rounded once more; those that it does not return have not."""
    options = {**POINTS, **GEOMETRIES["all"], "flip_pairs": [[0, 1]]}
    kept, unchanged = (net_of(faces, **options, transform=transforms(name)) for name in ("kept", "unchanged"))
    for plain, one, other in zip(*(batches(net, 4) for net in (net_of(faces, **options), kept, unchanged))):
        np.testing.assert_array_equal(plain[1], one[1])
        np.testing.assert_allclose(plain[1], other[1], atol=1e-4)


def test_a_transform_that_changes_the_size_is_named(faces, transforms):
    with refused(ConfigError, "changed the size", remedy="take and return `labels` too", option="transform", record=0):
        net_of(faces, **POINTS, transform=transforms("half"))


SOLVER = (
    'net: "{net}" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" max_iter: 50 random_seed: 1 type: "SGD" display: 0'
)
LOSS = (
    'layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"'
    ' inner_product_param {{ num_output: 2 weight_filler {{ type: "xavier" }} }} }} {loss}'
)


@pytest.mark.parametrize("source_type", ["CSV", "HDF5"])
def test_regression_equals_that_through_stock_hdf5_and_euclidean_loss(tmp_path, source_type):
    """The same numbers, loss and weights after 50 iterations; with the stock loss behind both layers bit for bit."""
    rng = np.random.RandomState(3)
    pixels = rng.randint(0, 256, (12, 1, 3, 4)).astype(np.uint8)
    images = (pixels.astype(np.float32) - 128) / 128
    targets = rng.uniform(-2, 2, (12, 2)).astype(np.float32)
    with open(tmp_path / "a.csv", "w") as file:
        for number, (image, row) in enumerate(zip(pixels, targets.tolist())):
            cv2.imwrite(str(tmp_path / f"{number}.png"), image[0])
            file.write(f"{tmp_path}/{number}.png,{row[0]!r},{row[1]!r}\n")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["label"] = images, targets
    (tmp_path / "a.txt").write_text(f"{tmp_path}/a.h5\n")
    stock = 'layer { name: "d" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "%s/a.txt" batch_size: 5 } }'
    options = {"source_type": source_type, "source": f"{tmp_path}/a.txt", "batch_size": 5, "label_format": "values"}
    if source_type == "CSV":
        options.update(source=f"{tmp_path}/a.csv", color=False, mean_value=128, scale=1 / 128)
    stock_loss = LOSS.format(loss=layer_text("EuclideanLoss", ["ip", "label"], ["loss"]))
    ours = python_layer("ImageDataLayer", [], ["data", "label"], options)
    weighted = LOSS.format(loss=python_layer("WeightedEuclideanLoss", ["ip", "label"], ["loss"], {}, 1))
    nets = [stock % tmp_path + stock_loss, ours + stock_loss, ours + weighted]
    results = []
    for number, text in enumerate(nets):
        net = write(text, tmp_path, f"net{number}.prototxt")
        solver = caffe.get_solver(write(SOLVER.format(net=net), tmp_path, f"solver{number}.prototxt"))
        solver.step(50)
        results.append([float(solver.net.blobs["loss"].data), *(blob.data.copy() for blob in solver.net.params["ip"])])
    for one, fed_by_ours, with_our_loss in zip(*results):
        np.testing.assert_array_equal(one, fed_by_ours)
        np.testing.assert_allclose(one, with_our_loss, rtol=2e-5, atol=1e-6)
