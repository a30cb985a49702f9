"""The options of the losses and of WeightedAccuracy."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Mapping, Optional, Sequence, Tuple, Union

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from caffe_pylayers.config.keep import Kept
from caffe_pylayers.config.of_forks import FOCAL_LOSSES, options_of_class_weights
from caffe_pylayers.config.remarks import Remark, out_of_order
from caffe_pylayers.config.schema import IgnoreLabel, IgnoreNan, Options, Path, PerClass
from caffe_pylayers.config.sizes import Shapes, Sizes, of_classes, of_distributions, of_samples, of_targets

Normalization = Literal["FULL", "VALID", "BATCH_SIZE", "NONE"]
NormalizeBy = Annotated[
    Literal["weight", "count"],
    Field(description="What a term adds to the divisor of the sum: its weight, or 1 (count)."),
]
Axis = Annotated[int, Field(description="Axis of the classes in the scores, an integer; -1 is the last.")]
NORMALIZATION = (
    "Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms "
    "per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four."
)

# ---------------------------------------------------------------------------------------- losses of stock Caffe


class ModeOptions(Options):
    """A loss with a `normalization`."""

    @field_validator("normalization", mode="before", check_fields=False)
    @classmethod
    def _stock_spellings(cls, value: Any, info: ValidationInfo) -> Any:
        normalize = info.data.get("normalize")
        if normalize is not None:
            return "VALID" if normalize else "BATCH_SIZE"
        # By number, as in LossParameter of caffe.proto; a boolean is no number.
        return ("FULL", "VALID", "BATCH_SIZE", "NONE")[value] if type(value) is int and 0 <= value < 4 else value

    def conflicts(self) -> Iterator[Remark]:
        if self.given("normalize") and self.given("normalization"):
            both = "options 'normalize' and 'normalization' are both given"
            yield Remark(("normalize", "normalization"), both, "leave one out")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.normalization == "NONE":  # type: ignore[attr-defined]
            yield from self.without_effect(("normalize_by",), "'normalization' is 'NONE'")


class NormalizedLossOptions(ModeOptions):
    """What stock's loss_param says."""

    ignore_label: IgnoreLabel = None
    normalize: Optional[bool] = Field(None, description="Stock's older normalization: true is VALID, false BATCH_SIZE.")
    normalization: Normalization = Field("VALID", validate_default=True, description=NORMALIZATION)
    normalize_by: NormalizeBy = "weight"
    keep: Kept = None


class ClassLossOptions(NormalizedLossOptions):
    """A loss on the softmax of scores, and labels that are class numbers."""

    takes: ClassVar[Tuple[str, ...]] = ("scores", "label", "[sample_weight]")
    gives: ClassVar[Tuple[str, ...]] = ("loss", "[prob]")
    inside = "Softmax"

    axis: Axis = 1

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_classes(shapes, self.axis)


