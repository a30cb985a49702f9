"""The options that open a source: those of a data layer, or of one of its `sources`."""

from typing import ClassVar, Iterator, Literal, Optional, Tuple, Union

from pydantic import Field, StringConstraints, WithJsonSchema
from typing_extensions import Annotated

from caffe_pylayers.config.datasets import Datasets
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import ColumnOrPath, ColumnsOrPath, Options, Path
from caffe_pylayers.data.formats import Format

#: A Python object by its place, as in 'augment:blur'.
Plugin = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"),
    WithJsonSchema({"type": "string", "format": "plugin"}),
]

#: What `source` is, wherever one is required.
SOURCE = "Path of the CSV file, which lists images and labels, of the LMDB, of the BCF file, or of an .h5 file or a list of them."

SampleWeights = Annotated[
    Optional[ColumnOrPath],
    Field(
        description="Sample weights: a column of a CSV file with a header, a data set of HDF5, or an LMDB (by key), .npy or "
        "text file; none: the column `weight`, the data set `sample_weight`.",
    ),
]


class SourceOptions(Options):
    """What opens any source."""

    source_type: Annotated[Union[Format, Plugin], InOrder(0)] = Field(
        "CSV", description="What the source is: a CSV file, an LMDB, a BCF file, HDF5, or a class of your own."
    )
    source: Optional[Path] = Field(None, description=SOURCE)
    root: Optional[Path] = Field(
        None,
        description="Folder before the names in a CSV file; none: the working directory.",
        json_schema_extra={"aliases": ["root_folder"]},
    )
    header: bool = Field(
        False, description="The first line of the CSV file names its columns (name, label, weight, others); false: no."
    )
    missing: Literal["error", "skip"] = Field(
        "error", description="Files of a CSV that do not exist: an error, or left out and counted (skip)."
    )
    datasets: Optional[Datasets] = Field(
        None,
        description="What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and "
        "name.",
    )

    def wrong_source(self) -> Iterator[Remark]:
        """Yield what is wrong between the options that open the source; see `conflicts`."""
        yield from ()

    def idle_for_source(self) -> Iterator[Tuple[str, str]]:
        """Yield the options that are given, but not for such a source; see `idle`."""
        for names, owner in ((("root", "header", "missing"), "CSV"), (("datasets",), "HDF5")):
            yield from self._only_for(owner, names)

    def _only_for(self, source_type: str, names: Tuple[str, ...]) -> Iterator[Tuple[str, str]]:
        if self.source_type != source_type:
            yield from self.without_effect(names, f"'source_type' is {self.source_type!r}")


class LabelledSourceOptions(SourceOptions):
    """What opens a source of records with labels."""

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
    #: Options that name files which may go by the order of the source.
    _ordered: ClassVar[Tuple[str, ...]] = ("labels", "sample_weights")

    def wrong_source(self) -> Iterator[Remark]:
        yield from super().wrong_source()
        if isinstance(self.labels, tuple) and (self.source_type != "CSV" or not self.header):
            listed = "option 'labels' has a list of columns, but only a CSV with `header: true` has them"
            yield Remark(("labels", "header"), listed, "name one column, data set or file")
        for role, name in (("label", "labels"), ("sample_weight", "sample_weights")):
            if getattr(self.datasets, role, None) is not None and getattr(self, name, None) is not None:
                both = f"options 'datasets.{role}' and {name!r} are both given"
                yield Remark((name, "datasets"), both, "leave one out")

    def idle_for_source(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle_for_source()
        yield from self._only_for("BCF", ("bcf_mode",))
        yield from self._only_for("LMDB", ("label_order",))
        ordered = [name for name in self._ordered if name in type(self).model_fields]
        if self.source_type == "LMDB" and all(getattr(self, name) is None for name in ordered):
            yield from self.without_effect(("label_order",), f"there is no {' or '.join(map(repr, ordered))}")
