"""bench: what is measured hangs together, what is advised follows from it, and nothing is left running. Never how fast."""

import json
import math
import os
import signal
import subprocess
import time
from dataclasses import replace

import caffe
import cv2
import numpy as np
import psutil
import pytest

from caffe_pylayers.caffe_files import nets, prototxt
from caffe_pylayers.commands import layer_net
from caffe_pylayers.commands.bench.advice import advice
from caffe_pylayers.commands.bench.bare import Bare
from caffe_pylayers.commands.bench.bench import bench_layer, bench_net
from caffe_pylayers.commands.bench.figures import Feeding, Figures, Stages
from caffe_pylayers.commands.bench.run import run_net
from caffe_pylayers.commands.bench.stages import stages
from caffe_pylayers.commands.program import main
from caffe_pylayers.errors import ConfigError, DataError
from tests import transcripts
from tests.layers.runs import assert_gone, heed_ctrl_c
from tests.program import PROGRAM, run
from tests.training.runs import NO_GPU_99

NET = """
layer {{ name: "train_data"  type: "Python"  top: "data"  top: "label"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
layer {{ name: "weights"  type: "DummyData"  top: "weights"  dummy_data_param {{ shape {{ dim: 4 }} }} }}
layer {{ name: "more_data"  type: "Python"  top: "more"
  python_param {{ module: "caffe_pylayers"  layer: "ImageDataLayer"  param_str: "{options}" }} }}
layer {{ name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"
  inner_product_param {{ num_output: 3  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }}
layer {{ name: "silence"  type: "Silence"  bottom: "more"  bottom: "weights" }}
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """30 gray JPEGs of 60 x 80, a list of them, and the options of a layer; the working directory."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for number in range(30):
        gray = np.random.default_rng(number).integers(0, 256, (60, 80), np.uint8)
        cv2.imwrite(f"{number}.jpg", cv2.merge([gray] * 3))
        lines.append(f"{number}.jpg, {number % 3}\n")
    (tmp_path / "list.csv").write_text("".join(lines))
    return {"source": "list.csv", "batch_size": 4, "resize": 32}


def net_of(options, change=lambda text: text):
    return nets.net_of(prototxt.parse(change(NET.format(options=options))), "net.prototxt")


def children():
    return psutil.Process().children(recursive=True)


def numbers(value):
    """Every number in what json gives."""
    if isinstance(value, dict):
        return [number for entry in value.values() for number in numbers(entry)]
    if isinstance(value, list):
        return [number for entry in value for number in numbers(entry)]
    return [value] if isinstance(value, (int, float)) else []


# --- measuring -------------------------------------------------------------------------------------------------


def test_a_layer_by_itself(photos):
    figures = bench_layer(layer_net.layer_of("ImageDataLayer", repr(photos), 2), workers=[0, 2], seconds=0.1)
    assert children() == []
    assert (figures.layer, figures.type, figures.ours) == ("train_data", "ImageDataLayer", True)
    assert (figures.batch_size, figures.images, figures.workers) == (4, 4, 0)
    assert figures.megabytes == pytest.approx(4 * (3 * 32 * 32 + 1) * 4 / 1e6)
    assert [feeding.workers for feeding in figures.feeding] == [0, 2]
    for feeding in figures.feeding:
        assert feeding.rate > 0 and feeding.first > 0 and feeding.step is None
    assert figures.net is None
    assert figures.limit > 0 and figures.delivery > 0 and figures.memcpy > 0
    assert figures.stages.total > 0 and figures.stages.gray
    assert figures.stages.decoded_bytes == 30 * 32 * 32 * 3


def test_triplets_are_counted_as_samples_of_three_images(photos):
    layer = layer_net.layer_of("TripletDataLayer", repr({**photos, "prefetch": 5, "workers": 2}))
    figures = bench_layer(layer, workers=[1], seconds=0.1)
    assert (figures.batch_size, figures.images) == (4, 12)
    assert [feeding.workers for feeding in figures.feeding] == [1, 2]  # the one in the options comes along
    assert (figures.workers, figures.ahead) == (2, 5)


