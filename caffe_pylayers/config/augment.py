"""The option `augment` of data layers: random changes of images in TRAIN."""

from typing import Any, ClassVar, Iterator, Tuple, Union

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.schema import Options, Remark

_Probability = Annotated[float, Field(ge=0, le=1, description="Probability of the step, from 0 to 1.")]


_Factor = Annotated[float, Field(ge=0)]
_Half = Annotated[float, Field(ge=0, le=0.5)]
_Hue = Annotated[float, Field(ge=-0.5, le=0.5)]


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

    #: What changes nothing in an image of one channel.
    of_colours: ClassVar[Tuple[str, ...]] = ("saturation", "hue", "gray")
    _ranges: ClassVar[Tuple[str, ...]] = ("brightness", "contrast", "saturation", "hue")

    def conflicts(self) -> Iterator[Remark]:
        for name in self._ranges:
            limits = _limits(getattr(self, name))
            if isinstance(limits, tuple) and limits[0] > limits[1]:
                rule = f"option {name!r} has {list(limits)}, whose first number is above the second"
                yield Remark((name,), rule, "write [lowest, highest]")


def _limits(option: Any) -> Any:
    return getattr(option, "range", option)
