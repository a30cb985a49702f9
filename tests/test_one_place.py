"""What is true of a layer stands on its options class: no other place of the package knows layers by name."""

import ast
from pathlib import Path

import pytest

from caffe_pylayers import ALIASES, LAYERS

PACKAGE = Path(__file__).parent.parent / "caffe_pylayers"
NAMES = {*LAYERS, *ALIASES}

#: What makes something depend on a name: to list it, to compare with it, to look it up.
TELLING = (ast.Dict, ast.List, ast.Set, ast.Tuple, ast.Compare, ast.Subscript)
PARTS = ("split", "endswith", "startswith")  # methods that do so too
ENDINGS = ("Layer", "DataLayer", "Loss", "Weighted")


def told_apart(source):
    """(line, name) of layers that code tells apart by their names: in a literal, a comparison, a key, or by a part of it."""
    tree = ast.parse(source)
    around = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in NAMES:
            yield node.value.lineno, node.arg
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        outer = around[node]
        while not isinstance(outer, (*TELLING, ast.Call, ast.FormattedValue, ast.stmt)):
            outer = around[outer]
        by_part = isinstance(outer, ast.Call) and isinstance(outer.func, ast.Attribute) and outer.func.attr in PARTS
        names = NAMES.union(ENDINGS if by_part else ())
        if (isinstance(outer, TELLING) or by_part) and node.value.split() and names.issuperset(node.value.split()):
            yield node.lineno, node.value


def test_the_package_knows_layers_by_name_in_its_one_table():
    registered = {(PACKAGE / "__init__.py", name) for name in NAMES}
    found = {(path, name): line for path in PACKAGE.rglob("*.py") for line, name in told_apart(path.read_text())}
    assert {name for path, name in registered & set(found)} == NAMES
    assert {key: line for key, line in found.items() if key not in registered} == {}


def test_one_property_says_whether_a_layer_is_ours():
    comparing = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value == "caffe_pylayers"
    }
    assert comparing == {Path("caffe_files/nets.py")}


@pytest.mark.parametrize(
    "code",
    [
        'OF_CLASSES = ("FocalLoss", "LDAMLoss")',
        'ANY_LABELS = ("BatchTripletLoss",)',
        'OF_CLASSES = {"FocalLoss"}',
        'EXPECTED = {"FocalLoss": _of_classes}',
        'arity = {"SiameseDataLayer": 2}.get(kind, 1)',
        'if kind == "LabelNoise": pass',
        'if layer.python[:2] == ("caffe_pylayers", "L2Normalize"): pass',
        'if kind in ("Accuracy", "WeightedAccuracy"): pass',
        'EXPECTED["FocalLoss"] = 1',
        'NAMES = "FocalLoss LDAMLoss".split()',
        'if kind.endswith("DataLayer"): pass',
        'if kind == "MultiLabelLayer": pass',
        "EXPECTED = dict(FocalLoss=_of_classes)",
    ],
)
def test_such_a_table_would_be_found(code):
    assert list(told_apart(code))


@pytest.mark.parametrize(
    "code",
    [
        'options = config.validate("ImageDataLayer", {"source": target})',
        'example = "caffe_pylayers" if name == "module" else "TripletLoss"',
        'counter(self, order="LabelNoise")',
        'yield "take SampleWeight with per: label"',
        'return "it is resized", "take SampleWeight with per: label"',
        'STOCK = ("SoftmaxWithLoss", "InfogainLoss")',
        'if name.lower().endswith("loss"): pass',
    ],
)
def test_a_name_that_is_handed_on_is_none(code):
    assert not list(told_apart(code))
