"""Parameter blobs as Caffe fills them."""

import os
from typing import Any

import caffe

from caffe_pylayers.config.fillers import WeightFiller

_NET = """
layer {{ name: "filler"  type: "DummyData"  top: "filled"
  dummy_data_param {{ shape {{ {dims} }}  data_filler {{ {filler} }} }} }}
"""


def fill(blob: Any, filler: WeightFiller) -> None:
    """Fill a parameter blob, in `setup`. Caffe itself draws the numbers, so they follow the solver's `random_seed`."""
    if filler.type == "constant":
        blob.data[...] = filler.value
        return
    shape = tuple(blob.shape)
    dims = " ".join(f"dim: {size}" for size in shape or (1,))  # some fillers end the process on a blob without axes
    with os.fdopen(os.memfd_create("filler"), "w", encoding="utf-8") as file:
        file.write(_NET.format(dims=dims, filler=_in_prototxt(filler)))
        file.flush()
        net = caffe.Net(f"/proc/self/fd/{file.fileno()}", caffe.TEST)
    net.forward()  # DummyData fills in forward what is not constant
    blob.data[...] = net.blobs["filled"].data.reshape(shape)


def _in_prototxt(filler: WeightFiller) -> str:
    values = filler.model_dump(include=set(filler.model_fields_set))
    return "  ".join(f'{name}: "{value}"' if name == "type" else f"{name}: {value}" for name, value in values.items())
