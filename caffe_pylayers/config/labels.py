"""The options of the layers that work on labels: class weights, noise, smoothing."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Optional, Tuple, Union

from pydantic import Field, model_validator

from caffe_pylayers.blob_limits import LARGEST_BLOB, LARGEST_LABEL
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel, IterSize, Options, Path, PerClass, Resume, Seed, Stream

_CLASSES = f"{{}} to {LARGEST_LABEL}; labels are 0 to K - 1"


class SampleWeightOptions(Options):
    """A weight for each label, from how often the labels occur."""

    takes = ("label",)
    gives: ClassVar[Tuple[str, ...]] = ("weights",)
    #: What to do where the labels are 0/1 targets.
    for_targets: ClassVar[str] = "add 'per': 'label'"
    example: ClassVar[Dict[str, Any]] = {
        "n_classes": 10,
        "rule": "balanced",
        "scale": "mean_one",
        "counts": "counts.txt",
    }

    n_classes: int = Field(
        ge=1,
        le=LARGEST_LABEL,
        description=f"Number of classes K, {_CLASSES.format(1)}. With per label: number of labels L.",
    )
    per: Optional[Literal["class", "label"]] = Field(
        None,
        description="What is balanced: the classes, if labels are class numbers (class), or the positive and negative targets of "
        "each of several labels, 1 and 0, -1 for not known (label); none: class, but targets are refused.",
    )
    rule: Literal["max_count", "balanced", "inverse_sqrt", "median_frequency", "effective_number"] = Field(
        "max_count",
        description="Weight of a class with n of all N samples: max(n)/n (max_count), N/(K n) (balanced), "
        "sqrt(max(n)/n) (inverse_sqrt), median(f)/f, where f is its part of the labels in the images with it "
        "(median_frequency), or (1-beta)/(1-beta^n), scaled to a sum of K (effective_number). K is the number of "
        "classes with samples.",
    )
    beta: float = Field(0.999, gt=0, lt=1, description="beta of effective_number, above 0 and below 1.")
    weights: Optional[PerClass] = Field(
        None,
        description="Weights given by hand: K numbers of at least 0, or a .npy or text file with them; per label: L numbers for "
        "positives, negatives have 1.",
    )
    scale: Literal["sum_one", "mean_one", "none"] = Field(
        "sum_one",
        description="Scale of the weights: a sum of 1 (sum_one), a mean of 1 over the samples counted "
        "(mean_one), or no scaling (none, the default for weights given by hand).",
    )
    counts: Union[Literal["batch", "running"], PerClass] = Field(
        "batch",
        description="Label counts: of each batch (batch), of all batches so far (running), or K counts as a list, a .npy or a text file "
        "(median_frequency needs K more: for each class, all labels in the images with it; per label: L positives, "
        "then L negatives).",
    )
    decay: float = Field(
        0.99, gt=0, lt=1, description="Factor of the running counts before each batch is added, above 0 and below 1."
    )
    defer: int = Field(
        0, ge=0, description="Iterations, at least 0, in which all classes get the mean weight (deferred re-weighting)."
    )
    iter_size: IterSize = 1
    resume: Resume = False
    empty: Literal["zero", "error"] = Field(
        "zero", description="What a class without samples gives: weight 0 (zero) or an error."
    )
    ignore_label: IgnoreLabel = None

    @model_validator(mode="before")
    @classmethod
    def _scale_of_weights(cls, values: Dict[str, Any]) -> Dict[str, Any]:
        return values if values.get("weights") is None else {"scale": "none", **values}

    def kept_by_each_rank(self) -> str:
        return "running counts" if self.resume and self.counts == "running" else ""

    def conflicts(self) -> Iterator[Remark]:
        if isinstance(self.counts, tuple):
            yield from self._wrong_counts(self.counts)
        if self.weights is None and self.per == "label" and self.rule == "median_frequency":
            rule = "option 'rule' cannot be 'median_frequency' if 'per' is 'label'"
            yield Remark(("rule", "per"), rule, "use 'balanced', which counts targets")
        if not isinstance(self.weights, tuple):
            return
        if len(self.weights) != self.n_classes:
            many = f"option 'weights' has {len(self.weights)} numbers, but 'n_classes' is {self.n_classes}"
            yield Remark(("weights", "n_classes"), many)
        if self.scale != "none" and self.per != "label" and not any(self.weights):
            none = f"option 'weights' has no number above 0, so it cannot be scaled: 'scale' is {self.scale!r}"
            yield Remark(("weights", "scale"), none)

    def _wrong_counts(self, counts: Tuple[float, ...]) -> Iterator[Remark]:
        two_rows = self.per == "label" or (self.rule == "median_frequency" and self.weights is None)
        wanted = (2 if two_rows else 1) * (self.n_classes or 0)  # none: it is told that it is required
        if wanted and len(counts) != wanted:
            many = f"option 'counts' has {len(counts)} numbers, but 'n_classes' is {self.n_classes}"
            yield Remark(("counts", "n_classes", "per", "rule"), many, f"give it {wanted}")
        if not any(counts[: self.n_classes]):
            yield Remark(("counts",), f"option 'counts' must have a number above 0, not {list(counts)}")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.rule != "effective_number":
            yield from self.without_effect(self.changed("beta"), f"'rule' is {self.rule!r}")
        if self.counts != "running":
            yield from self.without_effect(self.changed("decay"), f"'counts' is {self.counts!r}")
        if self.counts != "running" and not self.defer:
            yield from self.without_effect(self.changed("iter_size", "resume"), "nothing depends on the iteration")
        if self.weights is None:
            return
        yield from self.without_effect(("rule", "empty"), "'weights' are given")
        # The counts scale the weights to a mean of one, and say what the mean weight is that 'defer' gives.
        if self.scale != "mean_one" and not self.defer:
            yield from self.without_effect(("counts",), "'weights' are given and 'scale' is not 'mean_one'")

    def works_in_place(self) -> bool:
        return True

    def counts_iterations(self) -> bool:
        return self.defer > 0


class ComputeHOptions(SampleWeightOptions):
    """The matrix H of stock InfogainLoss with class weights on its diagonal."""

    gives = ("H",)
    for_targets = "use SampleWeight with 'per': 'label'"

    smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Label smoothing e, from 0 to below 1: H = diag(w) ((1-e) I + e/K 11').",
        json_schema_extra={"aliases": ["epsilon"]},
    )
    source: Optional[Path] = Field(
        None,
        description="File of a K x K matrix M, .binaryproto or .npy, for H = diag(w) M; none: M is made from `smoothing`.",
    )

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.n_classes is not None and self.n_classes**2 > LARGEST_BLOB:  # none: it is told that it is required
            yield Remark(
                ("n_classes",),
                f"option 'n_classes' is {self.n_classes}, so H would have {self.n_classes**2} numbers, but a Caffe blob holds at most "
                f"{LARGEST_BLOB}: at most 46340 classes are allowed",
                "SampleWeight and WeightedSoftmaxLoss give the same weights without H",
            )
        if self.per == "label":
            rule = "option 'per' cannot be 'label': H has a row per class"
            yield Remark(("per",), rule, "use SampleWeight for targets of several labels")

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.source is not None:
            yield from self.without_effect(("smoothing",), "'source' gives the matrix")

    def works_in_place(self) -> bool:
        return False


class LabelNoiseOptions(Options):
    """Random noise on labels, in TRAIN."""

    takes = ("label",)
    gives = ("label",)
    example: ClassVar[Dict[str, Any]] = {"distribution": "flip", "probability": 0.1, "n_classes": 10}

    distribution: Literal["uniform", "gaussian", "flip"] = Field(
        description="Noise: uniform from low to high, gaussian around 0, or labels drawn again (flip)."
    )
    low: Optional[float] = Field(None, description="Smallest uniform noise, any number up to high.")
    high: Optional[float] = Field(None, description="Largest uniform noise, any number from low on.")
    std: Optional[float] = Field(None, gt=0, description="Standard deviation of the gaussian noise, above 0.")
    probability: Optional[float] = Field(
        None,
        ge=0,
        le=1,
        description="Part of the labels, from 0 to 1, that flip draws again from all n_classes (the true class too).",
    )
    n_classes: Optional[int] = Field(
        None, ge=2, le=LARGEST_LABEL, description=f"Number of classes K of flip and one_hot, {_CLASSES.format(2)}."
    )
    one_hot: bool = Field(
        False,
        description="Turn a label into a distribution over n_classes, 1 for its class, add the noise to each entry, clip "
        "it and divide by the sum.",
    )
    clip: Optional[Tuple[float, float]] = Field(
        None, description="Range [lo, hi] to clip noisy labels to; none: no clipping (one_hot: [0, 1])."
    )
    ignore_label: IgnoreLabel = None
    seed: Seed = 0
    stream: Stream = 0
    iter_size: IterSize = 1
    resume: Resume = False

    def conflicts(self) -> Iterator[Remark]:
        for name, needed, owner, where in self._uses():
            if needed and getattr(self, name) is None:
                yield Remark((name, owner), f"option {name!r} is required if {where}")
        if self.low is not None and self.high is not None and self.low > self.high:
            yield Remark(("low", "high"), f"option 'low' is {self.low:g}, above 'high', which is {self.high:g}")
        if self.clip is not None and self.clip[0] > self.clip[1]:
            yield Remark(("clip",), f"option 'clip' must be [lo, hi] with lo not above hi, not {list(self.clip)}")
        elif self.one_hot and self.clip is not None and self.clip[0] < 0:
            rule = f"option 'clip' must not go below 0 if 'one_hot' is true, not {list(self.clip)}"
            yield Remark(("clip", "one_hot"), rule)

    def idle(self) -> Iterator[Tuple[str, str]]:
        for name, needed, _, where in self._uses():
            if not needed:
                yield from self.without_effect((name,), where)
        if self.distribution == "flip":
            yield from self.without_effect(("clip", "one_hot"), "'distribution' is 'flip'")

    def _uses(self) -> Iterator[Tuple[str, bool, str, str]]:
        """Of the options that belong to a distribution: name, whether it is needed, the option that says so, and where."""
        of = {"low": "uniform", "high": "uniform", "std": "gaussian", "probability": "flip", "n_classes": "flip"}
        for name, distribution in of.items():
            needed, owner, value = self.distribution == distribution, "distribution", repr(self.distribution)
            if name == "n_classes" and not needed:
                needed, owner, value = self.one_hot, "one_hot", str(self.one_hot).lower()
            yield name, needed, owner, f"{owner!r} is {value}"

    @property
    def keeps_numbers_whole(self) -> bool:
        """Whether noisy labels are integers still, or distributions of them."""
        return self.distribution == "flip" or self.one_hot

    def works_in_place(self) -> bool:
        return not self.one_hot

    def counts_iterations(self) -> bool:
        return True


class LabelSmoothingOptions(Options):
    """Labels as smoothed distributions over the classes, for SoftCrossEntropyLoss."""

    takes = ("label",)
    gives = ("distribution",)
    example: ClassVar[Dict[str, Any]] = {"n_classes": 10, "smoothing": 0.1}

    n_classes: int = Field(ge=2, le=LARGEST_LABEL, description=f"Number of classes K, {_CLASSES.format(2)}.")
    smoothing: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Label smoothing e, from 0 to 1: the part that is taken from the true class.",
        json_schema_extra={"aliases": ["epsilon"]},
    )
    over: Literal["all", "others"] = Field(
        "all",
        description="Classes that e is spread over: all, so that the true one has 1 - e + e/K (Szegedy et al. 2016), or "
        "the others, so that it has 1 - e and each of them e/(K-1) (Goodfellow et al. 2016).",
    )
    ignore_label: IgnoreLabel = None
