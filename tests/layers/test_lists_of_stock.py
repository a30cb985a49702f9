"""Lists as stock ImageData reads them give the same images and labels here."""

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers import close
from tests.caffe_nets import layer_text, python_layer, write

LISTS = {
    "below root_folder": ("/JPEGImages/x.jpg 1\n/JPEGImages/y.jpg 2\n", ["JPEGImages/x.jpg", "JPEGImages/y.jpg"]),
    "a comma in the first name": ("Smith, J.png 3\nb.png 4\n", ["Smith, J.png", "b.png"]),
    "a number in the first name": ("photo 12 3\na.png 1\n", ["photo 12", "a.png"]),
    "a semicolon in a name": ("a;b.png 3\nc.png 1\n", ["a;b.png", "c.png"]),
    "Windows": ("a.png 3\r\nb.png 1\r\n", ["a.png", "b.png"]),
}


@pytest.mark.parametrize("text, names", LISTS.values(), ids=LISTS)
@pytest.mark.stock_data
def test_stock_and_ours_read_one_list(tmp_path, text, names):
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(cv2.imencode(".png", np.full((4, 6, 3), 40 * number, np.uint8))[1].tobytes())
    (tmp_path / "list.txt").write_bytes(text.encode())
    root = str(tmp_path) if text.startswith("/") else f"{tmp_path}/"
    param = f'image_data_param {{ source: "{tmp_path}/list.txt" root_folder: "{root}" batch_size: 2 }}'
    stock = caffe.Net(write(layer_text("ImageData", [], ["data", "label"], param)), caffe.TEST)
    options = {"source": f"{tmp_path}/list.txt", "root_folder": root, "batch_size": 2}
    ours = caffe.Net(write(python_layer("ImageDataLayer", [], ["data", "label"], options)), caffe.TEST)
    for net in (stock, ours):
        net.forward()
    for top in ("data", "label"):
        np.testing.assert_array_equal(ours.blobs[top].data, stock.blobs[top].data)
    close()
