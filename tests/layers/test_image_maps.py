"""ImageMapDataLayer: where the pixels of an image go, those of its map go."""

import caffe
import cv2
import h5py
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.data import keyed
from caffe_pylayers.data.geometry import Draw
from caffe_pylayers.data.sources.lmdb import Datum, write_lmdb
from caffe_pylayers.errors import ConfigError, DataError
from tests.layers.map_data import COLOURS, fed, label_map, net_of, painted, write_pairs
from tests.refusals import refused

SIZES = [(40, 60), (52, 33), (30, 30), (61, 80), (45, 47), (33, 70)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("maps")
    write_pairs(made, SIZES)
    return made


def inside(labels, width):
    """Where a map has one label for so many pixels around: where a resized image is of one colour."""
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    labels = np.pad(labels.astype(np.float32), width, constant_values=-1)  # what was cut off is not known
    same = cv2.erode(labels, window) == cv2.dilate(labels, window)
    return same[width:-width, width:-width]


@pytest.mark.parametrize("like", [None, "ImageSegData", "DenseImageData"])
def test_an_image_and_its_map_stay_together(folder, like):
    options = {"batch_size": 50, "crop_size": [36, 44], "mirror": True, "scales": [0.5, 0.75, 1, 1.5, 2]}
    net = net_of(folder, "data label dim", shuffle=True, **options, **({"like": like} if like else {}))
    seen = set()
    for data, label, dim in fed(net, 20):
        for image, (labels,), (height, width) in zip(data, label, dim.reshape(-1, 2).astype(int)):
            padding = labels == 255
            assert padding.sum() == 36 * 44 - height * width
            sure = inside(labels, 2) & ~padding
            np.testing.assert_array_equal(image.transpose(1, 2, 0)[sure], COLOURS[labels[sure].astype(int)])
            assert not image[:, padding].any()
            seen.add((height, width, sure.sum()))
    assert len(seen) > 100


@pytest.mark.parametrize(
    "steps",
    [
        {"rotate": 30},
        {"rotate": {"range": 180, "p": 0.8}, "scale": [0.7, 1.5], "translate": 0.2},
        {"resized_crop": {}},
        {"resized_crop": {"area": [0.3, 1], "p": 0.7}, "rotate": {"range": 20, "p": 0.5}},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("scales", [[1], [0.7, 1.4]], ids=["whole", "scaled"])
def test_they_stay_together_when_they_are_augmented(folder, steps, scales):
    options = {"batch_size": 30, "crop_size": [36, 44], "mirror": True, "scales": scales, "augment": steps}
    seen, padding = 0, 0
    for data, label in fed(net_of(folder, **options), 6):
        for image, (labels,) in zip(data, label):
            sure = inside(labels, 4)
            expected = np.where((labels == 255)[:, :, None], 0, COLOURS[np.where(labels == 255, 0, labels).astype(int)])
            np.testing.assert_array_equal(image.transpose(1, 2, 0)[sure], expected[sure])
            seen += sure.sum()
            padding += (labels == 255).sum()
    assert seen > 10_000 and (padding > 1000) == ("resized_crop" not in steps or "p" in steps["resized_crop"])


def test_values_and_weights_are_missing_around_a_rotated_image(folder):
    turned = {"rotate": [45, 45]}
    ((_, values),) = fed(net_of(folder, "data value", map_type="values", batch_size=1, augment=turned))
    assert np.isnan(values[0, 0, 0, 0]) and np.isfinite(values[0, 0, 20, 30])
    ((_, values),) = fed(net_of(folder, "data value", map_type="values", batch_size=1, augment=turned, pad_label=-1))
    assert values[0, 0, 0, 0] == -1
    ((_, labels),) = fed(net_of(folder, batch_size=1, augment=turned, pad_label=-1))
    assert labels[0, 0, 0, 0] == -1 and (labels[0, 0, 10:30, 20:40] >= 0).all()


def loop(image, labels, draw, crop, mean, dense):
    """What the forks do with an image and its map, by what their layers are defined to do."""
    height, width = int(labels.shape[0] * draw.factor), int(labels.shape[1] * draw.factor)
    if draw.factor != 1:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    bottom, right = max(crop - height, 0), max(crop - width, 0)
    image = cv2.copyMakeBorder(image.astype(np.float64), 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=mean)
    labels = cv2.copyMakeBorder(labels, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=255)
    if dense and draw.flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    y, x = (int(at * (size - crop + 1)) for at, size in zip(draw, labels.shape))
    image, labels = image[y : y + crop, x : x + crop], labels[y : y + crop, x : x + crop]
    if not dense and draw.flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return (image - mean).transpose(2, 0, 1), labels


@pytest.mark.parametrize(
    "size", [{"batch_size": 1}, {"batch_size": 8, "crop_size": [90, 60]}], ids=["own size", "crop"]
)
@pytest.mark.parametrize(
    "resize", [{"short": 50}, {"long": 71}, {"long": 71, "pad": "mean"}, {"long": 70, "pad": "mean"}, [50, 90]]
)
def test_they_stay_together_when_they_are_resized(tmp_path, resize, size):
    write_pairs(tmp_path, [(90, 120), (101, 77), (61, 83), (64, 64)])
    options = {"resize": resize, "mirror": True, "scales": [0.6, 1, 1.3], "shuffle": True, **size}
    count = 0
    for data, label in fed(net_of(tmp_path, **options), 80 // options["batch_size"]):
        for image, (labels,) in zip(data, label):
            sure = inside(labels, 3) & (labels != 255)
            np.testing.assert_array_equal(image.transpose(1, 2, 0)[sure], COLOURS[labels[sure].astype(int)])
            count += sure.sum()
    assert count > 10_000


@pytest.mark.parametrize("like", ["ImageSegData", "DenseImageData"])
def test_presets_do_what_the_layers_of_the_forks_do(folder, like):
    mean, crop = (104.4, 117.2, 122.9), 40
    dense = like == "DenseImageData"
    scales = [0.7, 1, 1.3]
    net = net_of(
        folder, batch_size=6, crop_size=crop, mirror=True, scales=scales, mean_value=list(mean), like=like, seed=3
    )
    for number, (data, label) in enumerate(fed(net, 5)):
        places = np.arange(6) + 6 * number
        keys = keyed.bits(keyed.bits(3, 0, places // len(SIZES), places % len(SIZES)), 0)
        for index, record in enumerate(places % len(SIZES)):
            y, x, flip, factor = (keyed.uniform(keys, purpose)[index] for purpose in range(4))
            draw = Draw(y, x, flip < 0.5, scales[int(factor * 3)])
            labels = label_map(record, *SIZES[record])
            image, expected = loop(painted(labels), labels, draw, crop, mean, dense)
            np.testing.assert_array_equal(label[index, 0], expected)
            np.testing.assert_allclose(data[index], image, atol=1e-4)


def test_in_test_the_centre_is_cut_out_unless_it_is_like_segnet(folder):
    centre = net_of(folder, phase=caffe.TEST, crop_size=30, mirror=True, scales=[0.5], batch_size=6)
    (_, first), (_, again) = fed(centre, 2)
    np.testing.assert_array_equal(first, again)
    for labels, record in zip(first[:, 0], range(6)):
        whole = label_map(record, *SIZES[record])
        y, x = ((size - 30) // 2 for size in whole.shape)
        np.testing.assert_array_equal(labels, whole[y : y + 30, x : x + 30])
    (_, dense), (_, again) = fed(
        net_of(folder, phase=caffe.TEST, crop_size=30, mirror=True, batch_size=6, like="DenseImageData"), 2
    )
    np.testing.assert_array_equal(dense, again)
    assert (dense != first).any()


@pytest.mark.parametrize("resize", [None, {"short": 24}])
def test_at_their_own_sizes(folder, resize):
    options = {"batch_size": 1, "mean_value": 7, "resize": resize}
    alone = fed(net_of(folder, "data label dim", **options), 8)
    for number, (data, label, dim) in enumerate(alone):
        height, width = SIZES[number % len(SIZES)]
        if resize:
            shorter = min(height, width)
            height, width = 24 * height // shorter, 24 * width // shorter
        assert data.shape == (1, 3, height, width) and label.shape == (1, 1, height, width)
        assert dim.ravel().tolist() == [height, width]
    ahead = net_of(folder, "data label dim", **options, prefetch=2, workers=2)
    try:
        for one, other in zip(alone, fed(ahead, 8)):
            assert [top.shape for top in one] == [top.shape for top in other]
            assert all(np.array_equal(*tops) for tops in zip(one, other))
    finally:
        caffe_pylayers.close()


def test_layers_behind_follow_the_size(folder):
    text = (
        'layer { name: "conv"  type: "Convolution"  bottom: "data"  top: "scores"  '
        'convolution_param { num_output: 5  kernel_size: 1  weight_filler { type: "xavier" } } }'
        'layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "label"  top: "loss" }'
    )
    net_of(folder, batch_size=1)
    path = folder / "net.prototxt"
    path.write_text(path.read_text() + text)
    net = caffe.Net(str(path), caffe.TRAIN)
    for size in SIZES:
        assert np.isfinite(net.forward()["loss"])
        assert net.blobs["scores"].data.shape == (1, 5, *size)


def test_a_larger_image_than_max_pixels_is_named(folder):
    net = net_of(folder, batch_size=1, max_pixels=3000)
    fed(net, 3)
    with refused(DataError, "61 x 80", remedy="max_pixels", record=3):
        net.forward()
    for more in ({}, {"crop_size": 30}):
        with refused(DataError, "80 x 120", "`scales`", remedy="raise `max_pixels`", record=0):
            net_of(folder, batch_size=1, max_pixels=3000, scales=[2], **more).forward()
    with refused(DataError, "60 x 90", "after `resize`", remedy="raise `max_pixels`", record=0):
        net_of(folder, max_pixels=3000, resize={"short": 60}, crop_size=30)


def test_a_top_that_is_too_large_for_caffe_is_refused(folder):
    net = net_of(folder, batch_size=1)
    with refused(ConfigError, "(1, 3, 30000, 30000)", remedy="'max_pixels'"):
        net.layers[0].fit([net.layers[0]] * 2, (30000, 30000))


def test_weights_of_pixels(folder):
    lines = []
    for number, size in enumerate(SIZES):
        weights = label_map(number, *size).astype(np.float32) * 0.5
        cv2.imwrite(str(folder / f"{number}_weights.png"), (weights * 2).astype(np.uint8))
        lines.append(f"{number}.png,{number}_labels.png,{number}_weights.png\n")
    (folder / "weighted.txt").write_text("name,map,weights\n" + "".join(lines))
    net = net_of(
        folder, "data label weight dim", source=str(folder / "weighted.txt"), header=True, weights=True, crop_size=50
    )
    ((_, label, weight, _),) = fed(net)
    padding = label == 255
    np.testing.assert_array_equal(weight[~padding], label[~padding])
    assert padding.any() and not weight[padding].any()


def test_values_are_bilinear_and_missing_around_the_image(folder):
    net = net_of(folder, "data value", map_type="values", resize=[20, 24], batch_size=6)
    ((_, values),) = fed(net)
    for found, record in zip(values[:, 0], range(6)):
        whole = label_map(record, *SIZES[record]).astype(np.float32)
        np.testing.assert_array_equal(found, cv2.resize(whole, (24, 20), interpolation=cv2.INTER_LINEAR))
    ((_, values),) = fed(net_of(folder, "data value", map_type="values", crop_size=70, batch_size=1))
    assert np.isnan(values).sum() == 70 * 70 - 40 * 60
    ((_, values),) = fed(net_of(folder, "data value", map_type="values", crop_size=70, batch_size=1, pad_label=-1))
    assert (values == -1).sum() == 70 * 70 - 40 * 60


@pytest.mark.parametrize(
    ("mapping", "expected"), [({"0": 255, "3": 0}, {0: 255, 3: 0}), ({1: -1, 2: 1000}, {1: -1, 2: 1000})]
)
def test_other_numbers_for_labels(folder, mapping, expected):
    ((_, plain),), ((_, mapped),) = (
        fed(net_of(folder, crop_size=30, batch_size=6, **more)) for more in ({}, {"label_map": mapping})
    )
    for label in range(len(COLOURS)):
        assert (mapped[plain == label] == expected.get(label, label)).all()


def test_a_mask_of_0_and_255_has_two_classes_and_padding(tmp_path):
    (labels,) = write_pairs(tmp_path, SIZES[:1])
    mask = np.where(labels > 2, 255, 0).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "0_labels.png"), mask)
    ((_, label),) = fed(net_of(tmp_path, batch_size=1, crop_size=70, label_map={"255": 1}))
    np.testing.assert_array_equal(label[0, 0, :40, :60], mask // 255)
    assert (label == 255).sum() == 70 * 70 - 40 * 60


def test_lmdbs_feed_what_the_files_do(folder, tmp_path):
    maps = [label_map(number, *size) for number, size in enumerate(SIZES)]
    images = [cv2.imencode(".png", painted(labels))[1].tobytes() for labels in maps]
    write_lmdb(str(tmp_path / "images"), [Datum(image, 0, encoded=True) for image in images])
    write_lmdb(str(tmp_path / "raw"), [Datum(labels.tobytes(), 0, 1, *labels.shape) for labels in maps])
    floats = [Datum(b"", 0, 1, *labels.shape, float_data=labels.ravel().astype(np.float32)) for labels in maps]
    write_lmdb(str(tmp_path / "floats"), floats)
    encoded = [Datum(cv2.imencode(".png", labels)[1].tobytes(), 0, encoded=True) for labels in maps]
    write_lmdb(str(tmp_path / "encoded"), encoded)
    options = {"crop_size": 40, "mirror": True, "scales": [0.8, 1.2], "shuffle": True}
    expected = fed(net_of(folder, **options), 3)
    for name in ("raw", "floats", "encoded"):
        lmdb = {"source_type": "LMDB", "source": str(tmp_path / "images"), "maps": str(tmp_path / name)}
        for one, other in zip(expected, fed(net_of(tmp_path, root=None, **lmdb, **options), 3)):
            assert all(np.array_equal(*tops) for tops in zip(one, other))
    write_lmdb(str(tmp_path / "fewer"), encoded[:-1])
    lmdb["maps"] = str(tmp_path / "fewer")
    with refused(DataError, "has no key for", "00000005", source=str(tmp_path / "fewer")):
        net_of(tmp_path, root=None, **lmdb, **options)


def test_an_integer_that_float32_would_round_is_refused(tmp_path):
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file["data"], file["label"] = np.zeros((2, 3, 4, 4), np.uint8), np.full((2, 4, 4), 2**24 + 1, ">i4")
    options = {"source_type": "HDF5", "source": str(tmp_path / "maps.h5"), "root": None, "batch_size": 2}
    with refused(DataError, "16777217", "row 0", record=0):
        net_of(tmp_path, **options)
    with h5py.File(tmp_path / "maps.h5", "a") as file:
        file["label"][...] = 2**24
    ((_, labels),) = fed(net_of(tmp_path, **options))
    assert (labels == 2**24).all()


def test_mirror_twice_is_the_image_and_its_map(folder):
    from caffe_pylayers.data.maps import Maps
    from caffe_pylayers.data.transforms import Transforms

    labels = label_map(0, *SIZES[0])
    transforms, maps = Transforms(), Maps(None, "labels", 255)
    window = transforms.window(labels.shape, Draw(0, 0, True))
    image, once = painted(labels), labels
    for _ in range(2):
        planes, out = np.empty((3, *SIZES[0]), np.uint8), np.empty(SIZES[0], np.uint8)
        transforms.write(np.ascontiguousarray(image), window, planes)
        maps.write(once, window, out)
        image, once = planes.transpose(1, 2, 0), out
    np.testing.assert_array_equal(image, painted(labels))
    np.testing.assert_array_equal(once, labels)


# ------------------------------------------------------------------------------------------------- what cannot be used


def test_files_that_are_not_there(folder, tmp_path, caplog):
    lines = (folder / "list.txt").read_text().splitlines()
    lines[2] = lines[2].replace("2_labels", "absent")
    (tmp_path / "list.txt").write_text("\n".join(lines))
    options = {"source": str(tmp_path / "list.txt"), "crop_size": 30, "batch_size": 5}
    with refused(DataError, "1 of 6 files do not exist", "absent.png", record=2):
        net_of(folder, **options)
    ((_, labels),) = fed(net_of(folder, missing="skip", **options))
    assert "left out" in caplog.text
    expected = [label_map(record, *SIZES[record]) for record in (0, 1, 3, 4, 5)]
    for found, whole in zip(labels[:, 0], expected):
        assert set(np.unique(found)) <= set(np.unique(whole))


def test_on_error_takes_image_and_map_together(folder, tmp_path, caplog):
    write_pairs(tmp_path, SIZES)
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "4_labels.png").write_bytes(b"no map")
    options = {"crop_size": 30, "batch_size": 6}
    with refused(DataError, "not an image", record=1):
        fed(net_of(tmp_path, **options))
    for prefetch in (0, 2):
        ((data, label),) = fed(net_of(tmp_path, on_error="skip", prefetch=prefetch, **options))
        caffe_pylayers.close()
        for image, labels, record in zip(data, label[:, 0], (0, 2, 2, 3, 5, 5)):
            whole = label_map(record, *SIZES[record])
            assert set(np.unique(labels)) <= set(np.unique(whole))
            sure = inside(labels, 1)
            np.testing.assert_array_equal(image.transpose(1, 2, 0)[sure], COLOURS[labels[sure].astype(int)])
    assert "unreadable records so far: 2 of 6" in caplog.text


def test_an_image_and_a_map_of_two_sizes(folder, tmp_path):
    write_pairs(tmp_path, SIZES)
    cv2.imwrite(str(tmp_path / "2_labels.png"), np.zeros((30, 31), np.uint8))
    net = net_of(tmp_path, resize=[20, 20], batch_size=6)
    with refused(DataError, "30 x 31", "30 x 30", record=2, source="2_labels.png"):
        net.forward()


@pytest.mark.parametrize(
    ("options", "words", "remedy"),
    [
        ({"source_type": "LMDB"}, "'maps' is required", "name the LMDB"),
        ({"source_type": "LMDB", "maps": "m", "weights": True}, "'weights' is true", "name the LMDB of the weights"),
        ({"weights": "weights_lmdb"}, "'weights' is a path", "set 'weights': true"),
        ({"scales": [0.5, 1]}, "'scales' gives images of several sizes", "set 'crop_size'"),
        ({"source_type": "BCF"}, "'source_type' must be", ""),
    ],
)
def test_options_that_do_not_go_together(folder, options, words, remedy):
    with refused(ConfigError, words, remedy=remedy):
        net_of(folder, **options)


def test_maps_of_several_depths(folder, tmp_path):
    """16 bits do not fit where the first map has 8; the other way round all numbers are kept."""
    cv2.imwrite(str(tmp_path / "deep.png"), label_map(0, *SIZES[0]).astype(np.uint16) * 300)
    pairs = [f"{folder}/0.png {tmp_path}/deep.png\n", f"{folder}/0.png {folder}/0_labels.png\n"]
    (tmp_path / "list.txt").write_text("".join(pairs))
    ((_, labels),) = fed(net_of(tmp_path, batch_size=2))
    np.testing.assert_array_equal(labels[0], labels[1] * 300)
    (tmp_path / "list.txt").write_text("".join(pairs[::-1]))
    with refused(DataError, "more than 8 bits", remedy="as many bits", record=1, source="deep.png"):
        fed(net_of(tmp_path, batch_size=2))


@pytest.mark.parametrize(
    "wrong", [np.int64(-(2**63)), np.uint64(2**63), np.float16(np.inf), np.float64(2**24 - 0.5), np.float32(np.nan)]
)
def test_labels_that_a_blob_cannot_hold(folder, tmp_path, wrong):
    labels = np.zeros(SIZES[0], wrong.dtype)
    labels[7, 9] = wrong
    np.save(str(tmp_path / "labels.npy"), labels)
    (tmp_path / "list.txt").write_text(f"{folder}/0.png {tmp_path}/labels.npy\n")
    with refused(DataError, "row 7, column 9", remedy="integers up to 16777216", record=0):
        net_of(tmp_path)


def test_a_missing_value_stays_missing_where_the_size_changes(folder, tmp_path):
    """What is made of it is not known either; the others are as without it."""
    whole = label_map(0, *SIZES[0]).astype(np.float32)
    missing = whole.copy()
    missing[11, 13] = np.nan
    for name, values in (("whole", whole), ("missing", missing)):
        np.save(str(tmp_path / f"{name}.npy"), values)
        (tmp_path / f"{name}.txt").write_text(f"{folder}/0.png {tmp_path}/{name}.npy\n")
    for resize in ([20, 30], [80, 120], [70, 41]):
        options = {"map_type": "values", "resize": resize, "batch_size": 1}
        ((_, plain),), ((_, found),) = (
            fed(net_of(tmp_path, "data value", source=str(tmp_path / f"{name}.txt"), **options))
            for name in ("whole", "missing")
        )
        lost = np.argwhere(np.isnan(found[0, 0]))
        y, x = (np.array((11.5, 13.5)) * (resize[0] / 40, resize[1] / 60) - 0.5).tolist()
        assert 1 <= len(lost) <= 16
        assert (np.abs(lost - (y, x)) <= np.maximum((resize[0] / 40, resize[1] / 60), 1)).all()
        np.testing.assert_array_equal(np.where(np.isnan(found), plain, found), plain)


def test_images_of_several_sizes_in_a_batch(folder):
    with refused(DataError, "(3, 52, 33)", remedy="`resize` or `crop_size`", record=1):
        fed(net_of(folder, batch_size=2))


def test_lines_that_are_no_pairs(folder, tmp_path):
    for text, words in (("0.png\n", "2 names expected"), ("0.png 0_labels.png\n1.png\n", "line 2"), ("", "no records")):
        (tmp_path / "list.txt").write_text(text)
        with refused(DataError) as caught:
            net_of(folder, source=str(tmp_path / "list.txt"))
        assert words in str(caught.value)
    (tmp_path / "list.txt").write_text("name,map\n0.png,0_labels.png\n")
    with refused(DataError, "names columns", remedy="`header: true`", source="line 1"):
        net_of(folder, source=str(tmp_path / "list.txt"))
    assert fed(net_of(folder, source=str(tmp_path / "list.txt"), header=True, batch_size=1))
    (tmp_path / "list.txt").write_text("name,label\n0.png,0_labels.png\n")
    with refused(DataError, "no column 'map'"):
        net_of(folder, source=str(tmp_path / "list.txt"), header=True)
