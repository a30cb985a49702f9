"""The fillers of Caffe: what parameter blobs begin with."""

from typing import Iterator, Literal, Tuple

from pydantic import Field

from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options

#: The options of a type, besides `type`.
_OF_TYPE = {
    "constant": ("value",), "uniform": ("min", "max"), "gaussian": ("mean", "std"), "positive_unitball": (),
    "xavier": ("variance_norm",), "msra": ("variance_norm",),
}  # fmt: skip


class WeightFiller(Options):
    """What a parameter blob begins with, as in the prototxt: `weight_filler { type: "xavier" }` is {'type': 'xavier'}."""

    type: Literal["constant", "uniform", "gaussian", "xavier", "msra", "positive_unitball"] = Field(
        "constant", description="Filler of Caffe."
    )
    value: float = Field(0.0, description="Number of constant.")
    min: float = Field(0.0, description="Smallest number of uniform, any number up to max.")
    max: float = Field(1.0, description="Largest number of uniform, any number from min on.")
    mean: float = Field(0.0, description="Mean of gaussian.")
    std: float = Field(1.0, gt=0, description="Standard deviation of gaussian, above 0.")
    variance_norm: Literal["FAN_IN", "FAN_OUT", "AVERAGE"] = Field(
        "FAN_IN", description="Count that xavier and msra divide the variance by."
    )

    def conflicts(self) -> Iterator[Remark]:
        if self.type == "uniform" and self.min > self.max:
            yield Remark(("min", "max"), f"option 'min' is {self.min:g}, above 'max', which is {self.max:g}")

    def idle(self) -> Iterator[Tuple[str, str]]:
        for kind, names in _OF_TYPE.items():
            if kind != self.type and not set(names) & set(_OF_TYPE[self.type]):
                yield from self.without_effect(names, f"'type' is {self.type!r}")
