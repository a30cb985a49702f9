"""The time of `check` grows with the number of layers, not with its square."""

import time

import pytest

from caffe_pylayers.commands.check.checking import check_files

_DATA = 'layer { name: "data"  type: "DummyData"  top: "b0"  top: "label"  dummy_data_param { shape { dim: 4  dim: 3 }  shape { dim: 4 } } }\n'
_OLD_DATA = _DATA.replace("layer {", "layers {").replace('"DummyData"', "DUMMY_DATA")

#: The first layer, and what each of the others is; {0} is its number, {1} the next.
NETS = {
    "one behind the other, with losses": (
        _DATA,
        'layer {{ name: "ip{0}"  type: "InnerProduct"  bottom: "b{0}"  top: "b{1}"  inner_product_param {{ num_output: 3 }} }}\n'
        'layer {{ name: "loss{0}"  type: "SoftmaxWithLoss"  bottom: "b{1}"  bottom: "label"  top: "loss{0}" }}\n',
    ),
    "labels through layers that keep them": (
        _DATA + 'layer { name: "split"  type: "Split"  bottom: "label"  top: "l0" }\n',
        'layer {{ name: "r{0}"  type: "Reshape"  bottom: "l{0}"  top: "l{1}" }}\n'
        'layer {{ name: "loss{0}"  type: "SoftmaxWithLoss"  bottom: "b0"  bottom: "l{1}"  top: "loss{0}" }}\n',
    ),
    "of an old net": (
        _OLD_DATA,
        'layers {{ name: "ip{0}"  type: INNER_PRODUCT  bottom: "b{0}"  top: "b{1}"  blobs_lr: 1  inner_product_param {{ num_output: 3 }} }}\n',
    ),
    "in place": (_DATA, 'layer {{ name: "r{0}"  type: "ReLU"  bottom: "b0"  top: "b0" }}\n'),
    "without names": (_DATA, 'layer {{ type: "InnerProduct"  bottom: "b{0}"  top: "b{1}" }}\n'),
    "of unknown bottoms": (
        _DATA,
        'layer {{ name: "r{0}"  type: "ReLU"  bottom: "x{0}"  top: "b{1}"  include {{ phase: TRAIN }} }}\n',
    ),
}


def seconds(net, layers):
    """The least of three tries: a busy machine makes some of them longer."""
    first, each = NETS[net]
    with open("net.prototxt", "w") as file:
        file.write(first + "".join(each.format(number, number + 1) for number in range(layers)))
    tries = []
    for _ in range(3):
        begun = time.process_time()
        check_files(["net.prototxt"], build=False)
        tries.append(time.process_time() - begun)
    return min(tries)


@pytest.mark.parametrize("net", NETS)
def test_four_times_the_layers_take_four_times_as_long(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seconds(net, 10)  # what is imported at first
    assert seconds(net, 2000) < 8 * seconds(net, 500) + 0.1
