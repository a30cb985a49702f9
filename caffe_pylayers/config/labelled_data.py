"""The options of the data layers whose records have labels."""

from typing import ClassVar, Iterator, Literal, Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import ColumnsOrPath


class LabelledDataLayerOptions(DataLayerOptions):
    """What layers of records with labels share."""

    bcf_mode: Literal["FILE", "MEM"] = Field(
        "FILE", description="Read a BCF file where it lies (FILE), or all of it into memory (MEM)."
    )
    labels: Annotated[Optional[ColumnsOrPath], InOrder(16)] = Field(
        None,
        description="Labels: a column of a CSV file with a header, or a list of its columns; a data set of HDF5; or an LMDB (by key), "
        ".npy or text file; none: those of the source.",
    )
    label_format: Annotated[Literal["indices", "indicator", "sign", "values"], InOrder(12)] = Field(
        "indices",
        description="What a row of labels has: label numbers (indices); for each label 0, 1 or -1 for not known (indicator); "
        "for each label -1 for 0, or 1 (sign); or any numbers, nan for a missing one (values).",
    )
    label_order: Optional[Literal["key"]] = Field(
        None,
        description="For an LMDB whose keys are numbers without leading zeros (0, 1, 10, 2): rows of files and numbers in lists "
        "follow the order of the keys (key); none: they are an error.",
    )
    compressed: bool = Field(True, description="Decode images when needed; false: all at the start, kept in memory.")
    #: Options that name files which may go by the order of the source.
    _ordered: ClassVar[Tuple[str, ...]] = ("labels", "sample_weights")

    @property
    def rows_are_sets(self) -> bool:
        """Whether a row of labels is a set of them, and not a label for each of several tasks."""
        return self.type.endswith("MULTILABEL")  # type: ignore[attr-defined]

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if isinstance(self.labels, tuple) and (self.source_type != "CSV" or not self.header):
            listed = "option 'labels' has a list of columns, but only a CSV with `header: true` has them"
            yield Remark(("labels", "header"), listed, "name one column, data set or file")
        for role, name in (("label", "labels"), ("sample_weight", "sample_weights")):
            if getattr(self.datasets, role, None) is not None and getattr(self, name, None) is not None:
                both = f"options 'datasets.{role}' and {name!r} are both given"
                yield Remark((name, "datasets"), both, "leave one out")
        if self.label_format == "values":
            yield from self._needs_classes()

    def _needs_classes(self) -> Iterator[Remark]:
        """What cannot be with labels that are any numbers, since it goes by classes."""
        if self.on_error == "replace":
            rule = "option 'on_error' is 'replace', by a record of the same class, but 'label_format' is 'values'"
            yield Remark(("on_error", "label_format"), rule, "set 'on_error': 'skip'")

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        if self.source_type != "BCF":
            yield from self.without_effect(("bcf_mode",), f"'source_type' is {self.source_type!r}")
        if self.source_type != "LMDB":
            yield from self.without_effect(("label_order",), f"'source_type' is {self.source_type!r}")
        else:
            ordered = [name for name in self._ordered if name in type(self).model_fields]
            if all(getattr(self, name) is None for name in ordered):
                yield from self.without_effect(("label_order",), f"there is no {' or '.join(map(repr, ordered))}")
