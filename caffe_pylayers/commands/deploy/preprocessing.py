"""What becomes of an image before a net takes it, for programs without the data layer: as JSON, and as a program of OpenCV."""

import json
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.deploy.deploy import Deployed
from caffe_pylayers.commands.deploy.pruning import options_of
from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.data.geometry import Fit
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.files.mean import read_mean


@dataclass
class Preprocessing:
    """inputs: the transforms of each input that is fed images. means: those of them that are images, by input. remarks: what the files do not say."""

    deployed: Deployed
    inputs: Dict[str, Transforms] = field(default_factory=dict)
    remarks: List[str] = field(default_factory=list)

    @property
    def means(self) -> Dict[str, np.ndarray]:
        means = {blob: each.mean for blob, each in self.inputs.items()}
        return {blob: mean for blob, mean in means.items() if mean is not None and mean.shape[1:] != (1, 1)}

    def json(self, place: str) -> str:
        """Inputs and outputs, and what becomes of images, in this order: color, resize, crop, mean, scale."""
        inputs: Dict[str, Any] = {}
        for blob, shape in self.deployed.inputs.items():
            inputs[blob] = {"shape": list(shape), "layer": self.deployed.feeders[blob][0].name}
            if blob in self.inputs:
                inputs[blob].update(_described(self.inputs[blob], os.path.basename(self.mean_file(place, blob))))
        return json.dumps({"inputs": inputs, "outputs": self.deployed.outputs}, indent=2) + "\n"

    def mean_file(self, place: str, blob: str) -> str:
        """Where the mean image of an input is written."""
        return f"{place}_{self._name(blob, _in_a_path)}_mean.npy"

    def function_name(self, blob: str) -> str:
        """The name of the function of an input."""
        return f"feed_{self._name(blob, _in_a_program)}"

    def _name(self, blob: str, plain: Callable[[str], str]) -> str:
        """The name of an input in other words, with a number where another input has the same."""
        alike = [each for each in self.inputs if plain(each) == plain(blob)].index(blob)
        return plain(blob) + (f"_{alike + 1}" if alike else "")


def _in_a_path(blob: str) -> str:
    return blob.replace("/", "_")


def _in_a_program(blob: str) -> str:
    return "".join(each if f"_{each}".isidentifier() else "_" for each in blob)


def preprocessing(deployed: Deployed) -> Preprocessing:
    """What becomes of the images that a net is fed. Raises DataError where the file of a mean cannot be read."""
    found = Preprocessing(deployed)
    for blob, (layer, _) in deployed.feeders.items():
        transforms = _of_own(layer, found.remarks) if layer.own else _of_stock(layer)
        if transforms is not None:
            found.inputs[blob] = transforms
        elif layer.type == "Input":
            found.remarks.append(
                f"{layer.described} says nothing of images: give the net with its data layer, to have written what becomes of them"
            )
        else:
            found.remarks.append(
                f"input {blob!r} takes what {layer.described} feeds: numbers that no image is made into"
            )
    return found


def _of_own(layer: Layer, remarks: List[str]) -> Optional[Transforms]:
    options = options_of(layer)
    if not isinstance(options, DataLayerOptions):
        return None
    transforms = Transforms.of(options)
    if transforms.transform is not None:
        remarks.append(f"not in the files: `transform` of {layer.described}, which comes behind the resizing")
    if transforms.fast:
        remarks.append(f"the files decode exactly, but {layer.described} has `decode: fast`: pixels differ a little")
    if transforms.pads and transforms.crop_size:
        remarks.append(f"not in the files: the padding of an image that is smaller than the crop of {layer.described}")
    if transforms.copies > 1:
        remarks.append(
            f"the files take the crop in the middle, but {layer.described} feeds {transforms.copies} of each image"
        )
    return transforms


def _of_stock(layer: Layer) -> Optional[Transforms]:
    """Those of a layer of Caffe's that feeds images; None of another one."""
    if layer.type not in ("Data", "ImageData"):
        return None
    param, images = layer.message.message("transform_param"), layer.message.message("image_data_param")
    crop = param.whole("crop_size")
    size = images.whole("new_height"), images.whole("new_width")
    color = images.flag("is_color", True) and not param.flag("force_gray")
    return Transforms(
        resize=size if all(size) else None,
        crop_size=(crop, crop) if crop else None,
        color=color,
        mean=read_mean(param.get("mean_file"), [float(each) for each in param.all("mean_value")] or None),
        scale=float(param.get("scale", 1.0)),
    )


def _described(transforms: Transforms, path: str) -> Dict[str, Any]:
    resize: Any = transforms.resize
    if isinstance(resize, Fit):
        resize = {"short": resize.short} if resize.short else {"long": resize.long, "pad": resize.pad}
    mean: Any = None if transforms.mean is None else path
    if transforms.mean is not None and transforms.mean.shape[1:] == (1, 1):
        mean = [float(each) for each in transforms.mean.reshape(-1)]
    return {
        "color": _color(transforms),
        "resize": resize,
        "crop": transforms.crop_size,
        "mean": mean,
        "scale": transforms.scale,
    }


def _color(transforms: Transforms) -> str:
    return (
        {True: "BGR", False: "gray"}.get(transforms.color, "as stored")
        if isinstance(transforms.color, bool)
        else "as stored"
    )


