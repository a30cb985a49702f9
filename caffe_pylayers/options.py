"""The options of every layer: the only statement of their types, ranges, defaults and help.

A new layer is one class, and one line in :data:`SCHEMAS`.
"""

from typing import Any, Dict, Iterator, Literal, Optional, Tuple, Type, Union

from pydantic import Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Annotated

from caffe_pylayers.config import IgnoreLabel, Options, Path, Resume, Seed, Stream
from caffe_pylayers.data_options import (
    ImageDataLayerOptions,
    MultiLabelDataLayerOptions,
    SiameseDataLayerOptions,
    TripletDataLayerOptions,
)

# ------------------------------------------------------------------------------------------ class weights


class SampleWeightOptions(Options):
    """A weight for each label, from how often the labels occur."""

    n_classes: int = Field(ge=1, description="Number of classes K, at least 1; labels are 0 to K - 1.")
    rule: Literal["max_count", "balanced", "inverse_sqrt"] = Field(
        "max_count",
        description="Weight of a class with n of all N samples: max(n)/n (max_count), N/(K n) (balanced) or "
        "sqrt(max(n)/n) (inverse_sqrt).",
    )
    weights: Optional[Tuple[Annotated[float, Field(ge=0)], ...]] = Field(
        None, description="Weights by hand: K numbers of at least 0."
    )
    scale: Literal["sum_one", "mean_one", "none"] = Field(
        "sum_one",
        description="Scale of the weights: a sum of 1 (sum_one), a mean of 1 over the samples counted "
        "(mean_one), or nothing (none, the default for weights by hand).",
    )
    counts: Union[Literal["batch"], Path] = Field(
        "batch",
        description="Label counts: those of each batch (batch), or a .npy or text file with K of them.",
    )
    empty: Literal["zero", "error"] = Field(
        "zero", description="What a class without samples gives: weight 0 (zero) or an error."
    )
    ignore_label: IgnoreLabel = None

    @model_validator(mode="before")
    @classmethod
    def _scale_of_weights(cls, values: Dict[str, Any]) -> Dict[str, Any]:
        return values if values.get("weights") is None else {"scale": "none", **values}

    def conflicts(self) -> Iterator[str]:
        if self.weights is None:
            return
        if len(self.weights) != self.n_classes:
            yield f"option 'weights' has {len(self.weights)} numbers where 'n_classes' is {self.n_classes}"
        if self.scale != "none" and not any(self.weights):
            yield f"option 'weights' has no number above 0, and cannot be scaled: 'scale' is {self.scale!r}"
        yield from self.without_effect(("rule", "empty"), "'weights' are given")
        if self.scale != "mean_one":
            yield from self.without_effect(("counts",), "'weights' are given and 'scale' is not 'mean_one'")


class ComputeHOptions(SampleWeightOptions):
    """The matrix H of stock InfogainLoss with class weights on its diagonal."""

    smoothing: float = Field(
        0.0, ge=0, lt=1, description="Label smoothing e, from 0 to below 1: H = diag(w) ((1-e) I + e/K 11')."
    )


# ------------------------------------------------------------------------------------------------- losses


class WeightedSoftmaxLossOptions(Options):
    """Stock SoftmaxWithLoss with sample weights."""

    axis: int = Field(1, description="Axis of the classes in the scores, a whole number; -1 is the last.")
    ignore_label: IgnoreLabel = None
    normalize: Optional[bool] = Field(None, description="Stock's older normalization: true is VALID, false BATCH_SIZE.")
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = Field(
        "VALID",
        validate_default=True,
        description="Divisor of the sum: the weights of all labels (FULL), of those not ignored (VALID), "
        "of all over the labels a sample (BATCH_SIZE), or 1 (NONE); stock's 0 to 3 are these.",
    )
    normalize_by: Literal["weight", "count"] = Field(
        "weight", description="What a label adds to that divisor: its weight, or 1 (count)."
    )

    @field_validator("normalization", mode="before")
    @classmethod
    def _stock_spellings(cls, value: Any, info: ValidationInfo) -> Any:
        normalize = info.data.get("normalize")
        if normalize is not None:
            return "VALID" if normalize else "BATCH_SIZE"
        # By number, as in LossParameter of caffe.proto; a boolean is no number.
        return ("FULL", "VALID", "BATCH_SIZE", "NONE")[value] if type(value) is int and 0 <= value < 4 else value

    def conflicts(self) -> Iterator[str]:
        if self.given("normalize") and self.given("normalization"):
            yield "options 'normalize' and 'normalization' are both given; leave one out"
        if self.normalization == "NONE":
            yield from self.without_effect(("normalize_by",), "'normalization' is 'NONE'")


