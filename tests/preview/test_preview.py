"""`caffe-pylayers preview`, and the sheet that it draws."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from caffe_pylayers.commands.preview import contact_sheet
from caffe_pylayers.commands.preview.fed_values import channels
from caffe_pylayers.files.output_file import output_file
from tests import transcripts
from tests.layers.runs import assert_gone, heed_ctrl_c
from tests.preview.data_layers import DATA, of_photos
from tests.program import PROGRAM, run
from tests.transcripts import without_complaints


def test_pictures_are_on_the_sheet_side_by_side_in_their_colours(tmp_path):
    first, second = (np.full((60, 30, 3), colour, np.uint8) for colour in ((10, 200, 30), (70, 10, 250)))
    cells = [contact_sheet.Cell(first, ["$5 & \\ caf\u00e9 \u732b"]), contact_sheet.Cell(second)]
    stats = channels([np.random.default_rng(0).normal(size=(4, 3, 5, 5))])
    sheet = contact_sheet.Sheet(
        "title", ["note"], ["a", "b"], [contact_sheet.Group(cells, "heading")], stats, ["found"]
    )
    contact_sheet.draw(str(tmp_path / "sheet.png"), sheet)
    drawn = cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1]
    assert drawn.shape[1] == 1228
    places = [np.argwhere((drawn == colour).all(2)) for colour in (first[0, 0], second[0, 0])]
    for place in places:
        assert len(place) == pytest.approx(120 * 60, rel=0.03)  # frames cover the edge
    assert places[1][:, 1].min() - places[0][:, 1].max() == pytest.approx(6, abs=2)
    assert places[0][:, 0].min() == places[1][:, 0].min()


def test_a_sheet_that_cannot_be_drawn_leaves_the_older_one(tmp_path):
    path = tmp_path / "preview.png"
    path.write_bytes(b"older")
    with pytest.raises(ZeroDivisionError), output_file(str(path)) as partial:
        Path(partial).write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


NET = """
layer {{ name: "train_data" type: "Python" top: "a" top: "p" top: "n" include {{ phase: TRAIN }}
  python_param {{ module: "caffe_pylayers" layer: "TripletDataLayer" param_str: "{train}" }} }}
layer {{ name: "more data/2" type: "Python" top: "data" include {{ phase: TRAIN stage: "two" }}
  python_param {{ module: "caffe_pylayers" layer: "ImageDataLayer" param_str: "{train}" }} }}
layer {{ name: "test_data" type: "Python" top: "data" top: "label" include {{ phase: TEST }}
  python_param {{ module: "caffe_pylayers" layer: "ImageDataLayer" param_str: "{train}" }} }}
