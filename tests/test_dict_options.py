"""Options that are dicts: schemas of their own, in messages, in what describes layers, and with keys as JSON has them."""

import json
import os
from typing import Dict, Iterator, Literal, Optional, Tuple, Union

import numpy as np
import pytest
from pydantic import Field

from caffe_pylayers import ConfigError, config
from caffe_pylayers.config import Options, Path, allowed, features
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.descriptions import describe
from caffe_pylayers.descriptions.functions import documentation_of, function_of, signature_of
from caffe_pylayers.descriptions.page import layers_page
from caffe_pylayers.descriptions.stub import stub


class Border(Options):
    """What stands around an image."""

    value: float = Field(0.0, description="Number of its pixels.")


class Resize(Options):
    """The size of an image."""

    height: int = Field(..., ge=1, description="Rows, at least 1.")
    width: int = Field(8, ge=1, description="Columns, at least 1.", json_schema_extra={"aliases": ["w"]})
    method: Literal["AREA", "LINEAR"] = Field("AREA", description="How pixels are made.")
    file: Optional[Path] = Field(None, description="A file.")
    border: Border = Field(Border(), description="Its border.")

    def conflicts(self) -> Iterator[Remark]:
        if self.height and self.height > self.width:  # it is None where it is wrong by itself
            yield Remark(("height", "width"), "option 'height' is above 'width'", "lower 'height'")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.method == "LINEAR":
            yield from self.without_effect(["file"], "'method' is LINEAR")


class Net(Options):
    """A layer to try."""

    gives = ("data",)
    resize: Union[int, Resize] = Field(-1, description="The size: a number, or more.")
    keep: Optional[Resize] = Field(None, description="What is kept.")
    label_map: Dict[int, int] = Field({}, description="Labels in place of others.")
    scale: float = Field(1.0, gt=0, description="Factor.")


def load(param_str):
    return config.load("Net", param_str, Net)


def problems(param_str):
    with pytest.raises(ConfigError) as error:
        load(param_str)
    return str(error.value).split("\n")


@pytest.mark.parametrize(
    "param_str",
    [
        "{'resize': {'height': '3', 'w': 9.0, 'method': 'area'}, 'label_map': {'3': 1, 4: '2'}}",
        '{"resize": {"height": 3, "w": 9}, "label_map": {"3": 1, "4": 2}}',
        "resize: {height: 3, w: 9}\nlabel_map: {3: 1, 4: 2}",
    ],
)
def test_a_dict_in_each_grammar(param_str):
    options = load(param_str)
    assert (options.resize.height, options.resize.width, options.resize.method) == (3, 9, "AREA")
    assert options.label_map == {3: 1, 4: 2} and options.keep is None


def test_values_are_spelled_as_elsewhere():
    options = load(
        "{'resize': {'height': '3', 'width': 9.0, 'method': 'linear', 'border': {'value': '1e-3'}}, 'keep': 'none'}"
    )
    assert (options.resize.height, options.resize.width, options.resize.method) == (3, 9, "LINEAR")
    assert options.resize.border.value == 0.001
    assert load("resize: 7").resize == 7


def test_all_problems_of_all_options_are_in_one_message():
    found = problems(
        "{'resize': {'heigth': 3, 'w': 0, 'method': 'CUBIC', 'border': {'value': 'x'}}, 'keep': {'height': 9}, 'scale': 0, 'sacle': 1}"
    )
    assert found == [
        "Net: unknown option 'sacle'; did you mean 'scale'? Options: resize, keep, label_map, scale",
        "Net: unknown option 'resize.heigth'; did you mean 'height'? Options: height, width, method, file, border",
        "Net: option 'resize.height' is required: Rows, at least 1.",
        "Net: option 'resize.w' must be an integer of at least 1, not 0",
        "Net: option 'resize.method' must be one of 'AREA', 'LINEAR', not 'CUBIC'",
        "Net: option 'resize.border.value' must be a number, not 'x'",
        "Net: option 'keep.height' is above 'keep.width'; lower 'keep.height'",
        "Net: option 'scale' must be a number above 0, not 0",
    ]


