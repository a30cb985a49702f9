"""What `describe` and docs/layers.md say of the layers: made of the schemas, and true in Caffe."""

import json

import caffe
import pytest

from caffe_pylayers import ALIASES, LAYERS, ConfigError
from caffe_pylayers.caffe_files.prototxt import parse
from caffe_pylayers.commands.check.check import check
from caffe_pylayers.config import json_schema, load
from caffe_pylayers.descriptions import describe, is_loss, layer_called, layer_to_copy
from caffe_pylayers.descriptions.page import layers_page
from tests.caffe_nets import net_text, write
from tests.descriptions.blobs import SHAPES
from tests.pages import ROOT
from tests.program import run


def test_the_page_is_fresh():
    fresh = (ROOT / "docs" / "layers.md").read_text() == layers_page()
    assert fresh, "docs/layers.md is stale: run `caffe-pylayers describe --markdown --output docs/layers.md`"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_to_copy_works_in_caffe(folder, layer):
    text = layer_to_copy(layer)
    message = parse(text).message("layer")
    inputs = {name: SHAPES.get(name, (8, 10)) for name in message.all("bottom")}
    path = write(net_text([text], inputs, force_backward=False), folder)
    assert check(path, build=False) == []
    net = caffe.Net(write(net_text([text], inputs), folder), caffe.TRAIN)
    if inputs:  # data layers start workers
        net.forward()
        net.backward()
    assert set(net.blobs) >= set(message.all("top"))
    assert ("loss_weight" in message) == is_loss(layer)


def test_bottoms_and_tops_that_depend_on_options():
    variants = {tops: given for given, _, tops in describe("TripletDataLayer").variants}
    assert variants == {
        ("data", "[label]"): "'stacked': True",
        ("data", "[margin]", "[label]"): "'stacked': True, 'type': 'RANDOM_MULTILABEL' or 'HARD_MULTILABEL'",
    }
    (variant,) = describe("WeightedInfogainLoss").variants
    assert variant == ("'source': ...", ("scores", "label", "[sample_weight]"), ("loss", "[prob]"))
    assert describe("FocalLoss").variants == ()


@pytest.mark.parametrize("layer", LAYERS)
def test_the_stock_twin_is_a_layer_of_caffe(layer):
    twin = describe(layer).twin
    assert bool(twin) == layer.startswith("Weighted")
    assert not twin or twin in caffe.layer_type_list()


def test_names():
    assert layer_called("FocalLoss") == "FocalLoss"
    assert [layer_called(alias) for alias in ALIASES] == list(ALIASES.values())
    for name, guess in (("tripletloss", "'TripletLoss'?"), ("ImageData", "'ImageDataLayer'?"), ("Flatten", "")):
        with pytest.raises(ConfigError) as error:
            layer_called(name)
        assert repr(name) in error.value.problem and "ComputeH, " in str(error.value)
        assert guess in error.value.remedy and bool(guess) == bool(error.value.remedy)


def test_a_layer_in_a_terminal():
    done = run("describe", "MultiLabelLayer")
    assert done.returncode == 0, done.stderr
    assert "MultiLabelDataLayer (also MultiLabelLayer)" in done.stdout
    assert "tops:    data, label [, sample_weight]" in done.stdout
    assert layer_to_copy("MultiLabelDataLayer") in done.stdout
    assert "\x1b" not in done.stdout
    for name in json_schema("MultiLabelDataLayer")["properties"]:
        assert f"\n{name} " in done.stdout
    assert "'label dim'" in " ".join(done.stdout.split())


def test_the_numbers_of_a_top_are_told(command):
    _, out, _ = command("describe", "TripletLoss")
    assert "stats has 4 numbers: active (fraction" in out and "norm (mean norm of the embeddings)" in " ".join(
        out.split()
    )
    _, out, _ = command("describe", "BatchTripletLoss", "--json")
    assert list(json.loads(out)["holds"]["stats"]) == ["active", "d_ap", "d_an", "norm"]


def test_a_net_is_no_layer(command, tmp_path):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x"  type: "Input"  top: "x"  input_param { shape { dim: 1 } } }'
    )
    status, out, err = command("describe", "net.prototxt")
    assert (status, out) == (2, "")
    remedy = ["check", "net.prototxt"]
    assert f"`caffe-pylayers {' '.join(remedy)}`" in err
    assert command(*remedy, "--no-build")[0] == 0


def test_the_list_of_layers_in_a_terminal():
    done = run("describe")
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines() if line[:1].isupper()]
    assert listed == list(LAYERS)
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_json():
    schema = json.loads(run("describe", "LDAMLoss", "--json").stdout)
    assert (schema["bottoms"], schema["tops"]) == (["scores", "label", "[sample_weight]"], ["loss"])
    assert schema["holds"] == {}
    assert schema["properties"]["max_margin"]["exclusiveMinimum"] == 0
    assert schema["properties"]["max_margin"]["aliases"] == ["margin"]
    assert schema["required"] == ["counts"]
    every = json.loads(run("describe", "--json").stdout)
    assert list(every) == list(LAYERS)
    assert every["LDAMLoss"] == schema


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    assert run("describe", "--markdown").stdout == layers_page()
    assert run("describe", "--markdown", "--output", "layers.md", cwd=tmp_path).returncode == 0
    assert (tmp_path / "layers.md").read_text() == layers_page()
    assert [path.name for path in tmp_path.iterdir()] == ["layers.md"]
    done = run("describe", "--markdown", "--output", "absent/layers.md", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"absent/layers.md: there is no folder {tmp_path}/absent" in done.stderr


@pytest.mark.parametrize("arguments", [["--output", "x.md"], ["FocalLoss", "--markdown"], ["--markdown", "--json"]])
def test_options_that_do_not_go_together(tmp_path, arguments):
    done = run("describe", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "--markdown" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def page():
    return layers_page()


@pytest.mark.parametrize("layer", LAYERS)
def test_every_option_is_in_the_page_with_its_default(page, layer):
    section = page.split(f"\n## {layer}\n")[1].split("\n## ")[0] + page.split("## Options of all")[1]
    example = layer_to_copy(layer)
    options = load(layer, parse(example).message("layer").message("python_param").get("param_str", ""))
    for name, field in type(options).model_fields.items():
        default = "required" if field.is_required() else field.default
        default = list(default) if isinstance(default, tuple) else default
        words = f"{default:g}" if isinstance(default, float) else str(default)
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.split(" | ")[1].lower() == words.lower()


def test_other_names_of_an_option_are_told_once():
    rows = [row for row in layers_page().splitlines() if "Also written" in row]
    assert len(rows) > 3
    assert [row for row in rows if row.count("Also written") > 1] == []
