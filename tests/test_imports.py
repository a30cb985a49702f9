"""Who imports what, asked of fresh interpreters."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import List, Set

import pytest

from tests.program import modules_after

PACKAGE = Path(__file__).parent.parent / "caffe_pylayers"

TESTS = Path(__file__).parent

TABLE = (PACKAGE.parent / "docs" / "design.md").read_text().partition("## Where things are")[2].partition("\n## ")[0]

#: The rooms of the package from the ground up, and those that each imports from.
ROOMS = {
    room.strip("/"): set(re.findall(r"`(\w+)`", imported))
    for room, imported in re.findall(r"^\| `(\w+/?)` \|.*\|(.*)\|$", TABLE, re.MULTILINE)
}


def imported(path: Path) -> List[str]:
    """What a file imports, at its top and inside functions."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return modules


def imported_rooms(path: Path) -> Set[str]:
    """The rooms that a file imports from; "__init__" for what the package itself has."""
    rooms = [module.split(".")[1] for module in imported(path) if module.startswith("caffe_pylayers.")]
    return {room if room in ROOMS else "__init__" for room in rooms}


def test_the_house_is_as_its_table_says():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].replace(".py", "")
        found.setdefault(room, set()).update(imported_rooms(path) - {room})
    assert found == ROOMS


def test_nothing_imports_upwards():
    """So that there is no circle."""
    above = set(ROOMS)
    for room in reversed(list(ROOMS)):
        above.remove(room)
        assert ROOMS[room] <= above, room


def test_no_test_imports_from_another():
    """What several need is a fixture of a conftest, or in a module that has no tests."""
    for path in TESTS.rglob("*.py"):
        for module in imported(path):
            assert not re.search(r"^tests\b.*\.(test_|conftest\b)", module), f"{path} imports {module}"


def test_the_package_imports_nothing_heavy():
    loaded = modules_after("import caffe_pylayers")
    assert {"caffe_pylayers", "caffe_pylayers.errors"} <= loaded
    assert not loaded & {"caffe", "numpy", "cv2", "h5py", "lmdb", "pydantic", "yaml", "caffe_pylayers.config"}


@pytest.mark.parametrize(
    "module",
    [
        "data.worker",
        "data.ring",
        "losses.softmax",
        "losses.triplet",
        "losses.class_weights",
        "commands.convert.workers",
    ],
)
def test_losses_and_data_know_nothing_of_layers(module):
    loaded = modules_after(f"import caffe_pylayers.{module}")
    assert "caffe" not in loaded
    assert not loaded & {"pydantic", "click"}
    assert not [name for name in loaded if name.startswith("caffe_pylayers.layers")]


def test_a_layer_of_no_such_name():
    code = "import caffe_pylayers\ntry: caffe_pylayers.TripletLayer\nexcept AttributeError as error: print(error)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "has no layer 'TripletLayer'; its layers: ComputeH, " in result.stdout
