"""Deployed nets in OpenCV and in Caffe, to compare them with the net that was trained."""

import caffe
import cv2


def by_opencv(net, weights, deployed, inputs):
    """The outputs of the written net in OpenCV, by name. inputs: an array for each input."""
    read = cv2.dnn.readNetFromCaffe(str(net), str(weights))
    for blob, array in inputs.items():
        read.setInput(array, blob)
    # All at once: the numbers of a second forward may be others.
    return dict(zip(deployed.outputs, read.forward(list(deployed.names_in_opencv.values()))))


def by_caffe(net, weights, deployed, inputs):
    """The same in Caffe."""
    made = caffe.Net(str(net), str(weights), caffe.TEST)
    for blob, array in inputs.items():
        made.blobs[blob].data[...] = array
    made.forward()
    return {blob: made.blobs[blob].data.copy() for blob in deployed.outputs}
