"""`python -m tests.channels_last FOLDER`, with a Python that has TensorFlow: net.npz there, run on image.npy, into blobs.npz."""

import os
import sys

import numpy as np

from tests.channels_last import net, tensorflow_ops

folder = sys.argv[1]
image = np.load(os.path.join(folder, "image.npy"))
np.savez(os.path.join(folder, "blobs.npz"), **net.run(os.path.join(folder, "net.npz"), tensorflow_ops, image))
