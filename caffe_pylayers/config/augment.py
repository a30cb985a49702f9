"""The option `augment` of data layers: random changes of images in TRAIN."""

from typing import Any, Dict, Iterator, Literal, Optional, Tuple, Union

from pydantic import BeforeValidator, Field
from typing_extensions import Annotated

from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options
from caffe_pylayers.config.spelling import spell

_Probability = Annotated[float, Field(ge=0, le=1, description="Probability of the step, from 0 to 1.")]
_Factor = Annotated[float, Field(ge=0, le=100)]  # beyond float32 a contrast would be NaN
_Half = Annotated[float, Field(ge=0, le=0.5)]
_Hue = Annotated[float, Field(ge=-0.5, le=0.5)]
_Zoom = Annotated[float, Field(gt=0, le=100)]
_ZoomBy = Annotated[float, Field(ge=0, lt=1)]
_Angle = Annotated[float, Field(ge=0, le=180)]
_AnAngle = Annotated[float, Field(ge=-180, le=180)]
_Area = Annotated[float, Field(gt=0, le=1)]
_Sigma = Annotated[float, Field(gt=0, le=50)]
_Part = Annotated[float, Field(ge=0, le=1)]


class _Step(Options):
    """A step that is not done to each image."""

    p: _Probability = 1.0


class Factor(_Step):
    """A factor, drawn for each image."""

    range: Union[_Factor, Tuple[_Factor, _Factor]] = Field(
        description="n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest]."
    )


class Shift(_Step):
    """A part of the circle of hues, drawn for each image."""

    range: Union[_Half, Tuple[_Hue, _Hue]] = Field(description="n: from -n to n; or [lowest, highest].")


class Rotation(_Step):
    """An angle, drawn for each image."""

    range: Union[_Angle, Tuple[_AnAngle, _AnAngle]] = Field(
        description="Degrees against the clock, n: from -n to n; or [lowest, highest]."
    )


class Zoom(_Step):
    """A factor of the size, drawn for each image."""

    range: Union[_ZoomBy, Tuple[_Zoom, _Zoom]] = Field(description="n: from 1 - n to 1 + n; or [lowest, highest].")


class Translation(_Step):
    """A part of the sides, drawn for each image, twice."""

    range: _Part = Field(description="n: from -n to n of the height, and of the width.")


class ResizedCrop(_Step):
    """A part of the image, drawn for each image."""

    area: Tuple[_Area, _Area] = Field((0.08, 1.0), description="Part of the area, [lowest, highest], above 0.")
    ratio: Tuple[_Zoom, _Zoom] = Field((3 / 4, 4 / 3), description="Width : height, [lowest, highest], above 0.")

    def conflicts(self) -> Iterator[Remark]:
        yield from _upside_down(self, "area", "ratio")


class Blur(_Step):
    """A Gaussian blur."""

    sigma: Tuple[_Sigma, _Sigma] = Field(
        (0.1, 2.0), description="Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50."
    )

    def conflicts(self) -> Iterator[Remark]:
        yield from _upside_down(self, "sigma")


class Erase(_Step):
    """A rectangle that is covered."""

    p: _Probability = 0.5
    area: Tuple[_Area, _Area] = Field((0.02, 0.33), description="Part of the area, [lowest, highest], above 0.")
    ratio: Tuple[_Zoom, _Zoom] = Field((0.3, 3.3), description="Width : height, [lowest, highest], above 0.")
    value: Union[Annotated[int, Field(ge=0, le=255)], Literal["mean", "noise"]] = Field(
        "mean",
        description="What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).",
    )

    def conflicts(self) -> Iterator[Remark]:
        yield from _upside_down(self, "area", "ratio")


_AnyFactor = Union[_Factor, Tuple[_Factor, _Factor], Factor, None]
_AnyHue = Union[_Half, Tuple[_Hue, _Hue], Shift, None]


class Augment(Options):
    """Random changes of images in TRAIN, each drawn for each image."""

    brightness: _AnyFactor = Field(
        None,
        description="Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.",
    )
    contrast: _AnyFactor = Field(
        None, description="Factor of the distance from the mean grey of the image: as `brightness`."
    )
    saturation: _AnyFactor = Field(None, description="Factor of the distance from grey of each pixel: as `brightness`.")
    hue: _AnyHue = Field(
        None,
        description="Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.",
    )
    gray: _Probability = Field(
        0.0, description="Probability with which an image becomes grey, with its channels equal."
    )

    resized_crop: Optional[ResizedCrop] = Field(
        None,
        description="A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} "
        "for its defaults.",
    )
    rotate: Union[_Angle, Tuple[_AnAngle, _AnAngle], Rotation, None] = Field(
        None,
        description="Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.",
    )
    scale: Union[_ZoomBy, Tuple[_Zoom, _Zoom], Zoom, None] = Field(
        None,
        description="Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.",
    )
    translate: Union[_Part, Translation, None] = Field(
        None, description="Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`."
    )
    blur: Optional[Blur] = Field(None, description="A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.")
    erase: Optional[Erase] = Field(
        None, description="A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults."
    )

    def conflicts(self) -> Iterator[Remark]:
        yield from _upside_down(self, "brightness", "contrast", "saturation", "hue", "rotate", "scale")

    @property
    def turns(self) -> bool:
        """Whether there may be something else around the image."""
        return any(self.changed("rotate", "scale", "translate"))

    @property
    def moves(self) -> bool:
        """Whether a pixel may go elsewhere, or out of what is fed."""
        return self.turns or self.resized_crop is not None

    def without_size(self) -> Iterator[Remark]:
        """What is wrong if the layer does not say the size that is fed."""
        if self.resized_crop is not None:
            rule = "option 'augment.resized_crop' needs a size, but there is no 'crop_size'"
            yield Remark(("augment.resized_crop", "crop_size", "resize"), rule, "set 'crop_size'")

    def without_colours(self) -> Iterator[Remark]:
        """What changes nothing in images of one channel, unless a preset has it."""
        if any(self == Augment.model_validate(steps) for steps in PRESETS.values()):
            return
        for name in self.changed("saturation", "hue", "gray"):
            rule = f"option 'augment.{name}' has no effect, because 'color' is false"
            yield Remark((f"augment.{name}", "color"), rule, "leave it out")


#: Names for some steps.
PRESETS: Dict[str, Dict[str, Any]] = {
    "imagenet": {"resized_crop": {}, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4},
    "ssd": {
        "brightness": {"range": 0.125, "p": 0.5},
        "contrast": {"range": 0.5, "p": 0.5},
        "saturation": {"range": 0.5, "p": 0.5},
        "hue": {"range": 0.1, "p": 0.5},
    },
}
_Preset = Literal["imagenet", "ssd"]


def _steps(value: Any) -> Any:
    """Return what a preset stands for."""
    name = spell(_Preset, value)
    return Augment.model_validate(PRESETS[name]) if isinstance(name, str) and name in PRESETS else value


AugmentOrPreset = Annotated[
    Optional[Annotated[Union[Augment, _Preset], BeforeValidator(_steps)]],
    Field(
        description="Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, "
        + ", or ".join(f"'{name}' for {steps}" for name, steps in PRESETS.items())
        + "."
    ),
]


def _upside_down(options: Options, *names: str) -> Iterator[Remark]:
    for name in names:
        limits = getattr(options, name)
        limits = getattr(limits, "range", limits)
        if isinstance(limits, tuple) and limits[0] > limits[1]:
            rule = f"option {name!r} has {list(limits)}, whose first number is above the second"
            yield Remark((name,), rule, "write [lowest, highest]")
