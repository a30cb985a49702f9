"""The options of the layers that pool maps, and of those that change their size."""

from typing import Any, ClassVar, Dict, Iterator, List, Literal, Optional, Sequence, Tuple, Union

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options

#: What nets of YOLO have a layer Upsample for.
_REPEATS = (
    'with one bottom it repeats each number: write `type: "Deconvolution"` with `weight_filler { type: "constant"  value: 1 }`, '
    "kernel_size and stride equal to its scale, `num_output` and `group` equal to the number of channels, `bias_term: false`, and `param { lr_mult: 0 }`"
)
#: What says where windows begin, where there are several.
_BETWEEN_WINDOWS = ("stride", "stride_h", "stride_w", "pad", "pad_h", "pad_w", "kstride")

_Positive = Annotated[int, Field(ge=1)]
_Padding = Annotated[int, Field(ge=0)]
_PerAxis = Annotated[Tuple[_Positive, ...], Field(min_length=1)]


def _together(options: Options, first: str, second: str, instead: str = "") -> Iterator[Remark]:
    """What is wrong where one of two options is given, or both beside the one in whose place they stand."""
    given = [name for name in (first, second) if options.given(name)]
    if len(given) == 1:
        missing = second if given == [first] else first
        yield Remark((first, second), f"option {given[0]!r} is given without {missing!r}", f"give {missing!r} too")
    if given and instead and options.given(instead):
        both = f"options {instead!r} and {given[0]!r} are both given"
        yield Remark((instead, first, second), both, "leave one out")


class PoolingNDOptions(Options):
    """The largest number or the mean of each window, over any trailing axes."""

    fork_type = True
    takes = ("x",)
    gives = ("y", "[mask]")
    onnx = "pooling_nd"
    example: ClassVar[Dict[str, Any]] = {"pool": "MAX", "kernel_size": 2, "stride": 2}
    page = "features.md"

    pool: Literal["MAX", "AVE"] = Field("MAX", description="What is taken of a window: its largest number or its mean.")
    axis: int = Field(1, description="Axis of the channels, an integer; all axes after it are pooled.")
    kernel_size: Union[_Positive, _PerAxis, None] = Field(
        None, description="Size of the window, at least 1: one for all pooled axes, or a list with one per axis."
    )
    kernel_h: Optional[_Positive] = Field(None, description="Size along the first of two pooled axes, at least 1.")
    kernel_w: Optional[_Positive] = Field(None, description="Size along the second of two pooled axes, at least 1.")
    stride: Union[_Positive, _PerAxis, None] = Field(
        None, description="From one window to the next, at least 1: one number, or a list with one per axis; none: 1."
    )
    stride_h: Optional[_Positive] = Field(None, description="Stride along the first of two pooled axes, at least 1.")
    stride_w: Optional[_Positive] = Field(None, description="Stride along the second of two pooled axes, at least 1.")
    pad: Union[_Padding, Annotated[Tuple[_Padding, ...], Field(min_length=1)], None] = Field(
        None,
        description="Padding at both ends of an axis, from 0 and below the size of the window: one number, or a list with one per "
        "axis; none: 0.",
    )
    pad_h: Optional[_Padding] = Field(None, description="Padding of the first of two pooled axes, from 0.")
    pad_w: Optional[_Padding] = Field(None, description="Padding of the second of two pooled axes, from 0.")
    kstride: Union[_Positive, _PerAxis] = Field(
        1, description="From one element of a window to the next, at least 1: one number, or a list with one per axis."
    )

    global_pooling: bool = Field(False, description="One window, over all of the pooled axes.")

    def conflicts(self) -> Iterator[Remark]:
        names = ("kernel_size", "kernel_h", "kernel_w")
        if not self.global_pooling and not any(self.given(name) for name in names):
            remedy = "give 'kernel_size', or 'kernel_h' and 'kernel_w', or 'global_pooling': true"
            yield Remark((*names, "global_pooling"), "the size of the window is missing", remedy)
        beside = [name for name in (*names, *_BETWEEN_WINDOWS) if self.global_pooling and self.given(name)]
        if beside:
            found = f"options 'global_pooling' and {beside[0]!r} are both given"
            yield Remark(("global_pooling", *beside), found, "leave one out")
        for name, each in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad")):
            yield from _together(self, f"{each}_h", f"{each}_w", name)

    def top_problems(self, found: int) -> Iterator[Remark]:
        if self.pool == "AVE" and found > 1:
            yield Remark(("pool",), "there is no mask where 'pool' is 'AVE'", "remove the second top, or take 'MAX'")

    def per_axis(self, name: str, short: str, default: int) -> Tuple[int, ...]:
        """The numbers that an option gives: one for all axes, or one per axis."""
        whole = getattr(self, name)
        if whole is not None:
            return whole if isinstance(whole, tuple) else (whole,)
        sides = (getattr(self, f"{short}_{side}", None) for side in "hw")
        return tuple(each for each in sides if each is not None) or (default,)


