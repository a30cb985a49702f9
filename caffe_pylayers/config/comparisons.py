"""The options of the data layers of pairs and triplets; see :mod:`caffe_pylayers.config.catalogue`."""

from typing import ClassVar, Iterator, Literal, Optional, Sequence, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.labelled_data import LabelledDataLayerOptions
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Path
from caffe_pylayers.config.source import SOURCE


class _ComparisonOptions(LabelledDataLayerOptions):
    """What layers of pairs and triplets share."""

    _sampling = ("type", "k", "n", "m", "unlabelled")
    _ordered = ("labels", "m", "pairs", "triplets")
    _list: ClassVar[str]  # the option with a fixed list

    source: Path = Field(description=SOURCE)
    shuffle: bool = Field(False, description="Accepted, but has no effect: TRAIN has a new random order each epoch.")
    k: Annotated[int, InOrder(5)] = Field(
        10,
        ge=1,
        le=10_000,
        description="Negatives that the HARD types choose from, at least 1 and at most 10000: drawing 10000 takes 5 ms per sample.",
    )
    n: Annotated[int, InOrder(6)] = Field(0, ge=0, description="Iterations, at least 0, before the HARD types choose.")
    m: Annotated[Optional[Path], InOrder(13)] = Field(
        None,
        description="File with similarities of images for HARD: a Python dict or JSON, a text table, or a scipy sparse .npz.",
    )
    names: Annotated[Literal["number", "key"], InOrder(7)] = Field(
        "number",
        description="How lists and similarities name a record: by its place in the source from 0 (number), or by file "
        "name or LMDB key (key).",
    )
    unlabelled: Annotated[Literal["drop", "negative"], InOrder()] = Field(
        "drop",
        description="Records without labels (all their labels are negative): left out (drop), or used only as negatives "
        "(negative).",
    )
    stacked: bool = Field(
        False, description="All images in one top, one block after the other (anchors first); false: one top per block."
    )
    type: str

    def images_per_top(self) -> int:
        return self.batch_size * (len(self.images) if self.stacked else 1)

    def counts_iterations(self) -> bool:
        return self.n > 0

    def _needs_classes(self) -> Iterator[Remark]:
        yield from super()._needs_classes()
        if getattr(self, self._list) is None and self.sampler is None:
            rule = f"option 'type' is {self.type!r}, which goes by classes, but 'label_format' is 'values'"
            yield Remark(("type", "label_format"), rule, f"name a list with {self._list!r}, or a 'sampler' of your own")

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        chosen = getattr(self, self._list)
        if self.type == "HARD" and self.m is None and chosen is None and self.sampler is None:
            yield Remark(("m", "type"), "option 'm' is required if 'type' is 'HARD'")
        if chosen is not None and self.sampler is not None:
            both = f"options 'sampler' and {self._list!r} both say which records a sample has"
            yield Remark(("sampler", self._list), both, "leave one out")

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        chosen = getattr(self, self._list)
        if chosen is not None:
            yield from self.without_effect(self._sampling, f"there is a list: {self._list!r}")
            return
        if self.m is None or self.type != "HARD" or self.sampler is not None:
            yield from self.without_effect(("names",), f"there is neither {self._list!r} nor 'm' for type HARD")
        if self.sampler is None:
            used = {"HARD": {"k", "n", "m"}, "HARD_MULTILABEL": {"k", "n"}}.get(self.type, set())
            unused = [name for name in ("k", "n", "m") if name not in used]
            yield from self.without_effect(unused, f"'type' is {self.type!r}")


class SiameseDataLayerOptions(_ComparisonOptions):
    """Pairs of images, of one class and of two, in turn."""

    images = ("data", "data_p")
    _list = "pairs"

    type: Annotated[Literal["RANDOM", "RANDOM_MULTILABEL", "HARD"], InOrder(4)] = Field(
        "RANDOM",
        description="How pairs are drawn: of one class or two (RANDOM), with a label in common or none "
        "(RANDOM_MULTILABEL), or RANDOM with negatives that are similar by `m` (HARD).",
    )
    pairs: Annotated[Optional[Path], InOrder(14)] = Field(
        None,
        description="Fixed list, a text file with two names and optionally 1 (same) or 0 per line; none: pairs are drawn.",
    )
    graded: bool = Field(
        False, description="The third column of `pairs` has any number from 0 to 1, which is sim; false: 1 (same) or 0."
    )

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.pairs is None:
            yield from self.without_effect(("graded",), "there are no 'pairs'")

    def top_names(self) -> Sequence[str]:
        if self.stacked:
            return "data", "sim", "[label]"
        return *self.images, "sim", "[label]", "[label_p]"

    def top_problems(self, found: int) -> Iterator[Remark]:
        if found == 4 and not self.stacked:
            yield Remark(("stacked",), "found 4 tops", "expected 3, or 5 with the labels of both images")


class TripletDataLayerOptions(_ComparisonOptions):
    """Triplets of images: anchor, positive of its class, negative of another."""

    images = ("anchor", "positive", "negative")
    _list = "triplets"

    type: Annotated[Literal["RANDOM", "RANDOM_MULTILABEL", "HARD_MULTILABEL", "HARD"], InOrder(4)] = Field(
        "RANDOM",
        description="How positives and negatives are drawn: by class (RANDOM), by labels in common (RANDOM_MULTILABEL), "
        "or the hardest of k such negatives by `m` (HARD) or by labels (HARD_MULTILABEL).",
    )
    triplets: Annotated[Optional[Path], InOrder(15)] = Field(
        None,
        description="Fixed list, a text file with three names per line: anchor, positive, negative; none: triplets are drawn.",
    )

    def top_names(self) -> Sequence[str]:
        if not self.stacked:
            return *self.images, "[margin]"
        return ("data", "[margin]", "[label]") if self._graded else ("data", "[label]")

    def top_problems(self, found: int) -> Iterator[Remark]:
        if found == 4 and not self.stacked and not self._graded:
            remedy = "use three tops: anchor, positive, negative"
            yield Remark(("type",), f"type {self.type} has no margin", remedy)

    @property
    def _graded(self) -> bool:
        """Whether similarities come in degrees, of which the margin is made."""
        return self.type.endswith("MULTILABEL") and self.triplets is None and self.sampler is None
