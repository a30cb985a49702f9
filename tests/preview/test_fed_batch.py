"""What data layers feed, undone to pictures and looked at for mistakes, on the real Caffe."""

import dataclasses

import cv2
import h5py
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers import DataError
from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.datum import Datum, write_blob
from caffe_pylayers.commands import layer_net
from caffe_pylayers.commands.preview import contact_sheet
from caffe_pylayers.commands.preview.fed_batch import Preparation, fed_by
from caffe_pylayers.commands.preview.fed_values import channels, findings
from caffe_pylayers.commands.preview.pictures import pictures, undone
from caffe_pylayers.commands.preview.preview import is_preview, preview_of
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests import caffe_nets
from tests.preview.data_layers import DATA, of_photos


@pytest.fixture(autouse=True)
def closed():
    yield
    caffe_pylayers.close()


def fed(kind, tops=None, batches=(0,), phase="TRAIN", **options):
    return fed_by(layer_net.layer_of(kind, repr(options), tops), phase, batches)


def fed_from_text(text, folder, phase="TRAIN"):
    return fed_by(nets.read_net(caffe_nets.write(text, folder)).layers[0], phase, [0])


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_mean_image_and_scale_are_undone_where_each_image_was_cropped_and_mirrored(phase, photos, tmp_path):
    mean = np.random.default_rng(0).uniform(0, 200, (3, 40, 48)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    options = of_photos(photos, crop_size=32, mirror=True, shuffle=True)
    plain = fed("ImageDataLayer", phase=phase, batches=[1, 3], **options)
    prepared = fed(
        "ImageDataLayer", phase=phase, batches=[1, 3], mean_file=str(tmp_path / "mean.npy"), scale=0.02, **options
    )
    assert len(prepared) == 24
    assert not np.allclose(prepared.images["data"], plain.images["data"], atol=10)
    for number in range(24):
        values = undone(prepared.images["data"][number], number, prepared.prepared["data"])
        np.testing.assert_allclose(values, plain.images["data"][number], atol=1e-3)
    drawn = pictures(prepared.images["data"], prepared.prepared["data"], [5])
    np.testing.assert_array_equal(drawn.pictures[0], plain.images["data"][5, ::-1].transpose(1, 2, 0))  # red first
    assert drawn.note == ""
    assert prepared.prepared["data"].words == "(x - mean.npy) * 0.02"


@pytest.mark.parametrize("more", [{"type": "PK", "classes_per_batch": 4, "samples_per_class": 3}, {"on_error": "skip"}])
def test_one_record_is_fed_again_and_again_as_it_is_drawn(photos, more):
    options = {**of_photos(photos), "batch_size": 12, "augment": {"brightness": 0.5}, **more}
    of_one = fed_by(layer_net.layer_of("ImageDataLayer", repr(options), 2), "TRAIN", [0], record=9)
    assert set(of_one.names["data"]) == {photos.names[9]} and of_one.record == 9
    assert len({image.tobytes() for image in of_one.images["data"]}) == 12
    whole = cv2.resize(photos.decoded(9), (48, 40)).transpose(2, 0, 1).astype(np.float32)
    for image in of_one.images["data"]:
        factor = image.sum() / whole.sum()
        assert 0.45 < factor < 1.55
        np.testing.assert_allclose(image, np.clip(whole * factor, 0, 255), atol=30)
    found = findings(of_one, channels(list(of_one.images.values())), [])
    assert not [finding for finding in found if "labels are" in finding]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_labels_and_names_of_triplets_come_from_the_plan_of_the_batch(phase, photos):
    """TripletDataLayer has no top for labels unless it is stacked."""
    options = {**of_photos(photos), "mean_value": [1, 2, 3], "phase": phase, "batches": [0, 2, 4], "restart_every": 3}
    apart = fed("TripletDataLayer", **options)
    together = fed("TripletDataLayer", 2, stacked=True, **options)
    assert list(apart.images) == list(together.images) == ["anchor", "positive", "negative"]
    for role in apart.images:
        np.testing.assert_array_equal(apart.images[role], together.images[role])
        np.testing.assert_array_equal(apart.labels[role], together.labels[role])
        own = [photos.labels[photos.names.index(name)] for name in apart.names[role]]
        np.testing.assert_array_equal(apart.labels[role], own)
    first = cv2.resize(photos.decoded(photos.names.index(apart.names["negative"][0])), (48, 40))
    np.testing.assert_allclose(
        undone(apart.images["negative"][0], 0, apart.prepared["negative"]), first.transpose(2, 0, 1), atol=1e-3
    )


def test_pairs_have_a_colour_and_words_for_sim(photos):
    pairs = fed("SiameseDataLayer", 5, **of_photos(photos))
    for label, label_p, sim in zip(pairs.labels["data"], pairs.labels["data_p"], pairs.values["sim"]):
        assert (label == label_p) == sim
    groups = preview_of(pairs).sheet.groups
    assert [group.heading for group in groups[:2]] == ["sim 1: same", "sim 0: different"]
    assert {cell.frame for cell in groups[0].cells} == {contact_sheet.GREEN}
    assert {cell.frame for cell in groups[1].cells} == {contact_sheet.RED}


def test_graded_pairs_have_neither(photos, tmp_path):
    (tmp_path / "pairs.csv").write_text("0,1,0.25\n1,2,1\n3,4,0\n")
    options = {**of_photos(photos), "pairs": str(tmp_path / "pairs.csv"), "graded": True, "phase": "TEST"}
    groups = preview_of(fed("SiameseDataLayer", 3, **options)).sheet.groups
    assert [group.heading for group in groups[:3]] == ["sim 0.25", "sim 1: same", "sim 0: different"]
    assert {cell.frame for cell in groups[0].cells} == {contact_sheet.GREY}


def list_of(folder, *images):
    """Options for a list of .npy files."""
    for number, image in enumerate(images):
        np.save(folder / f"{number}.npy", image)
    (folder / "list.txt").write_text("".join(f"{folder}/{number}.npy\n" for number in range(len(images))))
    return {"source": str(folder / "list.txt"), "color": "any", "batch_size": len(images), "phase": "TEST"}


def test_16_bits_are_drawn_over_the_range_that_they_have(tmp_path):
    images = np.random.default_rng(0).integers(1000, 4000, (3, 20, 30), dtype=np.uint16)
    images[0, 0, :2] = 500, 6500
    preview = preview_of(fed("ImageDataLayer", 1, **list_of(tmp_path, *images)))
    assert any("values go from 500 to 6500, not from 0 to 255" in note for note in preview.notes)
    expected = np.rint((images.astype(np.float64) - 500) * 255 / 6000)
    for group, picture in zip(preview.sheet.groups, expected):
        np.testing.assert_allclose(group.cells[0].picture, picture, atol=1)


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_channels_that_are_not_drawn_do_not_change_the_picture(channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 30, channels)).astype(np.float32)
    drawn = 1 if channels == 2 else 3
    images[..., drawn:] *= 1e6
    preview = preview_of(fed("ImageDataLayer", 1, **list_of(tmp_path, *images)))
    assert any("drawn" in note and f"{channels} channels" in note for note in preview.notes)
    for group, image in zip(preview.sheet.groups, images):
        expected = image[:, :, 2::-1] if drawn == 3 else image[:, :, 0]
        np.testing.assert_array_equal(group.cells[0].picture, expected)