class TripletLossOptions(Options):
    """Triplet loss: an anchor nearer to its positive than to its negative, by a margin."""

    distance: Literal["squared", "euclidean"] = Field(
        "squared", description="Distance of embeddings: squared Euclidean (squared) or Euclidean."
    )
    margin: float = Field(0.2, ge=0, description="Margin, at least 0; the margin bottom multiplies it.")
    soft: bool = Field(False, description="Use log(1 + exp(d_ap - d_an)), without a margin, in place of the hinge.")
    average: Literal["all", "active"] = Field(
        "all", description="Triplets to average over: all, or those with a loss (active)."
    )
    bottoms: Optional[Tuple[Literal["margin", "sample_weight"], ...]] = Field(
        None, description="List of the bottoms after the negative: margin, sample_weight."
    )

    def conflicts(self) -> Iterator[str]:
        bottoms = list(self.bottoms or ())
        if bottoms != sorted(set(bottoms)):
            yield f"option 'bottoms' must have each name once, margin before sample_weight, not {bottoms}"
        if self.soft:
            yield from self.without_effect(("margin",), "'soft' is true")
            if self.average == "active":
                yield "option 'average' cannot be 'active' where 'soft' is true: every loss is above 0"
            if "margin" in bottoms:
                yield "option 'bottoms' cannot have a margin where 'soft' is true: there is none to multiply"


# ------------------------------------------------------------------------------------ labels and features


class LabelNoiseOptions(Options):
    """Random noise on labels, in TRAIN."""

    distribution: Literal["uniform", "gaussian"] = Field(
        description="Distribution of the noise: uniform from low to high, or gaussian around 0."
    )
    low: Optional[float] = Field(None, description="Smallest uniform noise, any number up to high.")
    high: Optional[float] = Field(None, description="Largest uniform noise, any number from low on.")
    std: Optional[float] = Field(None, gt=0, description="Standard deviation of the gaussian noise, above 0.")
    clip: Optional[Tuple[float, float]] = Field(
        None, description="Range [lo, hi] to clip noisy labels to; none: they are not."
    )
    ignore_label: IgnoreLabel = None
    seed: Seed = 0
    stream: Stream = 0
    iter_size: int = Field(1, ge=1, description="The solver's iter_size, at least 1: forward passes an iteration.")
    resume: Resume = False

    def conflicts(self) -> Iterator[str]:
        for name, distribution in (("low", "uniform"), ("high", "uniform"), ("std", "gaussian")):
            if self.distribution != distribution:
                yield from self.without_effect((name,), f"'distribution' is {self.distribution!r}")
            elif getattr(self, name) is None:
                yield f"option {name!r} is required where 'distribution' is {distribution!r}"
        if self.low is not None and self.high is not None and self.low > self.high:
            yield f"option 'low' is {self.low:g}, above 'high', which is {self.high:g}"
        if self.clip is not None and self.clip[0] > self.clip[1]:
            yield f"option 'clip' must be [lo, hi] with lo not above hi, not {list(self.clip)}"


class L2NormalizeOptions(Options):
    """Vectors divided by their Euclidean norm."""

    axis: int = Field(1, description="Axis that the vectors lie along, a whole number; -1 is the last.")
    across_spatial: bool = Field(False, description="One norm over the axis and all after it; false: one a position.")
    eps: float = Field(1e-10, gt=0, description="Small number, above 0, added to the sum of squares under the root.")
    scale: Optional[float] = Field(None, description="Start value of a learned factor a channel; none: no factor.")


#: The schema of every layer.
SCHEMAS: Dict[str, Type[Options]] = {
    "ComputeH": ComputeHOptions,
    "SampleWeight": SampleWeightOptions,
    "WeightedSoftmaxLoss": WeightedSoftmaxLossOptions,
    "LabelNoise": LabelNoiseOptions,
    "TripletLoss": TripletLossOptions,
    "L2Normalize": L2NormalizeOptions,
    "ImageDataLayer": ImageDataLayerOptions,
    "MultiLabelDataLayer": MultiLabelDataLayerOptions,
    "SiameseDataLayer": SiameseDataLayerOptions,
    "TripletDataLayer": TripletDataLayerOptions,
}