def program(about: Preprocessing, place: str, stock: bool) -> str:
    """A Python program that feeds the net an image as its data layer would, and prints the outputs."""
    functions = [_function(about, blob, place) for blob in about.inputs]
    deployed = about.deployed
    lines = [
        '"""Images as the net beside this file takes them: a function for each input. `caffe-pylayers deploy` has made it."""',
        "",
        "import os",
        "import sys",
        "",
        *(["import caffe"] if stock else []),
        "import cv2",
        "import numpy as np",
        "",
        "HERE = os.path.dirname(os.path.abspath(__file__))",
        *(line for function in functions for line in ("", "", *function)),
    ]
    if set(about.inputs) == set(deployed.inputs):
        lines += ["", "", 'if __name__ == "__main__":', *(f"    {line}" for line in _main(about, place, stock))]
    return "\n".join(lines) + "\n"


def _function(about: Preprocessing, blob: str, place: str) -> Sequence[str]:
    transforms, shape = about.inputs[blob], about.deployed.inputs[blob]
    flag = {"BGR": "IMREAD_COLOR", "gray": "IMREAD_GRAYSCALE"}.get(_color(transforms), "IMREAD_UNCHANGED")
    mean = "0" if transforms.mean is None else f"np.array({transforms.mean.reshape(-1).tolist()}, np.float32)"
    if blob in about.means:
        mean = f"np.load({_beside(about.mean_file(place, blob))}).transpose(1, 2, 0)"
    lines = [
        f"image = cv2.imread(path, cv2.{flag})",
        *_resizing(transforms),
        "image = image.reshape(*image.shape[:2], -1).astype(np.float32)",
        *_padding(transforms, mean),
        *([] if transforms.mean is None else [f"image = image - {mean}"]),  # a mean image has the size before the crop
        *_cropping(transforms),
        *([] if transforms.scale == 1 else [f"image = image * np.float32({transforms.scale!r})"]),
        "return np.ascontiguousarray(image.transpose(2, 0, 1)[None])",
    ]
    size = " x ".join(map(str, (1, *shape[1:])))
    title = [f"def {about.function_name(blob)}(path):", f'    """An image for an input of {size}, float32."""']
    return [*title, *(f"    {line}" for line in lines)]


def _resizing(transforms: Transforms) -> Sequence[str]:
    resize = transforms.resize
    if resize is None:
        return []
    if not isinstance(resize, Fit):
        return [f"image = cv2.resize(image, ({resize[1]}, {resize[0]}))"]
    chosen, side = ("min", resize.short) if resize.short else ("max", resize.long)
    return [
        f"side = {chosen}(image.shape[:2])",
        f"height, width = (max(1, {side} * each // side) for each in image.shape[:2])",
        "image = cv2.resize(image, (width, height))",
    ]


def _padding(transforms: Transforms, mean: str) -> Sequence[str]:
    """The image in the middle of a square, with the mean around it as the data layer has it: rounded to pixels."""
    if not isinstance(transforms.resize, Fit) or not transforms.resize.pad:
        return []
    side = transforms.resize.long
    return [
        f"square = np.zeros(({side}, {side}, image.shape[2]), np.float32)",
        f"square[...] = np.clip(np.rint({mean}), 0, 255)",
        f"top, left = ({side} - height) // 2, ({side} - width) // 2",
        "square[top : top + height, left : left + width] = image",
        "image = square",
    ]


def _cropping(transforms: Transforms) -> Sequence[str]:
    if not transforms.crop_size:
        return []
    height, width = transforms.crop_size
    return [
        f"top, left = (image.shape[0] - {height}) // 2, (image.shape[1] - {width}) // 2",
        f"image = image[top : top + {height}, left : left + {width}]",
    ]


def _main(about: Preprocessing, place: str, stock: bool) -> Sequence[str]:
    deployed, files = about.deployed, ", ".join(_beside(place + ending) for ending in (".prototxt", ".caffemodel"))
    fed = [(blob, f"{about.function_name(blob)}(sys.argv[1])") for blob in about.inputs]
    if stock:
        return [
            f"net = caffe.Net({files}, caffe.TEST)",
            *(f"net.blobs[{blob!r}].data[...] = {image}" for blob, image in fed),
            "net.forward()",
            *(f"print({blob!r}, net.blobs[{blob!r}].data)" for blob in deployed.outputs),
        ]
    return [
        f"net = cv2.dnn.readNetFromCaffe({files})",
        *(f"net.setInput({image}, {blob!r})" for blob, image in fed),
        *_printing(deployed.names_in_opencv),
    ]


def _printing(names: Dict[str, str]) -> Sequence[str]:
    """All outputs of one forward: OpenCV may give other numbers for the second of two, whose memory the first has used."""
    if len(names) == 1:
        return [f"print({blob!r}, net.forward({name!r}))" for blob, name in names.items()]
    return [
        f"found = net.forward({list(names.values())!r})",
        f"for name, output in zip({list(names)!r}, found):",
        "    print(name, output)",
    ]


def _beside(path: str) -> str:
    """The Python expression for a file beside the program."""
    return f"os.path.join(HERE, {os.path.basename(path)!r})"