class WeightedSoftmaxLossOptions(ClassLossOptions):
    """Stock SoftmaxWithLoss with sample weights."""

    twin = "SoftmaxWithLoss"
    forks = ("WeightedSoftmaxWithLoss",)
    fork_fields: ClassVar[Dict[str, Tuple[str, ...]]] = {
        "SoftmaxWithLoss": ("weight_by_label_freqs", "class_weighting", "class_weight")
    }

    class_weights: Optional[PerClass] = Field(
        None,
        description="Weight of each class, which multiplies the sample weight: K numbers of at least 0, or a .npy or text file "
        "with them.",
    )

    @classmethod
    def options_of_fork(cls, kind: str, params: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
        return options_of_class_weights(super().options_of_fork(kind, params))


class WeightedInfogainLossOptions(ClassLossOptions):
    """Stock InfogainLoss with sample weights."""

    twin = "InfogainLoss"

    source: Optional[Path] = Field(
        None, description="File of the matrix H, K x K, .binaryproto or .npy; none: H is the third bottom."
    )

    def bottom_names(self) -> Sequence[str]:
        return self.takes if self.source is not None else ("scores", "label", "H", "[sample_weight]")


class WeightedSigmoidCrossEntropyLossOptions(NormalizedLossOptions):
    """Stock SigmoidCrossEntropyLoss with sample weights."""

    twin = "SigmoidCrossEntropyLoss"
    takes = ("scores", "target", "[sample_weight]")
    gives = ("loss",)
    inside = "Sigmoid"

    normalization: Normalization = Field("BATCH_SIZE", validate_default=True, description=NORMALIZATION)
    pos_weight: Union[Annotated[float, Field(ge=0)], PerClass, None] = Field(
        None,
        description="Factor of the loss of positives: one number of at least 0, or one per label (axis 1), or a .npy or text file with "
        "them; none: 1.",
    )
    ignore_nan: IgnoreNan = False

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_targets(shapes)


class BatchLossOptions(Options):
    """A loss that stock Caffe divides by the batch size, whatever loss_param says."""

    gives: ClassVar[Tuple[str, ...]] = ("loss",)

    normalization: ClassVar[str] = "BATCH_SIZE"

    normalize_by: NormalizeBy = "weight"
    keep: Kept = None

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_samples(shapes)


class WeightedEuclideanLossOptions(BatchLossOptions):
    """Stock EuclideanLoss with sample weights."""

    twin = "EuclideanLoss"
    takes = ("prediction", "target", "[sample_weight]")

    ignore_nan: IgnoreNan = False

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_targets(shapes)


class WeightedMultinomialLogisticLossOptions(BatchLossOptions):
    """Stock MultinomialLogisticLoss with sample weights."""

    twin = "MultinomialLogisticLoss"
    takes = ("prob", "label", "[sample_weight]")


class WeightedHingeLossOptions(BatchLossOptions):
    """Stock HingeLoss with sample weights."""

    twin = "HingeLoss"
    takes = ("scores", "label", "[sample_weight]")

    norm: Literal["L1", "L2"] = Field("L1", description="The hinges (L1) or their squares (L2) are added up.")


class WeightedContrastiveLossOptions(BatchLossOptions):
    """Stock ContrastiveLoss with sample weights."""

    twin = "ContrastiveLoss"
    takes = ("feature", "feature_p", "sim", "[sample_weight]")

    margin: float = Field(
        1.0,
        ge=0,
        description="Margin, at least 0: samples of different classes at this distance or farther have no loss.",
    )
    legacy_version: bool = Field(
        False,
        description="Use max(0, margin - d^2) for samples of different classes in place of max(0, margin - d)^2, as Caffe once did.",
    )


# --------------------------------------------------------------------------------------------------- newer losses


class SoftCrossEntropyLossOptions(ModeOptions):
    """Softmax loss on soft labels: a distribution over the classes for each position."""

    takes = ("scores", "distribution", "[sample_weight]")
    gives = ("loss", "[prob]")
    inside = "Softmax"

    axis: Axis = 1
    normalization: Normalization = Field("VALID", description=NORMALIZATION)
    normalize_by: NormalizeBy = "weight"
    keep: Kept = None

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_distributions(shapes, self.axis)


class FocalLossOptions(ClassLossOptions):
    """Focal loss: a softmax loss in which labels that are already right count less."""

    fork_type = True
    gives = ("loss",)
    forks = ("SoftmaxWithFocalLoss",)

    gamma: float = Field(2.0, ge=0, description="Exponent of (1 - p), at least 0; 0 is the softmax loss.")
    alpha: Union[Annotated[float, Field(ge=0)], PerClass, None] = Field(
        None,
        description="Factor of the loss: one number of at least 0, or K of them, one per class, or a .npy or text file with "
        "them; none: 1.",
    )

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        return FOCAL_LOSSES


class KnowledgeDistillationOptions(NormalizedLossOptions):
    """Distillation: the softmax of a student shall be that of its teacher, both at a temperature."""

    fork_type = True
    takes = ("student", "teacher", "[label]", "[sample_weight]")
    gives = ("loss",)
    inside = "Softmax"
    num_inside = 2

    bottoms: Optional[Tuple[Literal["label", "sample_weight"], ...]] = Field(
        None, description="List of the bottoms after the teacher: label, sample_weight."
    )
    axis: Axis = 1
    temperature: float = Field(1.0, gt=0, description="What both scores are divided by, above 0.")
    scale_loss: bool = Field(
        False, description="Multiply the value by temperature^2 too; the gradient has this factor anyway."
    )

    def implied_bottoms(self, optional: int) -> Optional[Sequence[str]]:
        return ("label",) if optional == 1 and self.ignore_label is not None else None

    def bottom_problems(self, names: Sequence[str]) -> Iterator[Remark]:
        if self.ignore_label is not None and "label" not in names:
            found = "option 'ignore_label' is given, but no bottom with labels"
            yield Remark(("ignore_label",), found, "give the labels as bottom 3, or leave the option out")

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_classes(shapes, self.axis)

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        yield from out_of_order(self.bottoms, "label", "sample_weight")


class LDAMLossOptions(ClassLossOptions):
    """Softmax loss with a margin for each class; rarer classes have wider margins."""

    gives = ("loss",)
    example: ClassVar[Dict[str, Any]] = {"counts": "counts.txt"}

    counts: PerClass = Field(
        description="Number of labels of each class in the data: a list of K numbers of at least 0, or a .npy or text file with them."
    )
    max_margin: float = Field(
        0.5, gt=0, description="Margin of the rarest class, above 0.", json_schema_extra={"aliases": ["margin"]}
    )
    scale: float = Field(1.0, gt=0, description="Factor of the scores after the margin, above 0; 30 for cosines.")

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if isinstance(self.counts, tuple) and not any(self.counts):
            yield Remark(("counts",), f"option 'counts' must have a number above 0, not {list(self.counts)}")


# -------------------------------------------------------------------------------------------------------- accuracy


class WeightedAccuracyOptions(Options):
    """Stock Accuracy with sample weights, optionally balanced over the classes."""

    twin = "Accuracy"
    takes = ("scores", "label", "[sample_weight]")
    gives = ("accuracy", "[per_class]")

    top_k: int = Field(1, ge=1, description="A label is right if its score is among the top_k highest; at least 1.")
    axis: Axis = 1
    ignore_label: IgnoreLabel = None
    balanced: bool = Field(
        False, description="Mean recall of the classes instead of the part of all labels that is right."
    )

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_classes(shapes, self.axis)
