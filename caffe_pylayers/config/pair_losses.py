"""The options of the losses on all pairs of a batch."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Optional, Sequence, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.facts import Kept
from caffe_pylayers.config.margins import NormalizeX
from caffe_pylayers.config.metric_losses import Cutoff, NonzeroLossCutoff, cutoffs_out_of_order
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel, IterSize, Options, Resume, Seed, Stream
from caffe_pylayers.config.sizes import Shapes, Sizes, of_samples

Average = Literal["all", "positive"]

#: The numbers of each type, and what they are without the option; and what its mean is over.
_OF_TYPE: Dict[str, Dict[str, float]] = {
    "contrastive": {"pos_margin": 0.0, "neg_margin": 1.0},
    "ntxent": {"temperature": 0.07},
    "supcon": {"temperature": 0.1},
    "multi_similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5},
    "circle": {"margin": 0.4, "scale": 80.0},
    "lifted": {"neg_margin": 1.0},
    "margin": {"margin": 0.2, "beta": 1.2},
}
_AVERAGED_OVER_ALL = ("ntxent", "multi_similarity", "lifted")
_NUMBERS = tuple(dict.fromkeys(name for numbers in _OF_TYPE.values() for name in numbers))

#: The options of each rule of mining.
_OF_MINING: Dict[str, Sequence[str]] = {
    "multi_similarity": ("epsilon",),
    "pair_margin": ("pair_margins",),
    "distance": ("cutoff", "nonzero_loss_cutoff", "seed", "stream", "iter_size", "resume"),
}

#: The types that do not go with every rule of mining: those that they go with, and why.
_MINED: Dict[str, Tuple[Tuple[str, ...], str]] = {
    "lifted": (("all",), "each of its terms has the negatives of two anchors"),
    "supcon": (
        ("all", "multi_similarity", "pair_margin"),
        "it is a mean over an anchor's positives; with one of them it is ntxent",
    ),
}

Distance = Annotated[float, Field(ge=0)]


class _PairOptions(Options):
    """A loss on pairs of embeddings."""

    takes: ClassVar[Tuple[str, ...]] = ("embedding", "label", "[sample_weight]")
    page: ClassVar[str] = "embeddings.md"

    average: Optional[Average] = Field(
        None,
        description="Terms that the mean is over: all there are, or those above 0 (positive); none: all for ntxent, multi_similarity and "
        "lifted, positive for the other types.",
    )
    ignore_label: IgnoreLabel = None

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_samples(shapes)

    def rule(self) -> Dict[str, Any]:
        """What the loss is told: the fields of `embeddings.pair_blocks.Rule`."""
        raise NotImplementedError


class BatchPairLossOptions(_PairOptions):
    """Losses on all pairs of a batch, or of a batch and a memory: contrastive, NT-Xent, SupCon, multi-similarity, circle, lifted, margin."""

    gives = ("loss", "[stats]")
    holds: ClassVar[Dict[str, Dict[str, str]]] = {
        "stats": {
            "positives": "fraction of the pairs of one class that have a gradient",
            "negatives": "fraction of the pairs of two classes that have a gradient",
            "cos_p": "mean cosine of the pairs of one class",
            "cos_n": "mean cosine of the pairs of two classes",
            "norm": "mean norm of the embeddings",
        }
    }
    may_keep = (Kept("memory", 3, "memory", "'memory'"), *_PairOptions.may_keep)
    example: ClassVar[Dict[str, Any]] = {"type": "multi_similarity"}

    type: Literal["contrastive", "ntxent", "supcon", "multi_similarity", "circle", "lifted", "margin"] = Field(
        description="What a pair costs."
    )
    mining: Literal["all", "easy", "hard", "semihard", "distance", "multi_similarity", "pair_margin"] = Field(
        "all",
        description="Pairs that count: all; of each anchor the farthest positive and the nearest negative (hard), the nearest of both (easy), "
        "or the nearest positive and the nearest negative beyond it (semihard); negatives drawn by distance; those that are harder than the "
        "easiest of the other kind (multi_similarity); those within two margins (pair_margin).",
    )
    memory: int = Field(
        0,
        ge=0,
        description="Compare the batch with so many embeddings of the last batches; 0: with itself. Needs `param { lr_mult: 0 decay_mult: 0 }` "
        "three times.",
    )
    temperature: Optional[float] = Field(
        None,
        gt=0,
        description="ntxent, supcon: what cosines are divided by, above 0; none: 0.07 for ntxent, 0.1 for supcon.",
    )
    alpha: Optional[float] = Field(
        None, gt=0, description="multi_similarity: factor of the cosines of positives, above 0; none: 2."
    )
    beta: Optional[float] = Field(
        None,
        gt=0,
        description="multi_similarity: factor of the cosines of negatives, above 0; none: 50. margin: distance between positives and negatives; "
        "none: 1.2.",
    )
    base: Optional[float] = Field(None, description="multi_similarity: cosine that both are compared with; none: 0.5.")
    margin: Optional[float] = Field(
        None,
        ge=0,
        description="circle: how far cosines shall be from 1 and 0, at most 1; none: 0.4. margin: how far distances shall be from `beta`; none: 0.2.",
    )
    scale: Optional[float] = Field(None, gt=0, description="circle: factor of its exponents, above 0; none: 80.")
    pos_margin: Optional[float] = Field(
        None, ge=0, description="contrastive: positives at this distance or nearer have no loss; none: 0."
    )
    neg_margin: Optional[float] = Field(
        None,
        ge=0,
        description="contrastive: negatives at this distance or farther have no loss; none: 1. lifted: margin of negatives; none: 1.",
    )
    epsilon: float = Field(
        0.1, ge=0, description="Multi-similarity mining: cosine by which a pair may be easier, at least 0."
    )
    pair_margins: Tuple[Distance, Distance] = Field(
        (0.2, 0.8),
        description="Pair-margin mining: positives farther than the first distance count, and negatives nearer than the second.",
    )
    cutoff: Cutoff = 0.5
    nonzero_loss_cutoff: NonzeroLossCutoff = 1.4
    normalize_x: NormalizeX = True
    seed: Seed = 0
    stream: Stream = 0
    iter_size: IterSize = 1
    resume: Resume = False

    def kept_by_each_rank(self) -> str:
        return "memory" if self.memory else ""

    def rule(self) -> Dict[str, Any]:
        numbers = {name: self._number(name) for name in _OF_TYPE[self.type]}
        ways = {name: getattr(self, name) for name in ("epsilon", "pair_margins", "cutoff", "nonzero_loss_cutoff")}
        average = self.average or ("all" if self.type in _AVERAGED_OVER_ALL else "positive")
        return {"type": self.type, "mining": self.mining, "average": average, **numbers, **ways}

    def _number(self, name: str) -> float:
        """An option of the type, or what it is without."""
        given = getattr(self, name)
        return _OF_TYPE[self.type][name] if given is None else given

    def counts_iterations(self) -> bool:
        return self.mining == "distance"

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        rules, why = _MINED.get(self.type, ((self.mining,), ""))
        if self.mining not in rules:
            found = f"option 'mining' is {self.mining!r}, but type {self.type!r} takes {' or '.join(rules)}: {why}"
            yield Remark(("mining", "type"), found)
        if self.type == "circle" and self._number("margin") > 1:
            found = f"option 'margin' is {self.margin:g}, but for 'circle' it is from 0 to 1"
            yield Remark(("margin", "type"), found)
        if self.type == "margin" and self._number("margin") > self._number("beta"):
            found = f"option 'margin' is {self._number('margin'):g}, more than 'beta', which is {self._number('beta'):g}: no positive could be near enough"
            yield Remark(("margin", "beta", "type"), found)
        if self.mining == "distance":
            yield from cutoffs_out_of_order(self.cutoff, self.nonzero_loss_cutoff)

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        yield from self.without_effect(
            (name for name in _NUMBERS if name not in _OF_TYPE[self.type]), f"'type' is {self.type!r}"
        )
        for mining, names in _OF_MINING.items():
            if mining != self.mining:
                yield from self.without_effect(self.changed(*names), f"'mining' is {self.mining!r}")


class LiftedStructSimilaritySoftmaxLossOptions(_PairOptions):
    """Lifted structured loss on embeddings as they are, of any length."""

    fork_type = True
    gives = ("loss",)

    margin: float = Field(1.0, ge=0, description="Margin of the distances of negatives, at least 0.")
    average: Average = Field(
        "all", description="Pairs of one class that the mean is over: all, or those with a loss (positive)."
    )
    normalize_x: ClassVar[bool] = False

    def rule(self) -> Dict[str, Any]:
        return {"type": "lifted", "neg_margin": self.margin, "average": self.average}
