"""Real images, the digits that scikit-learn carries, and a small net that is trained on them in a moment."""

import caffe
import cv2
import numpy as np
from sklearn.datasets import load_digits

from tests.caffe_nets import python_layer, write

COUNT = 203  # so that the last batch of 20 begins again
NET = """
{data}
layer {{ name: "more"  type: "Power"  bottom: "data"  top: "data"  power_param {{ scale: 2 }} }}
layer {{ name: "fc1"  type: "InnerProduct"  bottom: "data"  top: "fc1"
  inner_product_param {{ num_output: 32  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu"  type: "ReLU"  bottom: "fc1"  top: "fc1" }}
layer {{ name: "embedding"  type: "InnerProduct"  bottom: "fc1"  top: "embedding"
  inner_product_param {{ num_output: 8  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "scores"  type: "InnerProduct"  bottom: "embedding"  top: "scores"
  inner_product_param {{ num_output: 10  weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss"  type: "SoftmaxWithLoss"  bottom: "scores"  bottom: "label"  top: "loss" }}
"""
SOLVER = 'net: "{}"  base_lr: 0.05  momentum: 0.9  lr_policy: "fixed"  max_iter: 150  random_seed: 1  solver_mode: CPU'


def options(**more):
    return {"source": "digits.csv", "root": "digits", "batch_size": 20, "color": False, "scale": 1 / 256, **more}


def net_text(data_layer="ImageDataLayer", tops=("data", "label"), **more):
    """The net on the digits; `more` are options of its data layer."""
    return NET.format(data=python_layer(data_layer, [], list(tops), options(**more)))


def write_digits(folder):
    """digits.csv with its images, net.prototxt and trained.caffemodel."""
    images, labels = load_digits(return_X_y=True)
    (folder / "digits").mkdir()
    rows = []
    for number in range(COUNT):
        name = f"{number:03}.png"
        cv2.imwrite(str(folder / "digits" / name), (images[number].reshape(8, 8) * 15).astype(np.uint8))
        rows.append(f"{name},{labels[number]}\n")
    (folder / "digits.csv").write_text("".join(rows))
    net = write(net_text(), folder)
    solver = caffe.get_solver(write(SOLVER.format(net), folder, "solver.prototxt"))
    solver.step(150)
    solver.net.save(str(folder / "trained.caffemodel"))