@pytest.mark.parametrize(
    "param_str, message",
    [
        (
            "{'resize': 'x'}",
            "option 'resize' must be an integer, or a dict of 'height', 'width', 'method', 'file', 'border', not 'x'",
        ),
        ("{'scale': {'height': 3}}", "option 'scale' must be a number above 0, not {'height': 3}"),
        (
            "{'resize': {'height': 3, 'width': 4, 'w': 4}}",
            "option 'resize.width' is given twice: 'resize.w' is the same option",
        ),
        ("{'resize': {3: 4, 'height': 1}}", "unknown option 'resize.3'. Options: height, width, method, file, border"),
        (
            "{'resize': {'height': 1, 'border': {'value': 1e30}}}",
            "option 'resize.border.value' must be 0, or from 1e-37 to 1e+18 in size, not 1e+30",
        ),
        ("{'label_map': {'a': 1}}", "option 'label_map' must be a dict, each value an integer, not {'a': 1}"),
        (
            "{'label_map': {3: 1, '3': 2}}",
            "option 'label_map' must be a dict, each value an integer, not {3: 1, '3': 2}",
        ),
        ("{'label_map': {3: 1.5}}", "option 'label_map' must be a dict, each value an integer, not {3: 1.5}"),
        ("{'label_map': [1]}", "option 'label_map' must be a dict, each value an integer, not [1]"),
    ],
)
def test_what_is_wrong_is_said(param_str, message):
    (found,) = problems(param_str)
    assert found.startswith(f"Net: {message}")


def test_warnings_and_paths_of_a_dict():
    options = load("{'resize': {'height': 3, 'method': 'LINEAR', 'file': 'a'}, 'keep': {'height': 2, 'file': 'b'}}")
    assert list(map(str, options.warnings)) == [
        "option 'resize.file' has no effect, because 'method' is LINEAR; leave it out"
    ]
    assert options.paths() == {"keep.file": os.path.abspath("b")}


def test_the_json_schema_stands_whole():
    schema = json.loads(json.dumps(Net.described()))
    assert "$ref" not in json.dumps(schema) and "$defs" not in schema
    number, resize = schema["properties"]["resize"]["anyOf"]
    assert number == {"type": "integer"}
    assert resize["properties"]["width"]["description"] == "Columns, at least 1."
    assert (resize["required"], resize["additionalProperties"]) == (["height"], False)
    border = resize["properties"]["border"]
    assert (border["description"], border["default"]) == ("Its border.", {"value": 0.0})
    assert allowed(border) == "a dict of 'value'"


@pytest.fixture
def layer(monkeypatch):
    """A layer of the catalogue that has these options."""
    monkeypatch.setattr(features, "L2NormalizeOptions", Net)
    return "L2Normalize"


def test_a_dict_is_described(layer, command):
    names = [option.name for option in describe(layer).options]
    assert names[:3] == ["resize", "resize.height", "resize.width"] and names[5] == "resize.border"
    assert names[6:8] == ["resize.border.value", "keep"] and "keep.border.value" in names
    assert "| `resize.width` | 8 | an integer of at least 1 | Columns, at least 1. Also written `w`. |" in layers_page()
    assert "resize.height: Rows, at least 1." in documentation_of(layer)
    parameters = signature_of(layer).parameters
    assert [str(parameters[name]) for name in ("resize", "keep", "label_map")] == [
        "resize: int | dict[str, Any] = -1", "keep: dict[str, Any] | None = None", "label_map: dict[Any, int] = {}",
    ]  # fmt: skip
    compile(stub(), "netspec.pyi", "exec")
    status, out, _ = command("describe", layer)
    assert status == 0 and "resize.height" in out


def test_a_dict_in_netspec(layer):
    top = function_of(layer)(resize={"height": np.int64(3), "border": {"value": 0.5}}, label_map={1: np.int64(2)})
    written = top.fn.params["param_str"]
    assert written == "{'resize': {'height': 3, 'border': {'value': 0.5}}, 'label_map': {1: 2}}"
    with pytest.raises(ConfigError) as error:
        function_of(layer)(resize={"hight": 3})
    assert "'height'?" in str(error.value)
    assert ("L2Normalize", "resize.hight") in [(each.layer, each.option) for each in error.value.problems]
