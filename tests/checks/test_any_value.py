"""Whatever stands in a net or solver, `check` has something to say, and no traceback."""

import random
import re

import pytest

from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.errors import ConfigError, DataError
from tests.checks.good_nets import FILES, write_good

_MORE = """
state { level: 0  stage: "a"  phase: TRAIN }
force_backward: true
layer { name: "x"  type: "Input"  top: "xx"  include { phase: TRAIN  min_level: 0  max_level: 2  stage: "a"  not_stage: "b" }
  propagate_down: true  loss_weight: 1  input_param { shape { dim: 3  dim: 4 } } }
layer { name: "bn"  type: "BatchNorm"  bottom: "xx"  top: "bn"  param { lr_mult: 0  decay_mult: 0 }  param { lr_mult: 0 }  param { lr_mult: 0 } }
layer { name: "l"  type: "SoftmaxWithLoss"  bottom: "xx"  bottom: "xx"  top: "l"  loss_param { ignore_label: 255 }  softmax_param { axis: 1 } }
layer { name: "w"  type: "WindowData"  top: "w"  top: "wl"  exclude { phase: TEST }
  window_data_param { source: "images.txt"  root_folder: ""  batch_size: 3 } }
layer { name: "i"  type: "ImageData"  top: "i"  top: "il"  transform_param { crop_size: 3  mean_value: 3  mean_value: 2  scale: 2 }
  image_data_param { source: "images.txt"  root_folder: ""  batch_size: 3  new_height: 8  new_width: 8  is_color: true } }
"""
_OLD = """
input: "data"  input_dim: 1  input_dim: 2  input_dim: 3  input_dim: 4  input_shape { dim: 1 }
layers { name: "d"  type: DATA  top: "x"  blobs_lr: 1  weight_decay: 2  param: "x"  include: { phase: TRAIN }
  data_param { source: "x"  batch_size: 3  scale: 0.1  backend: LMDB }  transform_param { mean_value: 3 } }
"""
_SOLVER = """
train_state { level: 0  stage: "a" }  test_state { stage: "b"  level: 1  phase: TEST }  weights: "a.caffemodel"  iter_size: 2
type: "SGD"  snapshot_format: HDF5  stepvalue: 3  stepvalue: 4  test_net: "net.prototxt"  test_iter: 5  net_param { name: "x" }
"""
_TEXTS = {**FILES, "more": _MORE, "old": _OLD, "solver": FILES["solver.prototxt"] + _SOLVER}
_VALUES = ("word", '"text"', "-1", "1.5", "{ a: 1 }", "[1, 2]", '""', "99999999999999999999", "inf", r'"\xff"', "[]")
_FIELD = re.compile(r'(\w+)(:\s*)("[^"]*"|[-\w.]+)|(\w+)\s*\{')


@pytest.mark.parametrize("name", _TEXTS)
def test_no_value_of_a_field_is_a_traceback(name, tmp_path, monkeypatch):
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = _TEXTS[name]
    changes = [(field, value) for field in _FIELD.finditer(text) for value in _VALUES]
    for field, value in random.Random(0).sample(changes, 40):
        new = f"{field[1]}: {value}" if field[1] else f"{field[4]}: {value}  dummy {{"
        (tmp_path / "any.prototxt").write_text(text[: field.start()] + new + text[field.end() :])
        try:
            report = check_files(["any.prototxt"], build=False)
        except (ConfigError, DataError):
            continue
        for finding in report.findings:
            assert finding.message
            assert finding.remedy, finding
            assert finding.line <= text.count("\n") + 1 or finding.file != "any.prototxt"