class ROIPoolingOptions(Options):
    """The largest number of each bin of each region of interest, of Fast R-CNN."""

    fork_type = True
    takes = ("x", "rois")
    gives = ("y",)
    onnx = "roi_pooling"
    example: ClassVar[Dict[str, Any]] = {"pooled_h": 7, "pooled_w": 7, "spatial_scale": 0.0625}
    page = "features.md"

    pooled_h: int = Field(..., ge=1, description="Rows of bins per region, at least 1.")
    pooled_w: int = Field(..., ge=1, description="Columns of bins per region, at least 1.")
    spatial_scale: float = Field(
        1.0,
        gt=0,
        description="Factor from the coordinates of regions to those of x, above 0: 1 divided by the strides before x.",
    )


class InterpOptions(Options):
    """Maps of another size by bilinear interpolation, with the corners aligned."""

    fork_type = True
    takes = ("x", "[like]")
    gives = ("y",)
    keeps_values = True
    onnx = "interp"
    example: ClassVar[Dict[str, Any]] = {"zoom_factor": 8}
    page = "features.md"

    height: Optional[int] = Field(None, ge=1, description="Rows of y, at least 1.")
    width: Optional[int] = Field(None, ge=1, description="Columns of y, at least 1.")
    zoom_factor: Optional[int] = Field(
        None, ge=1, description="y has (rows - 1) * zoom_factor + 1 rows, and columns alike; an integer of at least 1."
    )
    shrink_factor: Optional[int] = Field(
        None,
        ge=1,
        description="y has (rows - 1) / shrink_factor + 1 rows, rounded down, and columns alike; at least 1.",
    )
    pad_beg: int = Field(
        0, le=0, description="Minus how many rows and columns are cut off at the beginning, at most 0."
    )
    pad_end: int = Field(0, le=0, description="Minus how many rows and columns are cut off at the end, at most 0.")

    def conflicts(self) -> Iterator[Remark]:
        yield from _together(self, "height", "width")
        factor = next((name for name in ("zoom_factor", "shrink_factor") if self.given(name)), "")
        if factor and self.given("height"):
            yield Remark(("height", factor), f"options 'height' and {factor!r} are both given", "leave one out")

    def mixes(self, bottom: Sequence[int], top: Sequence[int]) -> bool:
        steps = ((size + self.pad_beg + self.pad_end - 1, wanted - 1) for size, wanted in zip(bottom[2:], top[2:]))
        return any(wanted > 0 and size % wanted > 0 for size, wanted in steps)

    def sized(self) -> bool:
        """Whether the options give the size of y, so that no second bottom does."""
        return any(self.given(name) for name in ("height", "zoom_factor", "shrink_factor"))

    def wanted(self, sizes: Sequence[int]) -> List[int]:
        """Rows and columns of y, from those of x that are left."""
        if self.height is not None and self.width is not None:
            return [self.height, self.width]
        shrunk = [(size - 1) // (self.shrink_factor or 1) for size in sizes]
        return [steps * (self.zoom_factor or 1) + 1 for steps in shrunk]


class UpsampleOptions(Options):
    """The numbers of x in the places where stock Pooling found its maxima, and 0 elsewhere, of SegNet."""

    fork_type = True
    takes = ("x", "mask")
    gives = ("y",)
    onnx = "upsample"
    example: ClassVar[Dict[str, Any]] = {"scale": 2}
    page = "features.md"

    scale: Optional[int] = Field(
        None, ge=2, description="Rows and columns of y per row and column of x, at least 2; none: 2."
    )
    scale_h: Optional[int] = Field(None, ge=2, description="Rows of y per row of x, at least 2.")
    scale_w: Optional[int] = Field(None, ge=2, description="Columns of y per column of x, at least 2.")
    pad_out_h: bool = Field(
        False, description="One row less, where the layer that made the mask had an odd number of rows."
    )
    pad_out_w: bool = Field(False, description="One column less, where that layer had an odd number of columns.")
    upsample_h: Optional[int] = Field(None, ge=2, description="Rows of y, at least 2.")
    upsample_w: Optional[int] = Field(None, ge=2, description="Columns of y, at least 2.")

    def conflicts(self) -> Iterator[Remark]:
        yield from _together(self, "upsample_h", "upsample_w")
        yield from _together(self, "scale_h", "scale_w", "scale")
        for name, scale in zip(("pad_out_h", "pad_out_w"), () if self.given("upsample_h") else self.scales()):
            if getattr(self, name) and scale != 2:
                remedy = "with another scale than 2 give 'upsample_h' and 'upsample_w'"
                found = f"option {name!r} is true, but the scale is {scale}"
                yield Remark((name, "scale", "scale_h", "scale_w"), found, remedy)

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.given("upsample_h"):
            others = self.changed("scale", "scale_h", "scale_w", "pad_out_h", "pad_out_w")
            yield from self.without_effect(others, "'upsample_h' and 'upsample_w' are given")

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        return _REPEATS if bottoms == 1 else ""

    def scales(self) -> Tuple[int, int]:
        """Rows and columns of y per row and column of x."""
        if self.scale_h is not None and self.scale_w is not None:
            return self.scale_h, self.scale_w
        return self.scale or 2, self.scale or 2

    def wanted(self, sizes: Sequence[int]) -> List[int]:
        """Rows and columns of y, from those of x."""
        if self.upsample_h is not None and self.upsample_w is not None:
            return [self.upsample_h, self.upsample_w]
        return [size * scale - pad for size, scale, pad in zip(sizes, self.scales(), (self.pad_out_h, self.pad_out_w))]
