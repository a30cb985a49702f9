"""The options of the data layers of single images."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Optional, Tuple

from pydantic import Field, model_validator
from typing_extensions import Annotated

from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.config.mixture import MixtureOptions
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.spelling import spell

#: Two numbers from 0.
Pair = Tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class ImageDataLayerOptions(MixtureOptions):
    """Labelled images."""

    gives: ClassVar[Tuple[str, ...]] = ("data", "[label]", "[sample_weight]")

    example: ClassVar[Dict[str, Any]] = {**MixtureOptions.example, "shuffle": True}

    _sampling = ("type", "shuffle")
    _counts: ClassVar[Tuple[str, ...]] = ("classes_per_batch", "samples_per_class")

    shuffle: bool = Field(False, description="A new random order each epoch of TRAIN; false: the source's order.")
    type: Annotated[Literal["ALL", "BALANCED", "PK"], InOrder(4)] = Field(
        "ALL",
        description="Which samples a batch has: each once per epoch (ALL), all classes equally often (BALANCED), or "
        "several of each of several classes (PK).",
    )
    crops: Optional[Literal["ten"]] = Field(
        None,
        description="In TEST ten crops of each image in the place of the centre: the corners, the centre, and the same mirrored (ten).",
    )
    label_dim: Optional[int] = Field(
        None,
        ge=1,
        description="Number of labels with `multilabel`, at least 1; none: the largest label in the source plus 1. With "
        "`label_format: values`, the values that a record must have; none: as many as there are.",
        json_schema_extra={"aliases": ["label dim"]},
    )
    points: Optional[Tuple[Pair, ...]] = Field(
        None,
        description="Columns of the labels that are points, [x, y] each, in pixels of the stored image, with the centre of the first pixel at "
        "0: they go where the pixels go; none: no label is a point.",
    )
    flip_pairs: Optional[Tuple[Pair, ...]] = Field(
        None,
        description="Points, by their numbers in `points`, that change places where an image is mirrored, as the eyes do.",
    )
    normalize_points: bool = Field(
        False,
        description="Divide points by the width and the height of the image that is fed; false: they are in pixels.",
    )
    outside: Optional[Literal["nan"]] = Field(
        None,
        description="What becomes of a point outside of the image that is fed: it is missing (nan), or keeps its number (none).",
    )
    classes_per_batch: Annotated[Optional[int], InOrder(9)] = Field(
        None, ge=1, description="Classes in a batch of type PK, at least 1."
    )
    samples_per_class: Annotated[Optional[int], InOrder(10)] = Field(
        None, ge=1, description="Samples of each class in a batch of type PK."
    )

    @model_validator(mode="before")
    @classmethod
    def _batch_of_classes(cls, values: Dict[str, Any]) -> Dict[str, Any]:
        counts = [spell(int, values.get(name)) for name in ("classes_per_batch", "samples_per_class")]
        of_classes = spell(cls.model_fields["type"].annotation, values.get("type")) == "PK"
        if (
            of_classes
            and values.get("batch_size") is None
            and all(type(count) is int and count > 0 for count in counts)
        ):
            return {**values, "batch_size": counts[0] * counts[1]}
        return values

    def _needs_classes(self) -> Iterator[Remark]:
        yield from super()._needs_classes()
        if self.type != "ALL" and self.sampler is None:
            rule = f"option 'type' is {self.type!r}, which goes by classes, but 'label_format' is 'values'"
            yield Remark(("type", "label_format"), rule, "leave 'type' out")

    def images_per_top(self) -> int:
        return self.batch_size * (10 if self.crops else 1)

    def _wrong_points(self) -> Iterator[Remark]:
        if self.points is None:
            return
        if not self.has_values:
            rule = f"option 'points' is given, but 'label_format' is {self.label_format!r}"
            yield Remark(("points", "label_format"), rule, "set 'label_format': 'values'")
        if len({column for pair in self.points for column in pair}) < 2 * len(self.points):
            yield Remark(("points",), f"option 'points' has a column twice: {[list(pair) for pair in self.points]}")
        numbers = [number for pair in self.flip_pairs or () for number in pair]
        if any(number >= len(self.points) for number in numbers):
            rule = f"option 'flip_pairs' has {max(numbers)}, but 'points' has points 0 to {len(self.points) - 1}"
            yield Remark(("flip_pairs", "points"), rule)
        if len(set(numbers)) < len(numbers):
            yield Remark(("flip_pairs",), "option 'flip_pairs' has a point twice")

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        yield from self._wrong_points()
        if self.crops is not None and self.crop_size is None:
            yield Remark(("crops", "crop_size"), "option 'crops' is 'ten', but there is no 'crop_size'")
        if self.type == "PK":
            missing = [name for name in self._counts if getattr(self, name) is None]
            for name in missing:
                yield Remark((name, "type"), f"option {name!r} is required if 'type' is 'PK'")
            if not missing and self.batch_size != self.classes_per_batch * self.samples_per_class:  # type: ignore[operator]
                yield Remark(
                    ("batch_size", *self._counts),
                    f"option 'batch_size' is {self.batch_size}, but 'classes_per_batch' times 'samples_per_class' is "
                    f"{self.classes_per_batch * self.samples_per_class}",  # type: ignore[operator]
                    "leave it out",
                )

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.points is None:
            yield from self.without_effect(("flip_pairs", "normalize_points", "outside"), "there are no 'points'")
        elif not self.mirror:
            yield from self.without_effect(("flip_pairs",), "'mirror' is false")
        if self.type != "PK":
            yield from self.without_effect(self._counts, f"'type' is {self.type!r}")
        if not self.has_values and "multilabel" not in type(self).model_fields:
            yield from self.without_effect(("label_dim",), f"'label_format' is {self.label_format!r}")
        if self.type != "ALL":
            yield from self.without_effect(("shuffle",), f"'type' is {self.type!r}: its order is always random")


class MultiLabelDataLayerOptions(ImageDataLayerOptions):
    """Images with one label, or several, each."""

    gives = ("data", "label", "[sample_weight]")
    example: ClassVar[Dict[str, Any]] = {
        **MixtureOptions.example,
        "shuffle": True,
        "multilabel": True,
        "label_dim": 10,
    }

    multilabel: bool = Field(
        False, description="Several labels per image, as 0 and 1 for each of them; false: one label."
    )

    def _needs_classes(self) -> Iterator[Remark]:
        yield from super()._needs_classes()
        if self.multilabel:
            rule = "option 'multilabel' is true, which makes 0 and 1 of labels, but 'label_format' is 'values'"
            yield Remark(("multilabel", "label_format"), rule, "set 'multilabel': false")

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.multilabel and self.label_dim is not None and self.batch_size * self.label_dim > LARGEST_BLOB:
            yield Remark(
                ("batch_size", "label_dim"),
                f"options 'batch_size', which is {self.batch_size}, and 'label_dim', {self.label_dim}, make a top of "
                f"{self.batch_size * self.label_dim} numbers",
                f"a Caffe blob holds at most {LARGEST_BLOB}: lower one of them",
            )

    @property
    def rows_are_sets(self) -> bool:
        return self.multilabel

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if not self.multilabel and self.label_dim != 1 and not self.has_values:
            yield from self.without_effect(("label_dim",), "'multilabel' is false")
