"""The options of the losses on distances between embeddings."""

from typing import ClassVar, Dict, Iterator, Literal, Optional, Sequence, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.keep import Kept
from caffe_pylayers.config.of_forks import TRIPLET_LOSSES
from caffe_pylayers.config.remarks import Remark, out_of_order
from caffe_pylayers.config.schema import IterSize, Options, Resume, Seed, Stream
from caffe_pylayers.config.sizes import Shapes, Sizes, of_samples

# Options of `mining: distance`.
Cutoff = Annotated[
    float,
    Field(
        gt=0,
        description="Distance mining: negatives nearer than this Euclidean distance, above 0, are all equally likely.",
    ),
]
NonzeroLossCutoff = Annotated[
    float,
    Field(
        gt=0, description="Distance mining: negatives at this Euclidean distance, above 0, or farther are not drawn."
    ),
]


def cutoffs_out_of_order(cutoff: float, nonzero_loss_cutoff: float) -> Iterator[Remark]:
    """What is wrong with the two distances of `mining: distance`."""
    if cutoff >= nonzero_loss_cutoff:
        rule = f"not below 'nonzero_loss_cutoff', which is {nonzero_loss_cutoff:g}"
        yield Remark(("cutoff", "nonzero_loss_cutoff"), f"option 'cutoff' is {cutoff:g}, {rule}")


class _TripletOptions(Options):
    """What a triplet costs, and which of them are averaged over."""

    gives: ClassVar[Tuple[str, ...]] = ("loss", "[stats]")
    holds: ClassVar[Dict[str, Dict[str, str]]] = {
        "stats": {
            "active": "fraction of triplets that are active",
            "d_ap": "mean distance of anchor and positive",
            "d_an": "mean distance of anchor and negative",
            "norm": "mean norm of the embeddings",
        }
    }

    distance: Literal["squared", "euclidean"] = Field(
        "squared", description="Distance of embeddings: squared Euclidean (squared) or Euclidean."
    )
    margin: float = Field(0.2, ge=0, description="Margin, at least 0; a margin bottom multiplies it.")
    soft: bool = Field(False, description="Use log(1 + exp(d_ap - d_an)), without a margin, in place of the hinge.")
    average: Literal["all", "active"] = Field(
        "all", description="Triplets to average over: all there are, or those with a loss (active)."
    )

    def sizes(self, shapes: Shapes) -> Sizes:
        return of_samples(shapes)

    def conflicts(self) -> Iterator[Remark]:
        if self.soft and self.average == "active":
            rule = "option 'average' cannot be 'active' if 'soft' is true: every loss is above 0"
            yield Remark(("average", "soft"), rule)

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.soft:
            yield from self.without_effect(self.idle_if_soft(), "'soft' is true")

    def idle_if_soft(self) -> Tuple[str, ...]:
        """The options that have no effect with softplus, which has no margin."""
        return ("margin",)


class TripletLossOptions(_TripletOptions):
    """Triplet loss: an anchor nearer to its positive than to its negative, by a margin."""

    fork_type = True
    takes = ("anchor", "positive", "negative", "[margin]", "[sample_weight]")

    bottoms: Optional[Tuple[Literal["margin", "sample_weight"], ...]] = Field(
        None, description="List of the bottoms after the negative: margin, sample_weight."
    )
    keep: Kept = None

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        return TRIPLET_LOSSES

    def conflicts(self) -> Iterator[Remark]:
        yield from out_of_order(self.bottoms, "margin", "sample_weight")
        yield from super().conflicts()
        if self.soft and "margin" in (self.bottoms or ()):
            rule = "option 'bottoms' cannot have a margin if 'soft' is true: a soft loss has no margin"
            yield Remark(("bottoms", "soft"), rule)


class BatchTripletLossOptions(_TripletOptions):
    """Triplet loss on the triplets that are mined in the batch."""

    takes = ("embedding", "label", "[sample_weight]")

    mining: Literal["all", "semihard", "hard", "distance", "given"] = Field(
        "all",
        description="Triplets of a batch: every one (all), the nearest negative beyond each positive (semihard), the "
        "farthest positive and nearest negative (hard), a negative drawn by its distance (distance), or those of a "
        "bottom with rows of (anchor, positive, negative) in place of the label (given).",
    )
    cutoff: Cutoff = 0.5
    nonzero_loss_cutoff: NonzeroLossCutoff = 1.4
    seed: Seed = 0
    stream: Stream = 0
    iter_size: IterSize = 1
    resume: Resume = False

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.mining == "distance":
            yield from cutoffs_out_of_order(self.cutoff, self.nonzero_loss_cutoff)

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.mining != "distance":
            names = self.changed("cutoff", "nonzero_loss_cutoff", "seed", "stream", "iter_size", "resume")
            yield from self.without_effect(names, f"'mining' is {self.mining!r}")

    def counts_iterations(self) -> bool:
        return self.mining == "distance"

    def bottom_names(self) -> Sequence[str]:
        return self.takes if self.mining != "given" else ("embedding", "triplets", "[sample_weight]")

    def idle_if_soft(self) -> Tuple[str, ...]:
        # Semi-hard negatives are those inside the margin, with softplus too.
        return () if self.mining == "semihard" else super().idle_if_soft()