def test_a_whole_net(photos):
    figures = bench_net(net_of(photos), nets.NetState(), "train_data", workers=[1], seconds=0.1)
    assert children() == []
    for feeding in figures.feeding:
        assert 0 < feeding.waiting < feeding.step
    assert figures.net > 0
    assert advice(figures)


def test_what_is_behind_the_data_runs_without_drawing_any(photos):
    run_, layer = run_net(net_of(photos), nets.NetState(), "train_data")
    assert layer.name == "train_data" and run_.has_net
    run_.step()
    blobs = [run_.tops[0], run_._net.blobs["more"]]
    before = [blob.data.copy() for blob in blobs]
    for _ in range(3):
        run_.behind()
    assert all(np.array_equal(blob.data, array) for blob, array in zip(blobs, before))
    run_.data()
    assert [np.array_equal(blob.data, array) for blob, array in zip(blobs, before)] == [False, True]


def test_a_step_is_forward_and_backward_of_all(photos, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET.format(options=photos))
    caffe.set_random_seed(1)
    expected = caffe.Net("net.prototxt", caffe.TRAIN)
    expected.forward()
    expected.backward()
    caffe.set_random_seed(1)
    run_, _ = run_net(net_of(photos), nets.NetState(), None)
    total, waited = run_.step()
    assert 0 < waited < total
    for mine, theirs in zip(run_._net.params["ip"], expected.params["ip"]):
        assert np.abs(theirs.diff).max() > 0
        np.testing.assert_allclose(mine.diff, theirs.diff, rtol=1e-5)


