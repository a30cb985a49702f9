"""`caffe-pylayers preview` of labels that are any numbers: points where they belong, values in the captions."""

import copy

import cv2
import h5py
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.caffe_files import nets
from caffe_pylayers.commands import layer_net
from caffe_pylayers.commands.preview import contact_sheet
from caffe_pylayers.commands.preview.fed_batch import fed_by
from caffe_pylayers.commands.preview.pictures import LABEL_COLOURS
from caffe_pylayers.commands.preview.preview import preview_of
from caffe_pylayers.errors import DataError
from tests.caffe_nets import layer_text, write
from tests.refusals import refused

SIZE = (40, 60)  # height, width of the pictures


@pytest.fixture(autouse=True)
def closed():
    yield
    caffe_pylayers.close()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Pictures with a blue and a red dot, and a list with an age and where the dots are; some are missing."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.RandomState(0)
    lines = ["name,age,x1,y1,x2,y2\n"]
    for number in range(24):
        image = np.zeros((*SIZE, 3), np.uint8)
        fields = [f"{folder}/{number}.png", "" if number == 3 else f"{20 + number}.5"]
        for channel, left in ((0, 5), (2, 32)):
            x, y = rng.randint(left, left + 22), rng.randint(5, SIZE[0] - 5)
            if rng.uniform() < 0.2:
                fields += ["", ""]
                continue
            image[y - 1 : y + 2, x - 1 : x + 2, channel] = 255
            fields += [str(x), str(y)]
        cv2.imwrite(fields[0], image)
        lines.append(",".join(fields) + "\n")
    (folder / "list.csv").write_text("".join(lines))
    return folder


POINTS = {"points": [[1, 2], [3, 4]]}


def fed(faces, tops=2, phase="TRAIN", **options):
    options = {"source": f"{faces}/list.csv", "header": True, "label_format": "values", "batch_size": 24, **options}
    return fed_by(layer_net.layer_of("ImageDataLayer", repr(options), tops), phase, [0])


def drawn(made, path):
    made.write(str(path))
    return cv2.imread(str(path)).astype(int)


def without_and_with(batch, folder):
    """The sheets of a batch without its points, and with them."""
    without = copy.copy(batch)
    without.points = np.full_like(batch.points, np.nan)
    return [drawn(preview_of(each), folder / "sheet.png") for each in (without, batch)]


def centres(mask):
    """Where the patches of a mask are."""
    _, _, _, places = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return places[1:]


def dots(sheet, channel):
    """The blue (0) or red (2) dots of pictures on a sheet."""
    others = np.delete(sheet, channel, axis=2).max(2)
    return centres((sheet[:, :, channel] > 140) & (others < 60))


def markers(sheet, number):
    """Where a sheet has a dot in the colour of that label, of which the number of another point may cover a part."""
    mask = (sheet == LABEL_COLOURS[number][::-1].astype(int)).all(2)
    return centres(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))))


def are_on(places, dots):
    """Whether each place is at a dot. A dot that the edge of a picture cuts off has its centre half a pixel of the picture aside."""
    return [bool(np.hypot(*(dots - place).T).min() < 3.5) for place in places]


def in_sight(batch, number):
    """How many points of a number lie in the pixels of their images, counted one by one."""
    height, width = batch.images["data"].shape[2:]
    count = 0
    for x, y in batch.points[:, number]:
        count += bool(x == x and -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5)
    return count


GEOMETRIES = {
    "mirrored": ("TRAIN", {"mirror": True}),
    "all": ("TRAIN", {"resize": [60, 90], "crop_size": [50, 70], "mirror": True, "mean_value": 9, "scale": 0.5}),
    "parts": ("TEST", {"resize": [60, 90], "crop_size": [50, 70], "normalize_points": True}),
    "padded": ("TRAIN", {"resize": {"long": 90, "pad": "mean"}, "mirror": True, "normalize_points": True}),
    "large": ("TRAIN", {"resize": [200, 300], "crop_size": [180, 260]}),
    "outside": ("TRAIN", {"crop_size": 24, "outside": "nan"}),
}


@pytest.mark.parametrize("phase, options", GEOMETRIES.values(), ids=GEOMETRIES)
def test_points_are_drawn_on_their_pixels(phase, options, faces, tmp_path):
    batch = fed(faces, phase=phase, **POINTS, **options)
    plain, sheet = without_and_with(batch, tmp_path)
    for number, channel in enumerate((0, 2)):
        found, expected = markers(sheet, number + 1), dots(plain, channel)
        assert len(found) == in_sight(batch, number) > 4
        assert all(are_on(found, expected))


def test_a_mirrored_pair_changes_its_colours(faces, tmp_path):
    batch = fed(faces, mirror=True, flip_pairs=[[0, 1]], **POINTS)
    plain, sheet = without_and_with(batch, tmp_path)
    flips = int(batch.prepared["data"].flip.sum())
    on_blue = are_on(markers(sheet, 1), dots(plain, 0))
    assert 4 < flips < 20 and 4 < on_blue.count(False) <= flips and on_blue.count(True) <= 24 - flips