"""


@pytest.fixture
def net(photos, tmp_path):
    options = of_photos(photos, mean_value=110, scale=0.01, prefetch=True)
    (tmp_path / "net.prototxt").write_text(NET.format(train=options))
    return tmp_path


def test_the_command_draws_each_data_layer_of_the_phase(net):
    done = run("preview", "net.prototxt", cwd=net)
    assert (done.returncode, without_complaints(done.stderr)) == (0, "")
    expected = (
        "train_data: TripletDataLayer, TRAIN, batch 0: 12 of 12 triplets\na 12 x 3 x 40 x 48, p 12 x 3 x 40 x 48, n "
    )
    assert done.stdout.startswith(expected)
    assert "as fed: (x - 110) * 0.01, undone in the pictures" in done.stdout
    assert done.stdout.endswith("wrote preview.png\n")


def test_batches_of_test_as_json_over_an_older_preview(net, command):
    command("preview", "net.prototxt")
    status, out, err = command("preview", "net.prototxt", "--phase", "TEST", "--batch", "1", "--batches", "2", "--json")
    assert (status, err) == (0, "")
    (found,) = json.loads(out)
    assert (found["output"], found["samples"]) == ("preview.png", 24)
    assert found["title"] == "test_data: ImageDataLayer, TEST, batch 1: 24 of 24 samples"
    assert [channel["name"] for channel in found["channels"]] == ["blue", "green", "red"]
    assert found["channels"][0]["min"] == pytest.approx(-1.1, abs=0.1)


def test_several_data_layers_have_a_picture_each(net, command):
    command("preview", "net.prototxt", "--output", "preview_train_data.png")
    status, out, _ = command("preview", "net.prototxt", "--stage", "two", "--rows", "1")
    assert status == 0
    assert "train_data: TripletDataLayer, TRAIN, batch 0: 3 of 12 triplets" in out
    assert "more data/2: ImageDataLayer, TRAIN, batch 0: 11 of 12 samples" in out
    made = {path.name for path in net.iterdir()}
    assert made == {"net.prototxt", "preview_train_data.png", "preview_more_data_2.png"}


def test_a_layer_of_options_alone_with_a_finding(photos, tmp_path, command):
    arguments = ["--layer-type", "ImageDataLayer", "--options", repr(of_photos(photos)), "--tops", "2"]
    status, out, _ = command("preview", *arguments, "--output", "raw.png")
    assert status == 1
    assert "warning: values go from 0 to 2" in out
    assert (tmp_path / "raw.png").exists()


def test_one_image_many_times(photos, tmp_path, command):
    options = of_photos(
        photos, crop_size=32, augment={"rotate": 20, "hue": 0.2}, shuffle=True, mean_value=110, scale=0.01
    )
    arguments = ["--layer-type", "ImageDataLayer", "--options", repr(options), "--tops", "2", "--augment", "7"]
    status, out, _ = command("preview", *arguments)
    assert status == 0 and "batch 0: 12 of 12 draws of record 7" in out and "no effect" not in out
    assert (tmp_path / "preview.png").exists()
    status, _, err = command("preview", *arguments, "--phase", "TEST")
    assert status == 2 and "--augment is for TRAIN" in err
    status, _, err = command("preview", *arguments[:-1], str(len(photos.names)))
    assert status == 2 and f"the records of {photos.csv} are 0 to {len(photos.names) - 1}" in err
    status, _, err = command(
        "preview", "--layer-type", "TripletDataLayer", "--options", repr(of_photos(photos)), "--augment", "0"
    )
    assert status == 2 and "--augment is for ImageDataLayer, MultiLabelDataLayer and ImageMapDataLayer" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.prototxt"], "none.prototxt: cannot read it: No such file"),
        (
            ["deploy.prototxt"],
            "deploy.prototxt: it has no data layer in TRAIN; its layers: in (Input), ip (InnerProduct)",
        ),
        (["net.prototxt", "--layer", "nix"], "it has no data layer 'nix' in TRAIN; its layers: train_data (Python)"),
        (["net.prototxt", "--stage", "two", "--output", "x.png"], "--output is one file, but there are 2 data layers"),
        (["net.prototxt", "--output", "deploy.prototxt"], "deploy.prototxt is there already; --force overwrites it"),
        (
            ["net.prototxt", "--classes", "names.txt"],
            "names.txt: it names 1 classes, one per line, but there is a label 4",
        ),
        (["net.prototxt", "--tops", "2"], "--tops is only for --layer-type; a net has its own"),
        (["--options", "{}"], "give a net or solver, or --layer-type with --options"),
        (["--layer-type", "TripletLoss"], "TripletLoss is not a data layer: it needs bottoms"),
        (
            ["--layer-type", "ImageDataLayer", "--options", "{'source': 'x', 'sauce': 1}"],
            "unknown option 'sauce'; did you mean 'source'?",
        ),
        (["missing.prototxt"], "missing.prototxt:1 Data layer 'in': Caffe gives up: Check failed: "),
        (
            ["theirs.prototxt"],
            "theirs.prototxt:1 Python layer 'in': Caffe gives up: ModuleNotFoundError: No module named 'nix'",
        ),
        (["wrong.prototxt"], "wrong.prototxt:2: layer 'in': CSV source "),
    ],
)
def test_what_it_cannot_do_is_said_in_a_line(arguments, message, net, command):
    (net / "deploy.prototxt").write_text(
        'layer { name: "in" type: "Input" top: "data" } layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" }'
    )
    (net / "names.txt").write_text("cat\n")
    (net / "missing.prototxt").write_text(DATA.format(folder="nowhere", transform=""))
    python = (
        'layer {{ name: "in" type: "Python" top: "data" python_param {{ module: "{}" layer: "{}" param_str: "{}" }} }}'
    )
    (net / "theirs.prototxt").write_text(python.format("nix", "Nix", ""))
    (net / "wrong.prototxt").write_text("\n" + python.format("caffe_pylayers", "ImageDataLayer", "'source': 'nix.csv'"))
    before = sorted(path.name for path in net.iterdir())
    status, out, err = command("preview", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in net.iterdir()) == before


def test_ctrl_c_leaves_no_worker_and_no_file(net):
    process = subprocess.Popen(
        [str(PROGRAM), "preview", "net.prototxt", "--batch", "1000000"],
        cwd=net,
        env=transcripts.environment(),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        workers = []
        while not workers:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
            workers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 130
    assert printed.splitlines()[-1] == "caffe-pylayers: interrupted"
    assert_gone(workers)
    assert [path.name for path in net.iterdir()] == ["net.prototxt"]