@pytest.mark.stock_data
def test_a_layer_of_stock_caffe(photos, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{number}.jpg {number % 3}\n" for number in range(30)))
    text = (
        'layer { name: "data"  type: "ImageData"  top: "data"  top: "label"  image_data_param {'
        ' source: "list.txt"  batch_size: 5 } }'
        'layer { name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"  inner_product_param { num_output: 3 } }'
        'layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "ip"  bottom: "label"  top: "loss" }'
    )
    net = nets.net_of(prototxt.parse(text), "net.prototxt")
    figures = bench_net(net, nets.NetState(), seconds=0.1)
    assert (figures.ours, figures.batch_size, figures.stages) == (False, 5, None)
    assert len(figures.feeding) == 1 and figures.feeding[0].rate > 0
    assert any("not a layer of this package" in sentence for sentence in advice(figures))


def test_a_layer_that_is_fed_anew_goes_on_with_the_next_batch(photos):
    options = {**photos, "shuffle": True}
    whole = layer_net.net_of_layer(layer_net.layer_of("ImageDataLayer", repr(options), 2))
    expected = [whole.forward()["label"].copy() for _ in range(4)]
    net = layer_net.net_of_layer(layer_net.layer_of("ImageDataLayer", repr(options), 2))
    layer = net.layers[0]
    found = []
    for ahead, workers in ((0, 1), (3, 2), (0, 1), (2, 1)):
        layer.feed(ahead, workers)
        found.append(net.forward()["label"].copy())
        assert len(children()) == (workers if ahead else 0)
        layer.close()
    np.testing.assert_array_equal(found, expected)


def test_stages_of_records_that_need_no_decoding(photos):
    """Raw arrays and images that are kept decoded."""
    layer = layer_net.net_of_layer(layer_net.layer_of("ImageDataLayer", repr({**photos, "compressed": False}))).layers[
        0
    ]
    found = stages(layer.recipe, 0.1)
    assert (found.fast, found.small, found.decoded_bytes) == (None, None, None)
    assert found.total > 0


AUGMENTED = {"batch_size": 4, "resize": 32, "augment": {"rotate": 9, "brightness": 0.4, "resized_crop": {"p": 0.5}}}


@pytest.mark.parametrize(
    "size", [{"batch_size": 1}, {"batch_size": 4, "resize": 32}, AUGMENTED], ids=["own size", "resized", "augmented"]
)
def test_images_with_maps_are_measured_with_them(photos, tmp_path, size):
    """And nothing is advised that this layer has not."""
    for number in range(30):
        cv2.imwrite(f"{number}.png", np.full((60 + number, 80), number, np.uint8))
        cv2.imwrite(f"{number}_map.png", np.full((60 + number, 80), 1, np.uint8))
    (tmp_path / "list.csv").write_text("".join(f"{number}.png,{number}_map.png\n" for number in range(30)))
    layer = layer_net.layer_of("ImageMapDataLayer", repr({"source": "list.csv", **size}), 2)
    figures = bench_layer(layer, workers=[0, 1], seconds=0.1)
    assert [feeding.rate > 0 for feeding in figures.feeding] == [True, True] and figures.limit > 0
    assert figures.stages.read > 0 and figures.stages.write > 0
    assert figures.stages.fast is figures.stages.small is None
    assert (figures.stages.decoded_bytes is None) == ("augment" in size)
    assert children() == []


def test_a_transform_is_measured_with_the_labels_and_the_map_that_it_takes(photos, tmp_path, monkeypatch):
    """In the bare processes too, which have no labels of the source."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "measured_of_a_user.py").write_text(
        "def raised(image, rng, labels): return image, labels + 1\n"
        "def changed(image, rng, map): return image, map + 1\n"
    )
    (tmp_path / "maps.csv").write_text("".join(f"{number}.jpg,map.png\n" for number in range(30)))
    cv2.imwrite("map.png", np.ones((60, 80), np.uint8))
    for layer, source, function in (
        ("ImageDataLayer", "list.csv", "raised"),
        ("ImageMapDataLayer", "maps.csv", "changed"),
    ):
        options = {**photos, "source": source, "transform": f"measured_of_a_user:{function}"}
        figures = bench_layer(layer_net.layer_of(layer, repr(options), 2), workers=[0, 1], seconds=0.1)
        assert figures.limit > 0 and figures.stages.transform > 0 and [each.rate > 0 for each in figures.feeding]


def test_stages_leave_out_what_cannot_be_read(photos, tmp_path):
    for number in range(1, 30, 2):
        (tmp_path / f"{number}.jpg").write_bytes(b"no image")
    layer = layer_net.net_of_layer(layer_net.layer_of("ImageDataLayer", repr({**photos, "on_error": "skip"}))).layers[0]
    (tmp_path / "2.jpg").unlink()
    assert 1 <= stages(layer.recipe, 0.8).images <= 14
    with Bare(layer.recipe, 2) as bare:
        assert len(children()) == 2
        assert bare.rate(0.1) > 0
    assert children() == []
    for number in range(4, 30, 2):
        (tmp_path / f"{number}.jpg").write_bytes(b"no image")
    (tmp_path / "0.jpg").unlink()
    with pytest.raises(DataError) as error:
        stages(layer.recipe, 0.1)
    assert "an image that OpenCV can decode" in error.value.problem


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_for_another_program(photos, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET.format(options=photos))
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt"  base_lr: 0.1  lr_policy: "fixed"')
    done = run("bench", "solver.prototxt", "--workers", "1", "--seconds", "0.1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [feeding["workers"] for feeding in figures["feeding"]] == [0, 1]
    assert all(math.isfinite(number) and number >= 0 for number in numbers(figures))
    assert figures["advice"]


def test_the_table(photos, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET.format(options=photos))
    done = run("bench", "net.prototxt", "--layer", "more_data", "--workers", "1", "--seconds", "0.1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("more_data (ImageDataLayer): 4 samples, 4 images, 0.0 MB per batch; ")
    assert "the net on a constant batch: " in done.stdout and "advice:\n- " in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-3])) <= 120


def refused(arguments, message, capsys):
    """The command says so on stderr, and ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert message in err and out == ""


@pytest.mark.parametrize(
    "change, message",
    [
        (("num_output: 3", "num_output: -3"), "Caffe gives up: "),
        (('bottom: "ip"  bottom', 'bottom: "pi"  bottom'), "Caffe gives up: Unknown bottom blob 'pi' (layer 'loss'"),
        (
            ('module: "caffe_pylayers"', 'module: "no_module"'),
            "Caffe gives up: ModuleNotFoundError: No module named 'no_module'",
        ),
        (("list.csv", "none.csv"), "none.csv: cannot read it: No such file or directory"),
        (("'resize'", "'risize'"), "unknown option 'risize'; did you mean 'resize'?"),
        (('type: "Python"', 'type: "DummyData"'), "it has no data layer in TRAIN; its layers: "),
    ],
)
def test_a_net_that_cannot_be_run(photos, tmp_path, capsys, change, message):
    (tmp_path / "net.prototxt").write_text(NET.format(options=photos).replace(*change))
    refused(["net.prototxt"], message, capsys)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give a net or solver, or --layer-type"),
        (["net.prototxt", "--options", "{}"], "--options is only for --layer-type"),
        (["net.prototxt", "--workers", "two"], "'two' is not a list of integers"),
        (["net.prototxt", "--workers", "-1"], "'-1' is not a list of integers"),
        (["--layer-type", "ImageDataLayer", "--gpu", "0"], "--gpu are only for a net"),
        (["solver.prototxt", "--stage", "deep"], "stage 'deep' is given"),
        (["none.prototxt"], "none.prototxt: cannot read it"),
        (["--layer-type", "TripletLoss"], "TripletLoss is not a data layer: it needs bottoms"),
        (["net.prototxt", "--layer", "ip"], "has no data layer 'ip'"),
        (["net.prototxt", "--gpu", "99"], f"GPU 99 is requested, but {NO_GPU_99}"),
    ],
)
def test_arguments_that_make_no_sense(photos, tmp_path, capsys, arguments, message):
    (tmp_path / "net.prototxt").write_text(NET.format(options=photos))
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt"  base_lr: 0.1')
    refused(arguments, message, capsys)


