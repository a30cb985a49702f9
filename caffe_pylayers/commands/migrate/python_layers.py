"""Python layers of others that layers of this package replace, by the classes that nets name."""

import ast
import os
from typing import Any, Callable, Dict, List, NamedTuple, Tuple
from xml.etree import ElementTree

from caffe_pylayers import ALIASES, LAYERS, regular_file
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.migrate.moves import Move, python_param
from caffe_pylayers.errors import ConfigError


class _Class(NamedTuple):
    """A class of others: the layer here, and a function from what its param_str says to the options, and the lines of the list that is the source."""

    own: str
    read: Callable[[Dict[str, Any]], Tuple[Dict[str, Any], List[str]]]


def own_class(layer: Layer) -> str:
    """The layer of this package that takes the place of a Python layer of another module; "" if none does, or it is ours."""
    module, kind, _ = layer.python
    if layer.type != "Python" or layer.own:
        return ""
    if _is_seed(module, kind):
        return ALIASES.get(kind, kind)
    found = _CLASSES.get((module.rpartition(".")[2], kind))
    return found.own if found else ""


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
        own = _CLASSES[module.rpartition(".")[2], kind]
        options, lines = own.read(values)
    except KeyError as missing:
        raise ConfigError(f"its param_str has no {missing}") from None
    except ElementTree.ParseError as error:
        raise ConfigError(f"an annotation is no XML: {error}") from error
    except OSError as error:
        remedy = f"run it in the folder where you train, with the images in place; now it is {os.getcwd()}"
        problem = f"cannot read {error.filename}: {error.strerror}, but its list is made of it"
        raise ConfigError(problem, remedy=remedy) from error
    source = options["source"] = os.path.join(folder, options["source"])
    return Move("Python", [python_param(own.own, repr(options))], ["python_param"], files={source: "".join(lines)})


def _is_seed(module: str, kind: str) -> bool:
    """Whether it is of Caffe-Python-Data-Layer, which has a module of its own for each class."""
    return kind in {*LAYERS, *ALIASES} and module.rpartition(".")[2] == kind


def _voc(values: Dict[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
    """FCN's: one image at a time, of its own size, without its mean; drawn at random in a split of training."""
    root, split = values["voc_dir"], values["split"]
    lines = [f"JPEGImages/{name}.jpg SegmentationClass/{name}.png\n" for name in _names(root, "Segmentation", split)]
    options = {"source": f"voc_{split}.txt", "root": root, "batch_size": 1}
    if "mean" in values:
        options["mean_value"] = list(values["mean"])
    if values.get("randomize", True) and "train" in split:
        options["shuffle"] = True
        options.update({"seed": values["seed"]} if values.get("seed") is not None else {})
    return options, lines


def _sbdd(values: Dict[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
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


def _pascal(values: Dict[str, Any]) -> Tuple[Dict[str, Any], List[str]]:
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
    return options, lines


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
_CLASSES = {
    ("voc_layers", "VOCSegDataLayer"): _Class("ImageMapDataLayer", _voc),
    ("voc_layers", "SBDDSegDataLayer"): _Class("ImageMapDataLayer", _sbdd),
    ("pascal_multilabel_datalayers", "PascalMultilabelDataLayerSync"): _Class("MultiLabelDataLayer", _pascal),
}