def test_margins_and_several_labels_by_name(photos, tmp_path):
    lines = [f"{name},{number % 3}:{3 + number % 2}" for number, name in enumerate(photos.names)]
    (tmp_path / "sets.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "names.txt").write_text("cat\ndog\nhorse\nday\nnight\n")
    options = {**of_photos(photos), "source": str(tmp_path / "sets.csv")}
    triplets = fed("TripletDataLayer", 4, type="RANDOM_MULTILABEL", **options)
    group = preview_of(triplets, classes=str(tmp_path / "names.txt")).sheet.groups[3]
    assert group.heading == f"margin {triplets.values['margin'][3]:.3g}"
    first, second = triplets.labels["anchor"][3]
    names = ["cat", "dog", "horse", "day", "night"]
    assert group.cells[0].caption[0].replace("\u00a0", " ") == f"{first} {names[first]}, {second} {names[second]}"
    several = fed("MultiLabelDataLayer", multilabel=True, **options)
    assert several.tops["label"] == (12, 5, 1, 1)
    np.testing.assert_array_equal(several.labels["data"][:3], [[0, 3], [1, 4], [2, 3]])
    assert preview_of(several).sheet.groups[1].cells[0].caption[0].replace("\u00a0", " ") == "labels 1, 4"


def test_sample_weights_stand_under_their_images(photos, tmp_path):
    lines = [f"{name},{label},{label / 4}" for name, label in zip(photos.names, photos.labels)]
    (tmp_path / "weights.csv").write_text("\n".join(["name,label,weight", *lines]) + "\n")
    options = {**of_photos(photos, header=True), "source": str(tmp_path / "weights.csv")}
    weighted = preview_of(fed("ImageDataLayer", 3, **options))
    assert list(weighted.sheet.groups[3].cells[0].caption) == ["label 3", "weight 0.75", "photo 3.jpg"]


def test_a_pk_batch_is_grouped_by_class(photos):
    options = {**of_photos(photos), "type": "PK", "classes_per_batch": 4, "samples_per_class": 3}
    batch = fed("ImageDataLayer", **options)
    groups = preview_of(batch).sheet.groups
    assert [len(group.cells) for group in groups] == [3] * 4
    assert [group.heading for group in groups] == [f"label {label}" for label in batch.labels["data"][::3]]
    assert len({group.heading for group in groups}) == 4
    assert [list(cell.caption) for group in groups for cell in group.cells] == [[name] for name in batch.names["data"]]


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """Ten random images (10, 3, 12, 12) and an LMDB of them, sorted by class."""
    folder = tmp_path_factory.mktemp("pixels")
    images = np.random.default_rng(1).integers(0, 256, (10, 3, 12, 12), np.uint8)
    write_lmdb(str(folder / "lmdb"), (Datum(image.tobytes(), 7, 3, 12, 12) for image in images))
    return folder, images


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        ("", ""),
        ("scale: 0.00390625", "x * 0.00390625"),
        ("mean_value: 100 mean_value: 110 mean_value: 120 scale: 0.5", "(x - [100, 110, 120]) * 0.5"),
        ("mean_value: 99.5", "x - 99.5"),
    ],
)
@pytest.mark.stock_data
def test_what_stock_data_does_is_undone(transform, words, pixels, tmp_path):
    folder, images = pixels
    batch = fed_from_text(DATA.format(folder=folder, transform=transform), tmp_path)
    drawn = pictures(batch.images["data"], batch.prepared["data"], range(10))
    np.testing.assert_array_equal(drawn.pictures, images[:, ::-1].transpose(0, 2, 3, 1))
    assert batch.prepared["data"].words == words
    np.testing.assert_array_equal(batch.labels["data"], np.full(10, 7))