@pytest.mark.parametrize(
    "kill, whom", [(signal.SIGINT, os.killpg), (signal.SIGINT, os.kill), (signal.SIGKILL, os.kill)]
)
def test_nothing_runs_on_when_it_is_ended(photos, tmp_path, kill, whom):
    """Ctrl-C, kill -2, and kill -9, while workers are busy."""
    options = repr({**photos, "prefetch": 3, "workers": 2})
    process = subprocess.Popen(
        [
            str(PROGRAM),
            "bench",
            "--layer-type",
            "ImageDataLayer",
            "--options",
            options,
            "--workers",
            "2",
            "--seconds",
            "60",
        ],
        cwd=tmp_path,
        env=transcripts.environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    parent, workers = psutil.Process(process.pid), []
    deadline = time.monotonic() + 300
    while len(workers) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
        workers = parent.children(recursive=True)
    assert len(workers) == 4  # two that feed, and two that show the limit
    whom(process.pid, kill)
    out, err = process.communicate(timeout=200)
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    assert out == b"" and b"Traceback" not in err
    assert_gone(workers)


# --- advice ----------------------------------------------------------------------------------------------------

STAGES = Stages(images=50, first_read=20, read=10, decode=500, resize=100, transform=0, write=40)
ALONE = Figures(
    "train_data",
    "ImageDataLayer",
    True,
    64,
    64,
    50.0,
    4,
    feeding=[Feeding(0, 500, 0.1), Feeding(1, 480, 0.5), Feeding(2, 950, 0.5), Feeding(4, 960, 0.5)],
    stages=STAGES,
    free_bytes=10**9,
    free_disk=10**11,
)


def in_net(*steps, net=20.0, workers=0):
    """Figures of a net, with (workers, step, waiting) each."""
    return replace(ALONE, feeding=[Feeding(count, 500, 0.1, *step) for count, *step in steps], net=net, workers=workers)


@pytest.mark.parametrize(
    "figures, expected",
    [
        (ALONE, ["set 'prefetch': True, 'workers': 2: 950 samples/s instead of 500"]),
        (replace(ALONE, workers=2, ahead=3), ["nothing to change: 2 workers are as good as any count"]),
        (
            replace(ALONE, workers=4, ahead=6),
            ["set 'prefetch': 6, 'workers': 2 would do as well as 4 workers: 950 samples/s instead of 960"],
        ),
        (
            in_net((0, 40, 20), (1, 20.5, 0.3), (2, 20.4, 0.3)),
            [
                "set 'prefetch': True: a step takes 20.5 ms instead of 40.0",
                "nothing more to gain from the data: the net is the limit, 20.0 of 20.5 ms per step",
            ],
        ),
        (
            in_net((0, 40, 20), (1, 20.5, 0.3), workers=1),
            ["nothing to change: the net is the limit, 20.0 of 20.5 ms per step"],
        ),
        (
            in_net((0, 20.1, 0.2), (1, 20.0, 0.1), workers=1),
            [
                "leave 'prefetch' and 'workers' out would do as well as 1 worker: a step takes 20.1 ms instead of 20.0",
                "nothing more to gain from the data: the net is the limit, 20.0 of 20.1 ms per step",
            ],
        ),
        (
            in_net((0, 30.0, 9), (1, 30.2, 0.1), workers=1),
            [
                "the net hardly waits for data (0.1 of 30.2 ms per step), but alone it takes only 20.0 ms: it shares its cores with the "
                "workers; more cores, or images that cost less, would help"
            ],
        ),
        (
            in_net((0, 90, 70), (4, 40, 19), workers=4),
            [
                "the data are the limit: a step waits 19.0 of its 40.0 ms for them, even with 4 workers; more cores would help"
            ],
        ),
    ],
)
def test_advice_on_workers(figures, expected):
    assert advice(figures) == expected


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"fast": 200.0}, "'decode': 'fast' lets the JPEG decoder scale down: an image takes 250 us instead of 650"),
        ({"fast": 590.0}, None),
        (
            {"small": 100.0},
            "resize once, with `caffe-pylayers convert --resize ... --encode jpg:95`: an image takes 150 us instead of 650",
        ),
        ({"small": 590.0}, None),
        (
            {"decoded_bytes": 10**8},
            "'cache': 'memory' keeps all images decoded, in 100 MB: from the second epoch on an image takes about 40 us instead of 650",
        ),
        (
            {"decoded_bytes": 10**9},  # all the memory that is free
            "'cache': 'disk' keeps all images decoded, in 1000 MB: from the second epoch on an image takes about 40 us instead of 650",
        ),
        ({"decoded_bytes": 10**11}, None),
        (
            {"gray": True},
            "all 50 images that were looked at are grey: 'color': False feeds one channel instead of three",
        ),
        ({"first_read": 900.0}, "the first reading of an image took 900 us, the next 10"),
    ],
)
def test_advice_on_the_data(change, expected):
    """Each needs its figure, and is given where the data are the limit, not where the net is."""
    stages_ = replace(STAGES, **change)
    sentences = advice(replace(ALONE, workers=2, ahead=3, stages=stages_))
    if expected is None:
        assert sentences == ["nothing to change: 2 workers are as good as any count"]
    else:
        assert len(sentences) == 1 and sentences[0].startswith(expected)
    bound = replace(in_net((0, 40, 20), (1, 20.5, 0.3), workers=1), stages=stages_)
    assert advice(bound) == ["nothing to change: the net is the limit, 20.0 of 20.5 ms per step"]


