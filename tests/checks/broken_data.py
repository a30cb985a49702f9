"""Mistakes in data."""

import struct

import cv2
import numpy as np

from tests.checks.broken import MAPS, NET, STOCK, Broken

_TRAIN = "'source': 'train.csv', 'batch_size': 4, 'shuffle'"
_CSV = "".join(f"{number}.png,{number % 5}\n" for number in range(10))


def _csv(old: str, new: str) -> "dict[str, bytes]":
    assert old in _CSV
    return {"train.csv": _CSV.replace(old, new).encode()}


_SMALL = cv2.imencode(".png", np.zeros((6, 6, 3), np.uint8))[1].tobytes()
_DEEP = cv2.imencode(".png", np.zeros((12, 12, 3), np.uint16))[1].tobytes()


_JPEG = cv2.imencode(".jpg", np.arange(432, dtype=np.uint8).reshape(12, 12, 3))[1].tobytes()
#: EXIF with the orientation 3.
_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0"
_UPSIDE_DOWN = _JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(_EXIF) + 2) + _EXIF + _JPEG[2:]


def _png(numbers: np.ndarray) -> bytes:
    return cv2.imencode(".png", numbers.astype(np.uint8))[1].tobytes()


def _png_of(height: int, width: int) -> bytes:
    """The header of a PNG; it is not decoded."""
    return cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()[:16] + struct.pack(">II", width, height)