@pytest.mark.stock_data
def test_the_mean_image_of_a_random_stock_crop_is_said_to_be_about(pixels, tmp_path):
    folder, _ = pixels
    (tmp_path / "mean.binaryproto").write_bytes(
        write_blob(np.full((1, 3, 12, 12), 100)),
    )
    transform = f'crop_size: 8 mean_file: "{tmp_path}/mean.binaryproto"'
    batch = fed_from_text(DATA.format(folder=folder, transform=transform), tmp_path)
    made = preview_of(batch)
    assert any("the mean image is added at the centre" in note for note in made.notes)
    assert all(group.cells[0].picture.shape == (8, 8, 3) for group in made.sheet.groups)


HDF5 = (
    'layer {{ name: "in" type: "HDF5Data" top: "data" top: "label" hdf5_data_param {{ source: "{folder}/list.txt" '
    "batch_size: 6 }} }}"
)


@pytest.mark.parametrize(
    ("shape", "picture", "note"),
    [
        ((64, 7, 9), (7, 9, 3), "64 channels: the first three are drawn as blue, green, red"),
        ((2, 7, 9), (7, 9), "2 channels: only the first is drawn"),
        ((7, 9), (7, 9), ""),
        ((50,), (7, 8), "vectors of 50, drawn row by row"),
        ((50, 1, 1), (7, 8), "vectors of 50, drawn row by row"),
        ((2, 3, 8, 8), (8, 8), "only the first of the 3 planes of a channel is drawn"),
    ],
)
def test_blobs_of_any_shape_are_drawn_and_it_is_said_how(shape, picture, note):
    values = np.linspace(-1, 1, 6 * int(np.prod(shape)), dtype=np.float32).reshape(6, *shape)
    drawn = pictures(values, Preparation(), range(6))
    assert [each.shape for each in drawn.pictures] == [picture] * 6
    assert note in drawn.note
    assert "values go from -1 to " in drawn.note
    assert drawn.pictures[0].min() == 0
    assert drawn.pictures[0].max() < drawn.pictures[-1].max()


def test_features_of_hdf5_data(tmp_path):
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file["data"] = np.linspace(-1, 1, 6 * 192, dtype=np.float32).reshape(6, 3, 8, 8)
        file["label"] = np.arange(6, dtype=np.float32)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/1.h5\n")
    made = preview_of(fed_from_text(HDF5.format(folder=tmp_path), tmp_path))
    assert "values go from -1 to 1, not from 0 to 255 like pixels: drawn from black to white" in made.notes
    cells = [group.cells[0] for group in made.sheet.groups]
    assert [list(cell.caption) for cell in cells] == [[f"label {number}"] for number in range(6)]
    made.write(str(tmp_path / "sheet.png"))
    assert is_preview(str(tmp_path / "sheet.png"))


