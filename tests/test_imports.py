"""Who imports what, asked of fresh interpreters."""

import subprocess
import sys

import pytest


def modules_after(code: str) -> set:
    """The top-level and own modules that are loaded after some code has run."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_the_package_imports_nothing_heavy():
    loaded = modules_after("import caffe_pylayers")
    assert {"caffe_pylayers", "caffe_pylayers.errors"} <= loaded
    assert not loaded & {"caffe", "numpy", "cv2", "h5py", "lmdb", "pydantic", "yaml", "caffe_pylayers.config"}


@pytest.mark.parametrize(
    "module", ["caffe_pylayers.data.worker", "caffe_pylayers.data.ring", "caffe_pylayers.losses.softmax",
               "caffe_pylayers.losses.triplet", "caffe_pylayers.losses.class_weights"],
)  # fmt: skip
def test_losses_and_data_know_nothing_of_layers(module):
    loaded = modules_after(f"import {module}")
    assert "caffe" not in loaded
    assert "pydantic" not in loaded
    assert not [name for name in loaded if name.startswith("caffe_pylayers.layers")]


def test_a_layer_of_no_such_name():
    code = "import caffe_pylayers\ntry: caffe_pylayers.TripletLayer\nexcept AttributeError as error: print(error)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "has no layer 'TripletLayer'; its layers: ComputeH, " in result.stdout
