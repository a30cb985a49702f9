"""Layers in place on a blob that shares its memory with another: `check` warns where Caffe has other numbers for it, and nowhere else."""

import caffe
import numpy as np
import pytest

from caffe_pylayers.commands.check.checking import check_files

FILLER = 'weight_filler { type: "gaussian"  std: 0.3 }'
DATA = f"""
layer {{ name: "data"  type: "DummyData"  top: "data"  dummy_data_param {{ shape {{ dim: 2  dim: 3  dim: 4  dim: 4 }}  data_filler {{ type: "gaussian" }} }} }}
layer {{ name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"  convolution_param {{ num_output: 2  kernel_size: 3  {FILLER} }} }}
"""
LOSS = 'layer { name: "loss"  type: "EuclideanLoss"  bottom: "p"  bottom: "q"  top: "loss" }'
FLAT = 'layer { name: "flat"  type: "Flatten"  bottom: "conv"  top: "flat" }'
SPLIT = 'layer { name: "split"  type: "Split"  bottom: "conv"  top: "flat"  top: "other" }'
RELU, DROPOUT = (f'layer {{ name: "it"  type: "{kind}"  bottom: "flat"  top: "IT" }}' for kind in ("ReLU", "Dropout"))
POOL = (
    'layer { name: "p"  type: "Pooling"  bottom: "conv"  top: "p"  pooling_param { pool: AVE  global_pooling: true } }'
)


def product(name, bottom):
    return f'layer {{ name: "{name}"  type: "InnerProduct"  bottom: "{bottom}"  top: "{name}"  inner_product_param {{ num_output: 2  {FILLER} }} }}'


#: name -> (layers, of which `it` works in place; what is told of layer p in TRAIN, and whether it is told in TEST)
READS, GRADIENT = "line 6 reads the changed numbers of", "line 5 computes its gradient from the changed numbers of"
CASES = {
    "read after it": ([FLAT, RELU, product("p", "conv")], READS, True),
    "read before it": ([FLAT, product("p", "conv"), RELU], GRADIENT, False),
    "a Split": ([SPLIT, RELU, product("p", "other")], READS, True),
    "Dropout": ([FLAT, DROPOUT, product("p", "conv")], READS, False),
    "read before it, without weights": ([FLAT, POOL, RELU], "", False),
    "read by nobody else": ([FLAT, RELU, product("p", "data")], "", False),
}


def numbers(path, phase, text):
    """What layer p gives, and in TRAIN the gradient of its weights too."""
    path.write_text(text)
    caffe.set_random_seed(7)
    net = caffe.Net(str(path), phase)
    net.forward()
    found = [net.blobs["p"].data.copy()]
    if phase == caffe.TRAIN:
        net.backward()
        found += [blob.diff.copy() for blob in net.params.get("p", ())]
    return found


@pytest.mark.parametrize("case", CASES)
def test_it_warns_where_the_numbers_of_caffe_change(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    layers, told, in_test = CASES[case]
    text = DATA + "\n".join([*layers, product("q", "IT"), LOSS])
    for phase, changes in ((caffe.TRAIN, bool(told)), (caffe.TEST, in_test)):
        with_own_name = numbers(tmp_path / "own.prototxt", phase, text.replace("IT", "own"))
        in_place = numbers(tmp_path / "net.prototxt", phase, text.replace("IT", "flat"))
        assert all(map(np.array_equal, with_own_name, in_place)) is not changes

    found = [each for each in check_files(["net.prototxt"]).findings if "shares its memory" in each.message]
    assert bool(found) is bool(told)
    for each in found:
        assert (each.level, each.layer, each.remedy) == ("warning", "it", "give its top a name of its own")
        assert "works in place on blob 'flat', which shares its memory with blob" in each.message
        assert told in each.message


def test_the_remedy_ends_it(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        DATA + "\n".join([FLAT, RELU.replace("IT", "own"), product("p", "conv"), product("q", "own"), LOSS])
    )
    assert check_files([str(tmp_path / "net.prototxt")]).findings == []
