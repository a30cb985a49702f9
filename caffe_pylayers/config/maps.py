"""The options of the data layer of images with maps."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Mapping, Optional, Sequence, Tuple, Union

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.config.data import CropSize, DataLayerOptions
from caffe_pylayers.config.of_forks import options_of_maps
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Path

_Label = Annotated[int, Field(ge=-LARGEST_LABEL, le=LARGEST_LABEL)]


class ImageMapDataLayerOptions(DataLayerOptions):
    """Images, each with a map of the same size: a label, or a value, for each pixel."""

    gives: ClassVar[Tuple[str, ...]] = ("data", "label", "[data_dim]")
    forks: ClassVar[Tuple[str, ...]] = ("ImageSegData", "DenseImageData", "ImageLabelmapData")
    example: ClassVar[Dict[str, Any]] = {
        "source": "pairs.txt",
        "root": "images",
        "batch_size": 8,
        "scales": [0.75, 1, 1.25],
        "crop_size": 321,
        "mirror": True,
        "shuffle": True,
        "mean_value": [104, 117, 123],
        "prefetch": True,
    }
    has_maps = True
    _sampling = ("shuffle",)

    source_type: Annotated[Literal["CSV", "LMDB", "HDF5"], InOrder(0)] = Field(
        "CSV", description="What the source is: a CSV file, an LMDB, or HDF5."
    )
    source: Path = Field(
        description="Path of the CSV file, which has an image, its map and, with `weights`, the weights of its pixels on each line; of the "
        "LMDB of images; or of an .h5 file or a list of them, with data sets data and label."
    )
    header: bool = Field(
        False, description="The first line of the CSV file names its columns: name, map, weights, others; false: no."
    )
    maps: Optional[Path] = Field(None, description="The LMDB of maps, with the keys of the images; only for LMDB.")
    weights: Union[bool, Path] = Field(
        False,
        description="Feed a weight for each pixel, in a top sample_weight: from the third column of a CSV file, or the data set sample_weight of "
        "HDF5 (true), or from an LMDB (its path). Padding has 0.",
    )
    map_type: Literal["labels", "values"] = Field(
        "labels",
        description="What a map has: integers, which are never mixed (labels), or any numbers, bilinear where the size changes, nan for "
        "a missing one (values).",
    )
    label_map: Optional[Dict[_Label, _Label]] = Field(
        None, description="Other numbers for labels, {'old': new}, such as {'0': 255}; those that are not named stay."
    )
    pad_label: _Label = Field(
        255,
        description="What the map has around the image, where that is padded; values have nan there unless it is given.",
    )
    shuffle: bool = Field(False, description="A new random order each epoch of TRAIN; false: the source's order.")
    scales: Optional[Tuple[Annotated[float, Field(gt=0)], ...]] = Field(
        None,
        min_length=1,
        description="Factors, above 0: in TRAIN the size is multiplied by one of them, drawn for each image.",
    )
    crop_size: CropSize = Field(
        None,
        description="Size to cut out after resizing and scaling, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in "
        "TEST. An image that is smaller is padded with the mean at the bottom and the right. 0 or none: no crop.",
    )
    like: Optional[Literal["ImageSegData", "DenseImageData"]] = Field(
        None,
        description="Do as a layer of a fork does: of DeepLab and PSPNet (ImageSegData), or of SegNet, which crops and mirrors at random in "
        "TEST too (DenseImageData). Both round the nearest pixel down.",
    )
    decode: Literal["exact", "lenient"] = Field(
        "exact",
        description="A JPEG that is cut short is an error (exact), or is read as far as it goes, as stock ImageData reads it, and counted "
        "(lenient).",
    )

    @classmethod
    def options_of_fork(cls, kind: str, params: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
        return options_of_maps(kind, super().options_of_fork(kind, params))

    def top_names(self) -> Sequence[str]:
        return ("data", "label", *("sample_weight",) * bool(self.weights), "[data_dim]")

    @property
    def sizes_differ(self) -> bool:
        fixed = self.resized() is not None and self.scales is None
        return self.batch_size == 1 and self.crop_size is None and not fixed

    def image_shape(self) -> Optional[Tuple[Optional[int], int, int]]:
        return None if self.sizes_differ else super().image_shape()

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.source_type == "LMDB":
            if self.maps is None:
                rule = "option 'maps' is required if 'source_type' is 'LMDB'"
                yield Remark(("maps", "source_type"), rule, "name the LMDB of the maps")
            if self.weights is True:
                rule = "option 'weights' is true, but 'source_type' is 'LMDB'"
                yield Remark(("weights", "source_type"), rule, "name the LMDB of the weights")
        elif isinstance(self.weights, str):
            rule = f"option 'weights' is a path, but 'source_type' is {self.source_type!r}"
            yield Remark(("weights", "source_type"), rule, "set 'weights': true")
        if self.scales is not None and self.crop_size is None and self.batch_size > 1:
            rule = f"option 'scales' gives images of several sizes, but 'batch_size' is {self.batch_size}, and there is no 'crop_size'"
            yield Remark(("scales", "batch_size", "crop_size"), rule, "set 'crop_size'")

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.source_type != "LMDB":
            yield from self.without_effect(("maps",), f"'source_type' is {self.source_type!r}")
        if self.map_type == "values":
            yield from self.without_effect(("label_map",), "'map_type' is 'values'")
