"""A net, its solver and its deploy net in which nothing is wrong, and the data that they name."""

import textwrap
from pathlib import Path
from typing import Dict

import cv2
import h5py
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum, write_blob
from caffe_pylayers.data.sources.lmdb import write_lmdb


def _text(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


#: Layers of this package: three kinds of Python layers, and a position in the data.
NET = _text("""
    name: "net"
    layer {
      name: "train_data"  type: "Python"
      top: "data"  top: "label"
      include { phase: TRAIN }
      param { lr_mult: 0  decay_mult: 0 }
      python_param {
        module: "caffe_pylayers"  layer: "ImageDataLayer"
        param_str: "{'source': 'train.csv', 'batch_size': 4, 'shuffle': True, 'resume': True}"
      }
    }
    layer {
      name: "test_data"  type: "Python"
      top: "data"  top: "label"
      include { phase: TEST }
      python_param {
        module: "caffe_pylayers"  layer: "ImageDataLayer"
        param_str: "{'source': 'train.csv', 'batch_size': 4, 'restart_every': 3}"
      }
    }
    layer {
      name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"
      convolution_param { num_output: 8  kernel_size: 3  weight_filler { type: "xavier" } }
    }
    layer { name: "pool"  type: "Pooling"  bottom: "conv"  top: "pool"
      pooling_param { pool: MAX  kernel_size: 2  stride: 2 } }
    layer { name: "relu"  type: "ReLU"  bottom: "pool"  top: "pool" }
    layer {
      name: "scores"  type: "InnerProduct"  bottom: "pool"  top: "scores"
      inner_product_param { num_output: 5  weight_filler { type: "xavier" } }
    }
    layer {
      name: "weights"  type: "Python"  bottom: "label"  top: "weights"
      python_param {
        module: "caffe_pylayers"  layer: "SampleWeight"
        param_str: "{'n_classes': 5, 'scale': 'mean_one'}"
      }
    }
    layer {
      name: "loss"  type: "Python"
      bottom: "scores"  bottom: "label"  bottom: "weights"
      top: "loss"  loss_weight: 1
      python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss" }
    }
    layer {
      name: "accuracy"  type: "Accuracy"  bottom: "scores"  bottom: "label"  top: "accuracy"
      include { phase: TEST }
    }
    """)

SOLVER = _text("""
    net: "net.prototxt"
    test_iter: 3
    test_interval: 10
    base_lr: 0.01
    lr_policy: "step"
    stepsize: 100
    gamma: 0.1
    max_iter: 300
    snapshot: 100
    snapshot_prefix: "snapshots/net"
    solver_mode: CPU
    """)

DEPLOY = _text("""
    layer {
      name: "data"  type: "Input"  top: "data"
      input_param { shape { dim: 1  dim: 3  dim: 12  dim: 12 } }
    }
    layer {
      name: "conv"  type: "Convolution"  bottom: "data"  top: "conv"
      convolution_param { num_output: 8  kernel_size: 3 }
    }
    """)

#: Caffe's own layers.
STOCK = _text("""
    layer {
      name: "data"  type: "Data"  top: "data"  top: "label"
      transform_param { crop_size: 10  mean_file: "mean.binaryproto" }
      data_param { source: "train_lmdb"  batch_size: 4  backend: LMDB }
    }
    layer { name: "image"  type: "ImageData"  top: "image"  top: "image_label"
      image_data_param { source: "images.txt"  batch_size: 4 } }
    layer {
      name: "h5"  type: "HDF5Data"  top: "feature"  top: "target"
      hdf5_data_param { source: "h5.txt"  batch_size: 4 }
    }
    layer {
      name: "scores"  type: "InnerProduct"  bottom: "data"  top: "scores"
      inner_product_param { num_output: 5  weight_filler { type: "xavier" } }
    }
    layer { name: "loss"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "label"  top: "loss" }
    layer { name: "silence"  type: "Silence"  bottom: "image"  bottom: "image_label" bottom: "feature"  bottom: "target" }
    """)

#: A label for each pixel; what is scaled down is padded.
MAPS = _text("""
    layer {
      name: "train_data"  type: "Python"
      top: "data"  top: "label"
      python_param {
        module: "caffe_pylayers"  layer: "ImageMapDataLayer"
        param_str: "{'source': 'maps.csv', 'batch_size': 4, 'scales': [0.5, 1], 'crop_size': 10, 'mirror': True}"
      }
    }
    layer {
      name: "scores"  type: "Convolution"  bottom: "data"  top: "scores"
      convolution_param { num_output: 5  kernel_size: 1  weight_filler { type: "xavier" } }
    }
    layer {
      name: "loss"  type: "Python"  bottom: "scores"  bottom: "label"
      top: "loss"  loss_weight: 1
      python_param { module: "caffe_pylayers"  layer: "WeightedSoftmaxLoss"  param_str: "{'ignore_label': 255}" }
    }
    """)

#: Layers of another module.
MODULE = _text("""
    import caffe

    class Double(caffe.Layer):
        def setup(self, bottom, top): pass
        def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)
        def forward(self, bottom, top): top[0].data[...] = 2 * bottom[0].data
        def backward(self, top, propagate_down, bottom): pass

    class NoBackward(caffe.Layer):
        def setup(self, bottom, top): pass
        def reshape(self, bottom, top): pass
        def forward(self, bottom, top): pass

    class Failing(Double):
        def setup(self, bottom, top): self.margin = float(self.param_str)

    class NoLayer:
        pass
    """)

FILES: Dict[str, str] = {
    "net.prototxt": NET, "solver.prototxt": SOLVER, "deploy.prototxt": DEPLOY, "stock.prototxt": STOCK,
    "maps.prototxt": MAPS,
}  # fmt: skip


def write_good(folder: Path) -> None:
    """Write the nets and their data into a folder."""
    random = np.random.default_rng(0)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "snapshots").mkdir()
    images = random.integers(0, 256, (10, 12, 12, 3), np.uint8)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
        cv2.imwrite(str(folder / f"{number}_map.png"), image[..., 0] % 5)
    (folder / "train.csv").write_text("".join(f"{number}.png,{number % 5}\n" for number in range(10)))
    (folder / "maps.csv").write_text("".join(f"{number}.png,{number}_map.png\n" for number in range(10)))
    (folder / "images.txt").write_text("".join(f"{number}.png {number % 5}\n" for number in range(10)))
    raw = (Datum(image.transpose(2, 0, 1).tobytes(), number % 5, 3, 12, 12) for number, image in enumerate(images))
    write_lmdb(str(folder / "train_lmdb"), raw)
    (folder / "mean.binaryproto").write_bytes(write_blob(images.mean(0).transpose(2, 0, 1)[None]))
    (folder / "small_mean.binaryproto").write_bytes(write_blob(np.zeros((1, 3, 10, 10))))
    with h5py.File(folder / "rows.h5", "w") as file:
        file["feature"], file["target"] = np.zeros((8, 3), np.float32), np.zeros(8, np.float32)
    (folder / "h5.txt").write_text("rows.h5\n")
    (folder / "layers_of_mine.py").write_text(MODULE)
