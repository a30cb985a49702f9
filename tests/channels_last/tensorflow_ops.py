"""The same by TensorFlow, as someone who takes the arrays there would write it: padding VALID throughout."""

import numpy as np
import tensorflow as tf


def convolution(x, weights, stride, dilation, group):
    # TensorFlow's own groups need a GPU; the pieces are what it would take.
    pieces = zip(np.split(x, group, -1), np.split(weights, group, -1))
    found = [tf.nn.conv2d(np.float32(x), w, stride, "VALID", dilations=dilation) for x, w in pieces]
    return np.concatenate(found, -1)


def depthwise(x, weights, stride, dilation, group):
    return tf.nn.depthwise_conv2d(np.float32(x), weights, [1, *stride, 1], "VALID", dilations=dilation).numpy()


def deconvolution(x, weights, stride, group):
    sizes = [(size - 1) * s + k for size, s, k in zip(x.shape[1:3], stride, weights.shape)]
    shape = [len(x), *sizes, weights.shape[2]]
    pieces = zip(np.split(x, group, -1), np.split(weights, group, -1))
    found = [tf.nn.conv2d_transpose(np.float32(x), w, shape, stride, "VALID") for x, w in pieces]
    return np.concatenate(found, -1)


def max_pool(x, kernel, stride):
    return tf.nn.max_pool2d(np.float32(x), kernel, stride, "VALID").numpy()


def sum_pool(x, kernel, stride):
    return tf.nn.avg_pool2d(np.float32(x), kernel, stride, "VALID").numpy() * np.prod(kernel)


def matmul(x, weights):
    return tf.matmul(np.float32(x), weights).numpy()
