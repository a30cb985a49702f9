"""The examples in the docstrings are run."""

import doctest
import importlib
import inspect
import re

import pytest

import caffe_pylayers
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.pages import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "caffe_pylayers").rglob("*.py"))
    if "    >>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("layer", caffe_pylayers.LAYERS)
def test_every_layer_says_what_it_takes_gives_and_raises(layer):
    """In one form, with each bottom and top by its name; of which there may be fewer, in a docstring that names another layer."""
    said = inspect.getdoc(getattr(caffe_pylayers, layer))
    parts = dict(re.findall(r"^(bottoms|tops|errors): (.*(?:\n +.*)*)", said, re.MULTILINE))
    assert list(parts) == ["bottoms", "tops", "errors"]
    schema = SCHEMAS[layer]
    for part, names in (("bottoms", schema.takes), ("tops", schema.gives)):
        for name in (name.strip("[]") for name in names):
            assert re.search(rf"\b{name}\b", parts[part]), name