def test_a_layer_of_options_alone():
    layer = layer_net.layer_of("MultiLabelLayer", "source: x.csv", 2)
    assert layer.python == ("caffe_pylayers", "MultiLabelDataLayer", "source: x.csv")
    assert layer.tops == ["data", "label"] and layer.name == "train_data"
    assert layer_net.layer_of("TripletDataLayer", "source: x.csv").tops == ["anchor", "positive", "negative"]
    with pytest.raises(ConfigError) as error:
        layer_net.layer_of("ImageDataLayer", "source: x.csv", 4)
    assert error.value.layer == "ImageDataLayer" and "4 tops" in error.value.problem


def test_a_cache_is_told_with_its_share(photos):
    figures = bench_layer(
        layer_net.layer_of("ImageDataLayer", repr({**photos, "cache": "memory"})), workers=[0, 1], seconds=0.3
    )
    assert figures.cache.startswith("cache in memory: 30 of 30 images")
    assert all(0 < feeding.cached <= 1 for feeding in figures.feeding)
    assert figures.stages.decoded_bytes is None  # nothing to advise


@pytest.mark.parametrize(
    "more, kept",
    [({}, True), ({"compressed": False}, False), ({"augment": {"resized_crop": {}}, "crop_size": 16}, False)],
)
def test_a_cache_is_advised_only_where_it_can_be(photos, more, kept):
    layer = layer_net.net_of_layer(layer_net.layer_of("ImageDataLayer", repr({**photos, **more}))).layers[0]
    assert stages(layer.recipe, 0.1).decoded_bytes == (30 * 32 * 32 * 3 if kept else None)