# fmt: off
BROKEN = [
    # -------------------------------------------------------------------------------------- of this package's layers
    Broken("a source that is not there", NET, _TRAIN, _TRAIN.replace("train.csv", "trian.csv"), "train_data", "option 'source': no file or folder",
           "relative paths start at the working directory"),
    Broken("an image that is not there", NET, "'restart_every': 3", "'restart_every': 3", "test_data", "99.png", at="'restart_every'",
           disk=_csv("9.png,4", "99.png,4")),
    Broken("an image that is none", NET, "'restart_every': 3", "'restart_every': 3", "test_data", "record 9 ('9.png'): not an image that OpenCV can decode",
           "fix or remove the record", at="'restart_every'", disk={"9.png": b"no picture"}),
    Broken("an empty list", NET, "'restart_every': 3", "'restart_every': 3", "test_data", "no records", at="'restart_every'", disk={"train.csv": b""}),
    Broken("no labels for the top", NET, "'restart_every': 3", "'restart_every': 3", "test_data", "has no labels, but the layer has a top for them",
           "name labels with option 'labels'", at='  top: "data"  top: "label"', last=True,
           disk={"train.csv": b"".join(b"%d.png\n" % number for number in range(10))}),
    Broken("no sample weights for the top", NET, 'top: "label"\n  include { phase: TEST }', 'top: "label"  top: "sample_weight"\n  include { phase: TEST }',
           "test_data", "has no sample weights", "option 'sample_weights'"),
    Broken("a crop that is too large", NET, _TRAIN, "'crop_size': 20, " + _TRAIN, "train_data", "is too small for crop_size 20", "set `resize`"),
    Broken("a mean of another size", NET, _TRAIN, "'mean_file': 'small_mean.binaryproto', " + _TRAIN, "train_data", "the image of mean_file is 10 x 10",
           "set `resize`"),
    Broken("a mean image of images that are rotated", NET, _TRAIN, "'mean_file': 'small_mean.binaryproto', 'augment': {'rotate': 9}, " + _TRAIN, "train_data",
           "does not follow one that is scaled or moved", "use mean_value"),
    Broken("a CSV as LMDB", NET, _TRAIN, "'source_type': 'LMDB', " + _TRAIN, "train_data", "LMDB source"),
    Broken("labels beyond the classes", NET, "'restart_every': 3", "'restart_every': 3", "loss", "the data have label 7",
           "number the classes from 0", at='bottom: "scores"  bottom: "label"', disk=_csv("7.png,2", "7.png,7")),
    Broken("labels from 1", NET, "num_output: 5", "num_output: 4", "accuracy", "layer 'scores' has num_output 4: labels are 0 to 3", "make room for 5",
           at='layer {\n  name: "accuracy"', shift=1),
    Broken("n_classes too few", NET, "'n_classes': 5", "'n_classes': 3", "weights", "the data have label 4", "make room for 5",
           at='layer {\n  name: "weights"', shift=1),
    Broken("more classes a batch than there are", NET, _TRAIN, "'source': 'train.csv', 'type': 'PK', 'classes_per_batch': 9, 'samples_per_class': 2, 'mirror'",
           "train_data", "classes"),
    Broken("a label beyond label_dim", NET, 'layer: "ImageDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'batch_size\': 4, \'restart_every\'',
           'layer: "MultiLabelDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'multilabel\': True, \'label_dim\': 3, \'restart_every\'', "test_data",
           "has label 4, but 'label_dim' is 3: labels are 0 to 2", "set 'label_dim': 5", at="'label_dim'"),
    Broken("a label that is none, for mining", NET, 'layer: "WeightedSoftmaxLoss"', 'layer: "BatchTripletLoss"', "loss",
           "but labels of this layer start at 0", "leave out records without a label", at='bottom: "scores"  bottom: "label"',
           disk=_csv("7.png,2", "7.png,-1")),
    Broken("rows of 0 and 1 as numbers", NET, 'layer: "ImageDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'batch_size\': 4, \'restart_every\'',
           'layer: "MultiLabelDataLayer"\n    param_str: "{\'source\': \'train.csv\', \'labels\': \'rows.txt\', \'multilabel\': True, \'restart_every\'', "test_data",
           "labels 0:1:1: the rows of all records have 3 numbers, each 0 or 1", "set `label_format: indicator`", at="'multilabel'",
           disk={"rows.txt": b"0 1 1\n" * 10}),
    Broken("sample weights without a top", NET, "'restart_every': 3", "'restart_every': 3, 'sample_weights': 'w.txt'", "test_data",
           "'sample_weights' has no effect: the layer has no third top", 'add `top: "sample_weight"`', level="warning",
           disk={"w.txt": b"1\n" * 10}),
    # ---------------------------------------------------------------------------------------------------------- maps
    Broken("maps with labels beyond the classes", MAPS, "num_output: 5", "num_output: 4", "loss", "the data have label 4", "make room for 5",
           at='layer {\n  name: "loss"', shift=1),
    Broken("a map with a label beyond the classes", MAPS, "'mirror'", "'mirror'", "loss", "the data have label 7", "make room for 8",
           at='layer {\n  name: "loss"', shift=1, disk={"9_map.png": _png(np.full((12, 12), 7))}),
    Broken("padding that is not ignored", MAPS, """  param_str: "{'ignore_label': 255}\"""", "", "loss", "the data have label 255",
           "leave label 255 out with `'ignore_label': 255`", at='layer {\n  name: "loss"', shift=1),
    Broken("edges that are not ignored", MAPS, "'scales': [0.5, 1], 'crop_size': 10, ", "", "loss", "the data have label 255",
           "leave label 255 out with `'ignore_label': 255`", at='layer {\n  name: "loss"', shift=1,
           disk={"0_map.png": _png(np.eye(12) * 255)}, also=(MAPS, """  param_str: "{'ignore_label': 255}\"""", "")),
    Broken("corners of rotated maps that are not ignored", MAPS, "'scales': [0.5, 1], 'crop_size': 10, ", "'augment': {'rotate': 9}, ", "loss",
           "the data have label 255", "leave label 255 out with `'ignore_label': 255`", at='layer {\n  name: "loss"', shift=1,
           also=(MAPS, """  param_str: "{'ignore_label': 255}\"""", "")),
    Broken("labels that become others", MAPS, "'mirror'", "'label_map': {'4': 9}, 'mirror'", "loss", "the data have label 9", "make room for 10",
           at='layer {\n  name: "loss"', shift=1),
    Broken("values for classes", MAPS, "'mirror'", "'map_type': 'values', 'mirror'", "loss", "the data have label nan", "number the classes from 0",
           at='layer {\n  name: "loss"', shift=1),
    Broken("a map of colours", MAPS, "'mirror'", "'mirror'", "train_data", "it has 3 channels, which differ", "as a grey image, or as one with a palette",
           disk={"9_map.png": _png(np.arange(432).reshape(12, 12, 3) % 256)}),
    Broken("a map of another size", MAPS, "'mirror'", "'mirror'", "train_data", "it is 5 x 12, but its image is 12 x 12", "must be of one size",
           disk={"0_map.png": _png(np.zeros((5, 12)))}),
    Broken("a map that is a JPEG", MAPS, "'mirror'", "'mirror'", "train_data", "may change the numbers of labels", "write it as a PNG",
           disk={"0_map.png": cv2.imencode(".jpg", np.zeros((12, 12), np.uint8))[1].tobytes()}),
    Broken("a map that is not there", MAPS, "'mirror'", "'mirror'", "train_data", "1 of 10 files do not exist", "set `root`", disk={"9_map.png": None}),
    Broken("an image that EXIF turns", MAPS, "'mirror'", "'mirror'", "train_data", "record 0 ('0.png'): EXIF turns or mirrors it", "its map must be that of the turned image",
           level="warning", disk={"0.png": _UPSIDE_DOWN}),
    Broken("labels of images for maps", MAPS, "'mirror'", "'mirror'", "train_data", "'3' is a label, but a map is a file", "use ImageDataLayer",
           disk={"maps.csv": b"0.png,3\n1.png,1\n"}),
    Broken("weights of pixels without a top", MAPS, "'mirror'", "'weights': True, 'mirror'", "train_data", "found 2 tops, expected 3 to 4", "add tops",
           at='top: "data"'),
    # -------------------------------------------------------------------------------------------- of Caffe's own layers
    Broken("an LMDB that is not there", STOCK, '"train_lmdb"', '"trainlmdb"', "data", "source 'trainlmdb': there is no such file or folder",
           "relative paths start at the working directory"),
    Broken("an LMDB without backend", STOCK, "  backend: LMDB", "", "data", "source 'train_lmdb' is an LMDB, but backend is LEVELDB", "add `backend: LMDB`"),
    Broken("no source", STOCK, 'source: "train_lmdb"  ', "", "data", "data_param has no source", 'add `source: "..."`'),
    Broken("a mean that is not there", STOCK, '"mean.binaryproto"', '"means.binaryproto"', "data", "mean_file 'means.binaryproto': there is no such file",
           "relative paths"),
    Broken("a mean of another size, in stock", STOCK, '"mean.binaryproto"', '"small_mean.binaryproto"', "data",
           "is 3 x 10 x 10, but images are 3 x 12 x 12", "compute_image_mean"),
    Broken("a crop that is too large, in stock", STOCK, "crop_size: 10", "crop_size: 20", "data", "12 x 12 (height x width) is too small for crop_size 20",
           "smaller crop_size"),
    Broken("mean_file and mean_value", STOCK, "crop_size: 10", "crop_size: 10  mean_value: 3", "data", "mean_file and mean_value are both given",
           "leave one out"),
    Broken("a transform in data_param", STOCK, "batch_size: 4  backend", "batch_size: 4  mirror: true  backend", "data",
           "mirror in data_param has no effect", "transform_param { mirror: ... }", level="warning"),
    Broken("a list without labels", STOCK, '"images.txt"', '"images.txt"', "image", "images.txt:1: '0.png' does not end with an integer label",
           "`path label`", disk={"images.txt": b"0.png\n1.png\n"}, also=(STOCK, 'bottom: "label"', 'bottom: "image_label"')),
    Broken("a list of files that are not there", STOCK, '"images.txt"', '"images.txt"', "image", "images.txt:2: there is no file 'b.png'",
           "set root_folder", disk={"images.txt": b"0.png 1\nb.png 1\n"}),
    Broken("16-bit images", STOCK, '"images.txt"', '"images.txt"', "image", "0.png: has 16-bit pixels, but Caffe keeps only the upper 8 bits",
           "make 8-bit images", level="warning", disk={"0.png": _DEEP}),
    Broken("images of many pixels", STOCK, '"images.txt"', '"images.txt"', "image", "0.png: has 400000000 pixels, and Caffe decodes them all",
           "make it smaller", level="warning", disk={"0.png": _png_of(20000, 20000), "9.png": _png_of(20000, 20000)}),
    Broken("images of too many pixels", STOCK, '"images.txt"', '"images.txt"', "image", "0.png: 40000 x 30000 pixels; OpenCV decodes 1073741824 at most",
           "make it smaller", disk={"0.png": _png_of(40000, 30000)}),
    Broken("images of many pixels, of ours", NET, "'restart_every': 3", "'restart_every': 3", "test_data",
           "20000 x 20000 pixels (height x width) are more than `max_pixels`", "raise `max_pixels`", at="'restart_every'", disk={"0.png": _png_of(20000, 20000)}),
    Broken("16-bit images of ours", NET, "'restart_every': 3", "'restart_every': 3", "test_data", "16-bit pixels, but only 8 bits of each would be kept",
           "`color: any`", at="'restart_every'", disk={"0.png": _DEEP}),
    Broken("images of different sizes", STOCK, '"images.txt"', '"images.txt"', "image", "images of different sizes", "set new_height and new_width",
           disk={"9.png": _SMALL}),
    Broken("a mean value too many", STOCK, 'mean_file: "mean.binaryproto"', "mean_value: 1  mean_value: 2", "data",
           "2 mean_values, but images have 3 channels", "give one, or one per channel"),
    Broken("no batch_size", STOCK, 'source: "train_lmdb"  batch_size: 4', 'source: "train_lmdb"', "data", "batch_size is 0 or not given",
           "add `batch_size: 64`"),
    Broken("no num_output", STOCK, "num_output: 5  ", "", "scores", "inner_product_param has no num_output", "add `num_output: N`"),
    Broken("a folder that is not a LevelDB", STOCK, '"train_lmdb"  batch_size: 4  backend: LMDB', '"snapshots"  batch_size: 4', "data",
           "source 'snapshots' is not a LevelDB", "was the copy cut short?"),
    Broken("a list for a window file", STOCK, 'type: "ImageData"  top: "image"  top: "image_label"\n  image_data_param',
           'type: "WindowData"  top: "image"  top: "image_label"\n  window_data_param', "image", "source 'images.txt' is not a window file",
           "see WindowDataLayer", at="  window_data_param"),
    Broken("a matrix that is not there", STOCK, '"SoftmaxWithLoss"', '"InfogainLoss"  infogain_loss_param { source: "H.binaryproto" }', "loss",
           "source 'H.binaryproto': there is no such file", "relative paths"),
    Broken("an LMDB that is damaged", STOCK, '"train_lmdb"', '"bad_lmdb"', "data", "LMDB", disk={"bad_lmdb/data.mdb": b"no database" * 1000}),
    Broken("an HDF5 file for its list", STOCK, '"h5.txt"', '"rows.h5"', "h5", "is an HDF5 file, but HDF5Data needs a list", "into a text file"),
    Broken("an HDF5 file that is not there", STOCK, '"h5.txt"', '"h5.txt"', "h5", "h5.txt: there is no file 'row.h5'", "relative paths",
           disk={"h5.txt": b"rows.h5\nrow.h5\n"}),
    Broken("a data set that the file has not", STOCK, 'top: "feature"  top: "target"', 'top: "features"  top: "target"', "h5",
           "rows.h5: no data set 'features'", "data sets: feature, target", at="hdf5_data_param",
           also=(STOCK, 'bottom: "feature"', 'bottom: "features"')),
    Broken("a transform of HDF5", STOCK, "hdf5_data_param {", "transform_param { scale: 2 }\n  hdf5_data_param {", "h5",
           "HDF5Data does not transform data", "leave transform_param out", at="hdf5_data_param"),
    Broken("an HDF5 layer without a top", STOCK, '  top: "feature"  top: "target"', "", "h5", "it has no top", 'data sets: feature, target',
           at="hdf5_data_param", also=(STOCK, ' bottom: "feature"  bottom: "target"', "")),
    Broken("labels beyond the classes, in stock", STOCK, "num_output: 5", "num_output: 4", "loss", "the data have label 4", "make room for 5",
           at='layer { name: "loss"'),
]
