"""Python layers of others that layers of this package replace, by the classes that nets name."""

import ast
import os
from typing import Any, Callable, Dict, List, NamedTuple, Tuple
from xml.etree import ElementTree

from caffe_pylayers import ALIASES, LAYERS, regular_file
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.migrate.moves import Move, python_param
from caffe_pylayers.errors import ConfigError


class _Own(NamedTuple):
    """A layer of this package, with its options and the lines of its list, which is its source."""

    layer: str
    options: Dict[str, Any]
    lines: List[str]


def known_class(layer: Layer) -> bool:
    """Whether it is a Python layer of another module whose class is known here."""
    module, kind, _ = layer.python
    if layer.type != "Python" or layer.own:
        return False
    return (module.rpartition(".")[2], kind) in _CLASSES or _is_seed(module, kind)


def as_own_class(layer: Layer, folder: str = "") -> Move:
    """Such a layer as one of this package. folder: where its list is written, if it needs one.

    Raises ConfigError if what it reads cannot be read so.
    """
    module, kind, param_str = layer.python
    if _is_seed(module, kind):
        return Move("Python", [python_param(kind, param_str)], ["python_param"])
    try:
        values = ast.literal_eval(param_str)
    except (SyntaxError, ValueError):
        values = None
    if not isinstance(values, dict):
        raise ConfigError("its param_str is no dict of values")
    try:
        own = _CLASSES[module.rpartition(".")[2], kind](values)
    except KeyError as missing:
        raise ConfigError(f"its param_str has no {missing}") from None
    except ElementTree.ParseError as error:
        raise ConfigError(f"an annotation is no XML: {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}, but its list is made of it") from error
    source = own.options["source"] = os.path.join(folder, own.options["source"])
    fields = [python_param(own.layer, repr(own.options))]
    return Move("Python", fields, ["python_param"], files={source: "".join(own.lines)})


def _is_seed(module: str, kind: str) -> bool:
    """Whether it is of Caffe-Python-Data-Layer, which has a module of its own for each class."""
    return kind in {*LAYERS, *ALIASES} and module.rpartition(".")[2] == kind


def _voc(values: Dict[str, Any]) -> _Own:
    """FCN's: one image at a time, of its own size, without its mean; drawn at random in a split of training."""
    root, split = values["voc_dir"], values["split"]
    lines = [f"JPEGImages/{name}.jpg SegmentationClass/{name}.png\n" for name in _names(root, "Segmentation", split)]
    options = {"source": f"voc_{split}.txt", "root": root, "batch_size": 1}
    if "mean" in values:
        options["mean_value"] = list(values["mean"])
    if values.get("randomize", True) and "train" in split:
        options["shuffle"] = True
        options.update({"seed": values["seed"]} if values.get("seed") is not None else {})
    return _Own("ImageMapDataLayer", options, lines)


def _sbdd(values: Dict[str, Any]) -> _Own:
    root, split = values["sbdd_dir"], values["split"]
    remedy = (
        f"write each as a PNG of class numbers into {os.path.join(root, 'maps')}, then "
        f"`caffe-pylayers list {os.path.join(root, 'img')} --maps {os.path.join(root, 'maps')}` writes the list for ImageMapDataLayer"
    )
    raise ConfigError(f"the labels of {split!r} are MATLAB files, which no layer here reads", remedy=remedy)


#: As the example of Caffe numbers them.
_VOC_CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


def _pascal(values: Dict[str, Any]) -> _Own:
    """That of Caffe's examples: a target for each of the 20 classes, resized images of both directions, 128 taken off."""
    root, split = values["pascal_root"], values["split"]
    lines = [f"JPEGImages/{name}.jpg {_classes(root, name)}\n" for name in _names(root, "Main", split)]
    options = {
        "source": f"voc_{split}.txt",
        "root": root,
        "batch_size": values["batch_size"],
        "resize": list(values["im_shape"]),
        "multilabel": True,
        "label_dim": len(_VOC_CLASSES),
        "mean_value": [128, 128, 128],
        "mirror": True,
        "shuffle": True,
    }
    return _Own("MultiLabelDataLayer", options, lines)


def _names(root: str, kind: str, split: str) -> List[str]:
    with regular_file.open_text(os.path.join(root, "ImageSets", kind, f"{split}.txt")) as file:
        return [line.split()[0] for line in file if line.strip()]


def _classes(root: str, name: str) -> str:
    """The numbers of the classes in the boxes of an image."""
    text = regular_file.read_bytes(os.path.join(root, "Annotations", f"{name}.xml"))
    found = {each.findtext("name", "").lower().strip() for each in ElementTree.fromstring(text).iter("object")}
    unknown = found.difference(_VOC_CLASSES)
    if unknown or not found:
        what = f"an object {min(unknown)!r}, which is none of the 20 classes" if unknown else "no object"
        raise ConfigError(f"image {name!r} has {what}", remedy="write the list by hand, or correct its annotation")
    return ":".join(str(number) for number, kind in enumerate(_VOC_CLASSES) if kind in found)


#: By module and class; other modules have other layers of these names.
_CLASSES: Dict[Tuple[str, str], Callable[[Dict[str, Any]], _Own]] = {
    ("voc_layers", "VOCSegDataLayer"): _voc,
    ("voc_layers", "SBDDSegDataLayer"): _sbdd,
    ("pascal_multilabel_datalayers", "PascalMultilabelDataLayerSync"): _pascal,
}
