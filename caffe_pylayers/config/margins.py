"""The options of the layers on the directions of embeddings: vectors of classes, margins, centres."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Mapping, Optional, Tuple

from pydantic import Field, field_validator
from typing_extensions import Annotated

from caffe_pylayers.config.fillers import WeightFiller
from caffe_pylayers.config.losses import NORMALIZATION, Normalization, NormalizedLossOptions
from caffe_pylayers.config.of_forks import options_of_cosines
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel, IterSize, Options, Resume
from caffe_pylayers.config.sizes import Shapes, Sizes, of_classes, of_samples

NumOutput = Annotated[
    int, Field(ge=1, description="Number of classes, at least 1.", json_schema_extra={"aliases": ["n_classes"]})
]
Filler = Annotated[
    Optional[WeightFiller], Field(description="What the vectors of the classes begin with; none: {'type': 'xavier'}.")
]
NormalizeX = Annotated[bool, Field(description="Divide x by its norm; false: x is taken as it is.")]
_PAGE = "embeddings.md"


def _no_directions(filler: Optional[WeightFiller]) -> Iterator[Remark]:
    """What is wrong with vectors that are all 0: they have no direction, and would never get one."""
    if filler is not None and filler.type == "constant" and not filler.value:
        found = "option 'weight_filler' makes all vectors 0, which have no direction and get no gradient"
        yield Remark(("weight_filler",), found, "use {'type': 'xavier'}")


class VectorsOptions(Options):
    """A layer with a vector for each class, its first blob."""

    page: ClassVar[str] = _PAGE
    example: ClassVar[Dict[str, Any]] = {"num_output": 10}

    num_output: NumOutput
    weight_filler: Filler = None

    def num_blobs(self) -> int:
        return 1 + self.num_frozen()

    def num_classes(self) -> Optional[int]:
        return self.num_output

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_samples(shapes)

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        yield from _no_directions(self.weight_filler)


class NormalizedInnerProductOptions(VectorsOptions):
    """Cosines of embeddings and the vectors of classes."""

    fork_type = True
    takes = ("x",)
    gives = ("cos",)
    fork_fields: ClassVar[Dict[str, Tuple[str, ...]]] = {"InnerProduct": ("normalize",)}

    onnx = "normalized_inner_product"
    sub_centers: int = Field(
        1, ge=1, description="Vectors per class, at least 1; the largest of their cosines is that of the class."
    )
    normalize_x: NormalizeX = True

    @classmethod
    def options_of_fork(cls, kind: str, params: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
        options = super().options_of_fork(kind, params)
        return options_of_cosines(options) if kind in cls.fork_fields else options


class _AngularMarginOptions(VectorsOptions):
    """Inner products whose angle at the label counts several times, more and more in the course of the training."""

    fork_type: ClassVar[bool] = True
    takes: ClassVar[Tuple[str, ...]] = ("x", "label")
    gives: ClassVar[Tuple[str, ...]] = ("scores", "[lambda]")
    example: ClassVar[Dict[str, Any]] = {"num_output": 10, "type": "QUADRUPLE"}
    #: What a fork's layer has without saying so.
    of_fork: ClassVar[Dict[str, Any]] = {"base": 1.0, "gamma": 0.0, "power": 1.0, "lambda_min": 0.0}

    type: Literal["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"] = Field(
        "SINGLE", description="What the angle at the label is multiplied by: 1 (no margin), 2, 3 or 4."
    )
    base: float = Field(1000.0, ge=0, description="lambda before the first iteration, at least 0.")
    gamma: float = Field(0.12, ge=0, description="How fast lambda falls, at least 0; 0: it stays.")
    power: float = Field(1.0, ge=0, description="Exponent of its fall, at least 0.")
    lambda_min: float = Field(5.0, ge=0, description="What lambda does not fall below, at least 0.")
    iteration: int = Field(0, ge=0, description="Iterations, at least 0, that count as done before the first one.")
    ignore_label: IgnoreLabel = None
    iter_size: IterSize = 1
    resume: Resume = False

    @property
    def factor(self) -> int:
        """What the angle is multiplied by."""
        return ("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE").index(self.type) + 1

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return cls.of_fork

    def counts_iterations(self) -> bool:
        return self.factor > 1 and self.gamma > 0

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.factor == 1:
            fields = ("base", "gamma", "power", "lambda_min", "iteration", "ignore_label", "iter_size", "resume")
            yield from self.without_effect(self.changed(*fields), "'type' is 'SINGLE'")

    def remarks(self) -> Iterator[Remark]:
        yield from super().remarks()
        if not self.given("type"):
            yield Remark(
                ("type",),
                "without 'type' there is no margin",
                "set 'type': 'QUADRUPLE'; 'SINGLE' says that none is wanted",
            )


class MarginInnerProductOptions(_AngularMarginOptions):
    """SphereFace: inner products with unit vectors of classes, with an angular margin at the label."""

    onnx = "margin_inner_product"
    gradient: Literal["true", "fork"] = Field(
        "true",
        description="The derivative (true), or what the layer of SphereFace has (fork): a part of length 1 for the margin in that of "
        "x, and none for the margin and the length in that of the vectors.",
    )

    @field_validator("gradient", mode="before")
    @classmethod
    def _true(cls, value: Any) -> Any:
        return "true" if value is True else value


class LargeMarginInnerProductOptions(_AngularMarginOptions):
    """L-Softmax: inner products with vectors of classes, with an angular margin at the label."""

    onnx = "large_margin_inner_product"
    gamma: float = Field(0.000025, ge=0, description="How fast lambda falls, at least 0; 0: it stays.")
    power: float = Field(35.0, ge=0, description="Exponent of its fall, at least 0.")
    lambda_min: float = Field(0.0, ge=0, description="What lambda does not fall below, at least 0.")


class _CosineMarginOptions(Options):
    """A margin on cosines at the label, in TRAIN."""

    fork_type: ClassVar[bool] = True
    takes: ClassVar[Tuple[str, ...]] = ("cos", "label")
    gives: ClassVar[Tuple[str, ...]] = ("cos",)
    onnx: ClassVar[str] = "same"
    page: ClassVar[str] = _PAGE

    ignore_label: IgnoreLabel = None

    def works_in_place(self) -> bool:
        return True

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_classes(shapes, 1)


class LabelSpecificAddOptions(_CosineMarginOptions):
    """AM-Softmax: a bias on the cosine of the label."""

    bias: float = Field(-0.35, description="Number that is added to the cosine of the label; below 0 it is a margin.")
    where: Literal["fork", "everywhere"] = Field(
        "fork", description="Which cosines it is added to: those above -bias (fork), or all (everywhere)."
    )

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return {"bias": 0.0}


class CosinAddmOptions(_CosineMarginOptions):
    """ArcFace: an angle that is added to that of the label."""

    forks = ("Arcface",)

    m: float = Field(0.5, ge=0, le=3.1415, description="Margin in radians, from 0 to pi.")


class CombinedMarginOptions(_CosineMarginOptions):
    """Three margins at the label: cos(m1 t + m2) - m3."""

    m1: float = Field(1.0, gt=0, description="Factor of the angle, above 0.")
    m2: float = Field(0.3, ge=0, description="Radians that are added to the angle, at least 0.")
    m3: float = Field(0.2, ge=0, description="Number that is taken off the cosine, at least 0.")

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return {"m1": 4.0, "m2": 0.5, "m3": 0.35}


#: The margin and the scale of each type of MarginSoftmaxLoss; combined has three margins of its own.
_MARGINS = {"arcface": (28.6, 64.0), "cosface": (0.35, 64.0), "combined": (0.0, 64.0), "sphereface": (4.0, 1.0)}


class MarginSoftmaxLossOptions(VectorsOptions, NormalizedLossOptions):
    """Softmax loss on cosines with a margin at the label: ArcFace, CosFace, SphereFace."""

    takes = ("x", "label", "[sample_weight]")
    gives = ("loss", "[scores]")

    type: Literal["arcface", "cosface", "combined", "sphereface"] = Field(
        "arcface",
        description="Where the margin is: added to the angle, taken off the cosine, both, or a factor of the angle.",
    )
    margin: Optional[float] = Field(
        None,
        ge=0,
        description="The margin: degrees from 0 to 180 for arcface (none: 28.6), a cosine for cosface (none: 0.35), a factor of the "
        "angle, 1 to 4, for sphereface (none: 4).",
    )
    m1: float = Field(1.0, gt=0, description="combined: factor of the angle, above 0.")
    m2: float = Field(0.3, ge=0, description="combined: radians that are added to the angle, at least 0.")
    m3: float = Field(0.2, ge=0, description="combined: number that is taken off the cosine, at least 0.")
    scale: Optional[float] = Field(
        None, gt=0, description="Factor of the cosines after the margin, above 0; none: 64, for sphereface 1."
    )
    normalize_x: NormalizeX = True

    @property
    def margin_of_type(self) -> float:
        """The option `margin`, or what it is without."""
        return self.margin if self.margin is not None else _MARGINS[self.type][0]

    @property
    def scale_of_type(self) -> float:
        """The option `scale`, or what it is without."""
        return self.scale if self.scale is not None else _MARGINS[self.type][1]

    @property
    def divides_x(self) -> bool:
        """Whether x is divided by its norm."""
        return self.normalize_x and self.type != "sphereface"

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        allowed = {"arcface": "from 0 to 180, in degrees", "sphereface": "1, 2, 3 or 4"}.get(self.type)
        right = self.margin in (None, 1, 2, 3, 4) if self.type == "sphereface" else not (self.margin or 0) > 180
        if allowed is not None and not right:
            yield Remark(
                ("margin", "type"), f"option 'margin' is {self.margin:g}, but for {self.type!r} it is {allowed}"
            )

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        where = f"'type' is {self.type!r}"
        yield from self.without_effect(("margin",) if self.type == "combined" else ("m1", "m2", "m3"), where)
        if self.type == "sphereface":
            yield from self.without_effect(("normalize_x",), f"{where}, which multiplies by the norm of x")

    def remarks(self) -> Iterator[Remark]:
        yield from super().remarks()
        if self.type == "arcface" and 0 < self.margin_of_type < 3:
            found = f"option 'margin' is {self.margin_of_type:g} degrees, which is next to none"
            yield Remark(("margin",), found, "0.5 radians are 28.6 degrees")


class CenterLossOptions(NormalizedLossOptions):
    """Distances of embeddings from the centres of their classes, which are learned."""

    fork_type = True
    takes = ("x", "label", "[sample_weight]")
    gives = ("loss",)
    places = "centres"
    page = _PAGE
    example: ClassVar[Dict[str, Any]] = {"num_output": 10}

    num_output: NumOutput
    center_filler: Filler = None
    distance: Literal["squared", "l1"] = Field(
        "squared",
        description="Half the squared Euclidean distance, or the sum of the absolute differences (l1).",
        json_schema_extra={"aliases": ["distance_type"]},
    )
    update: Literal["fork", "gradient"] = Field(
        "fork",
        description="What the solver moves a centre by: the sum of its differences divided by their number and 1 more, whatever "
        "loss_weight is (fork), or the derivative of the loss (gradient).",
    )
    normalization: Normalization = Field("BATCH_SIZE", validate_default=True, description=NORMALIZATION)

    @field_validator("distance", mode="before")
    @classmethod
    def _of_fork(cls, value: Any) -> Any:
        return "squared" if value == "L2" else value

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        return {"center_filler": {"type": "constant"}}

    def makes_steps(self) -> bool:
        return self.update == "fork"

    def num_blobs(self) -> int:
        return 1

    def num_classes(self) -> Optional[int]:
        return self.num_output

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_samples(shapes)
