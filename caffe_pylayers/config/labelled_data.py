"""The options of the data layers whose records have labels."""

from typing import Iterator

from pydantic import Field

from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.source import LabelledSourceOptions


class LabelledDataLayerOptions(DataLayerOptions, LabelledSourceOptions):
    """What layers of records with labels share."""

    compressed: bool = Field(True, description="Decode images when needed; false: all at the start, kept in memory.")

    @property
    def rows_are_sets(self) -> bool:
        """Whether a row of labels is a set of them, and not a label for each of several tasks."""
        return self.type.endswith("MULTILABEL")  # type: ignore[attr-defined]

    @property
    def has_values(self) -> bool:
        """Whether labels are any numbers."""
        return any(part.label_format == "values" for part in self.each_source().values())

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.has_values:
            yield from self._needs_classes()

    def _needs_classes(self) -> Iterator[Remark]:
        """What cannot be with labels that are any numbers, since it goes by classes."""
        if self.on_error == "replace":
            rule = "option 'on_error' is 'replace', by a record of the same class, but 'label_format' is 'values'"
            yield Remark(("on_error", "label_format"), rule, "set 'on_error': 'skip'")
