"""A Python layer that imports, inside the `caffe` program, what `make setup` promises to be there."""

import caffe
import cv2
import numpy

import caffe_pylayers


class CheckLayer(caffe.Layer):
    def setup(self, bottom, top):
        print("numpy", numpy.__version__, "cv2", cv2.__version__, "caffe_pylayers", caffe_pylayers.__version__)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