def test_label_maps_are_drawn_in_colours_beside_their_images(tmp_path):
    maps = np.zeros((4, 1, 6, 6), np.float32)
    maps[:, 0, 2], maps[:, 0, 3], maps[:, 0, 5] = 1, 20, 255
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file["data"], file["label"] = np.random.default_rng(0).uniform(0, 255, (4, 3, 6, 6)), maps
    (tmp_path / "list.txt").write_text(f"{tmp_path}/1.h5\n")
    made = preview_of(fed_from_text(HDF5.format(folder=tmp_path), tmp_path))
    assert list(made.sheet.columns) == ["data", "label"]
    assert made.notes[-1] == "label: integers, each in its own colour: 0 black, 255 white"
    rows = made.sheet.groups[0].cells[1].picture[:, 0].tolist()
    assert rows[0] == rows[1] == rows[4] == [0, 0, 0]
    assert rows[5] == [255, 255, 255]
    assert len({tuple(row) for row in rows}) == 4
    assert made.findings == []


def changed(batch, **changes):
    """A batch with other images, labels or values."""
    return dataclasses.replace(batch, **changes)


def found_in(batch, others=()):
    return "\n".join(findings(batch, channels(list(batch.images.values())), others))


def test_usual_mistakes_are_found(photos):
    options = of_photos(photos, batch_size=10, shuffle=True)
    fine = fed("ImageDataLayer", 2, mean_value=110, scale=0.01, **options)
    assert found_in(fine) == ""
    raw = fed("ImageDataLayer", 2, **options)
    assert "like pixels, and neither this layer nor a later one normalises" in found_in(raw)
    assert "give it in units of 0 to 255" in found_in(fed("ImageDataLayer", 2, mean_value=[0.4, 0.4, 0.5], **options))
    assert "hardly differ" in found_in(fed("ImageDataLayer", 2, mean_value=110, scale=1e-5, **options))
    assert "is it the mean of these images?" in found_in(fed("ImageDataLayer", 2, mean_value=1100, **options))
    images = fine.images["data"].copy()
    images[2, 0, 3, 3] = np.nan
    assert found_in(changed(fine, images={"data": images})).startswith("1 values are NaN or infinite")
    images[:] = images[:1]
    assert "all 10 images (data) are equal" in found_in(changed(fine, images={"data": images}))
    images = fine.images["data"].copy()
    images[4:7] = 3
    assert "3 of 10 images (data) have the same value everywhere" in found_in(changed(fine, images={"data": images}))
    same = {"data": np.full(10, 4)}
    assert "all 10 labels are 4: shuffle a source that is sorted by class" in found_in(changed(fine, labels=same))
    assert found_in(changed(fine, labels=same, phase="TEST")) == ""


def test_equal_anchors_and_positives_and_one_sided_pairs_are_found(photos):
    triplets = fed("TripletDataLayer", mean_value=110, **of_photos(photos))
    assert found_in(triplets) == ""
    triplets.images["positive"][:2] = triplets.images["anchor"][:2]
    assert "2 of 12 triplets have an anchor that equals its positive" in found_in(triplets)
    pairs = fed("SiameseDataLayer", mean_value=110, **of_photos(photos))
    assert found_in(pairs) == ""
    pairs.values["sim"][:] = 0
    assert "all 12 pairs have sim 0" in found_in(pairs)


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ("", True),
        ('layer { name: "c" type: "Convolution" bottom: "data" top: "c" }', True),
        ('layer { name: "n" type: "BatchNorm" bottom: "data" top: "n" }', False),
        (
            'layer { name: "c" type: "Concat" bottom: "data" top: "all" } '
            'layer { name: "s" type: "Power" bottom: "all" top: "s" power_param { scale: 0.01 } }',
            False,
        ),
    ],
)
@pytest.mark.stock_data
def test_raw_pixels_are_no_mistake_where_the_net_normalises_them(behind, expected, pixels, tmp_path):
    raw = fed_from_text(DATA.format(folder=pixels[0], transform=""), tmp_path)
    net = nets.read_net(caffe_nets.write(behind, tmp_path))
    assert ("normalises them" in found_in(raw, net.layers)) == expected


def test_rows_of_0_and_1_as_numbers_of_labels_are_refused(photos, tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(37 * 3).reshape(37, 3) % 2)
    options = of_photos(photos, labels=str(tmp_path / "rows.npy"), multilabel=True)
    with pytest.raises(DataError) as error:
        fed("MultiLabelDataLayer", **options)
    assert "layer 'train_data'" in error.value.source and "0:1:0" in error.value.problem
    assert "`label_format: indicator`" in error.value.remedy
    rows = fed("MultiLabelDataLayer", label_format="indicator", **options)
    np.testing.assert_array_equal(rows.labels["data"][:2], [[1, -1], [0, 2]])
