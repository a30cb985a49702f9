"""Where records come from: one file a format, each a `Source`; reader and writer side by side."""

from typing import Any, Optional

from caffe_pylayers.data.sources.annotations import annotate
from caffe_pylayers.data.sources.base import Names, Source
from caffe_pylayers.data.sources.label_sets import check_sets
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.processes.streams import open_closed_streams

__all__ = ["Names", "Record", "Source", "open_source", "source_of"]


def open_source(
    source_type: str, path: str, *, root: Optional[str] = None, header: bool = False, missing: Optional[str] = "error",
    labels: Optional[str] = None, label_format: str = "indices", sample_weights: Optional[str] = None,
    bcf_mode: str = "FILE", label_order: Optional[str] = None, tolerant: bool = False,
) -> Source:  # fmt: skip
    """The source of that type ('CSV', 'LMDB', 'BCF', 'HDF5') at an absolute path, with its labels and weights.

    The options are those of the data layers; one that is not for the type has no effect. missing: None does not look
    which files of a CSV are there, for who wants nothing but the labels. tolerant: records that are damaged are left for
    who reads them. Raises DataError where the source, its labels or its weights cannot be read.
    """
    open_closed_streams()
    # Each is imported when asked for, so that a CSV user needs no lmdb.
    if source_type == "CSV":
        from caffe_pylayers.data.sources.csv import CSVSource

        listed = CSVSource(path, root, header, sample_weights)
        # Files of labels have a row for each line of the list, whether its image is there or not.
        annotate(listed, labels, label_format, sample_weights)
        if missing is not None:
            listed.find_files(missing)
        return listed
    source: Source
    if source_type == "LMDB":
        from caffe_pylayers.data.sources.lmdb import LMDBSource

        source = LMDBSource(path, tolerant)
    elif source_type == "BCF":
        from caffe_pylayers.data.sources.bcf import BCFSource

        source = BCFSource(path, bcf_mode)
    else:
        from caffe_pylayers.data.sources.hdf5 import HDF5Source

        source = HDF5Source(path, sample_weights)
    source.label_order = label_order
    annotate(source, labels, label_format, sample_weights)
    return source


def source_of(options: Any, images: bool = True) -> Source:
    """The source that the options of a data layer name. Raises DataError as `open_source` does, and where the layer takes
    rows of labels for sets that cannot be.

    images: false where they will not be read, so that those of a CSV need not be there.
    """
    source = open_source(
        options.source_type,
        options.source,
        root=options.root,
        header=options.header,
        missing=options.missing if images or options.missing == "skip" else None,
        labels=options.labels,
        label_format=options.label_format,
        sample_weights=getattr(options, "sample_weights", None),
        bcf_mode=options.bcf_mode,
        label_order=options.label_order,
        tolerant=options.on_error != "stop",
    )
    if options.rows_are_sets:
        check_sets(source, getattr(options, "label_dim", None))
    return source