def test_the_sheet_says_how_many_points_it_has(faces):
    batch = fed(faces, crop_size=24, **POINTS)
    (note,) = (note for note in preview_of(batch).notes if note.startswith("points: "))
    missing, seen = int(np.isnan(batch.points).any(2).sum()), in_sight(batch, 0) + in_sight(batch, 1)
    assert missing > 0 and 0 < seen < 48 - missing
    assert note == f"points: {seen} of 48 drawn; {missing} missing, {48 - missing - seen} outside of their images"


def captions(made):
    return [group.cells[0].caption for group in made.sheet.groups]


def test_values_are_in_the_captions(faces, tmp_path):
    found = captions(preview_of(fed(faces, **POINTS)))
    assert found[2] == ["age 22.5", "2.png"] and found[3] == ["age missing", "3.png"]
    found = captions(preview_of(fed(faces, labels=["age", "x1"])))
    assert found[0][0] == "age 20.5" and found[0][1].startswith("x1 ")
    np.save(tmp_path / "v.npy", np.tile([-1, 2, np.nan, -1], (24, 1)))
    found = captions(preview_of(fed(faces, labels=f"{tmp_path}/v.npy")))
    assert found[0][:2] == ["values -1, 2,", "missing, -1"]  # a -1 is a number here
    found = captions(preview_of(fed(faces, on_error="skip", **POINTS)))
    assert found[2] == ["age 22.5"]


def test_ten_crops_have_the_names_and_points_of_their_image(faces, tmp_path):
    batch = fed(faces, phase="TEST", crops="ten", crop_size=[30, 50], batch_size=4, **POINTS)
    assert len(batch) == len(batch.names["data"]) == 40
    assert [caption[0] for caption in captions(preview_of(batch))][9:11] == ["age 20.5", "age 21.5"]
    plain, sheet = without_and_with(batch, tmp_path)
    found = markers(sheet, 1)
    assert len(found) > 20 and all(are_on(found, dots(plain, 0)))


def listed(folder, rows, **options):
    """What is found in a list with these values."""
    image = np.random.RandomState(0).randint(0, 250, (20, 20, 3)).astype(np.uint8)
    for number in range(len(rows)):
        cv2.imwrite(f"{folder}/{number}.png", np.roll(image, number))
    lines = [f"{folder}/{number}.png,{','.join(map(str, row))}\n" for number, row in enumerate(rows)]
    (folder / "rows.csv").write_text("".join(lines))
    options = {"source": f"{folder}/rows.csv", "label_format": "values", "batch_size": 10, "scale": 0.01, **options}
    tops = options.pop("tops", 2)
    made = preview_of(fed_by(layer_net.layer_of("ImageDataLayer", repr(options), tops), "TRAIN", [0]))
    return " ".join(made.findings)


def test_mistakes_with_values(tmp_path):
    rng = np.random.RandomState(0)
    parts, pixels = rng.uniform(0.1, 0.9, (10, 4)), rng.uniform(1, 19, (10, 4))
    points = {"points": [[0, 1], [2, 3]]}
    assert listed(tmp_path, pixels, **points) == listed(tmp_path, parts) == ""
    assert "points are in pixels of the stored image" in listed(tmp_path, parts, **points)
    assert "`points` has no effect" in listed(tmp_path, pixels, **points, tops=1)
    assert "all values are missing" in listed(tmp_path, [["nan", "nan"]] * 10)
    assert "all 10 samples have the same values, 5, 0.5" in listed(tmp_path, [[5, 0.5]] * 10)


def test_values_of_stock_layers(tmp_path):
    """A -1 is a number among others, and no filling."""
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["data"] = np.random.default_rng(0).random((3, 3, 8, 8), np.float32)
        file["label"] = np.array([[-1, 0.5], [0.25, -1], [np.nan, -1]], np.float32)
    (tmp_path / "v.txt").write_text(f"{tmp_path}/v.h5\n")
    text = layer_text(
        "HDF5Data", [], ["data", "label"], f'hdf5_data_param {{ source: "{tmp_path}/v.txt" batch_size: 3 }}'
    )
    made = preview_of(fed_by(nets.read_net(write(text, tmp_path)).layers[0], "TRAIN", [0]))
    assert captions(made) == [["values -1, 0.5"], ["values 0.25, -1"], ["values missing, -1"]]


def test_values_have_no_class_names(faces, tmp_path):
    (tmp_path / "names.txt").write_text("cat\n")
    with refused(DataError, "--classes"):
        preview_of(fed(faces), classes=str(tmp_path / "names.txt"))


def test_many_points_have_no_numbers_and_missing_ones_do_not_show(tmp_path):
    points = np.stack([np.arange(68.0), np.arange(68.0) % 9], 1)
    points[::2] = np.nan
    cell = contact_sheet.Cell(np.zeros((10, 70, 3), np.uint8), points=points)
    sheet = contact_sheet.Sheet("t", [], [], [contact_sheet.Group([cell])], [])
    contact_sheet.draw(str(tmp_path / "sheet.png"), sheet)
    seen = cv2.imread(str(tmp_path / "sheet.png")).astype(int)
    assert len(markers(seen, 68)) == 1 and len(markers(seen, 67)) == 0
