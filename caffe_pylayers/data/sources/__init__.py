"""Where records come from: one file a format, each a `Source`; reader and writer side by side."""

import contextlib
import importlib
from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple, Type, Union

from caffe_pylayers.data.formats import FORMATS, misnamed
from caffe_pylayers.data.plugin import blamed, load_plugin
from caffe_pylayers.data.sources.annotations import annotate, check_columns
from caffe_pylayers.data.sources.base import Names, Source
from caffe_pylayers.data.sources.label_sets import check_sets
from caffe_pylayers.data.sources.map_sources import sources_with_maps
from caffe_pylayers.data.sources.mixed import MixedSource
from caffe_pylayers.data.sources.records import Record
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.processes.streams import open_closed_streams

__all__ = ["MixedSource", "Names", "Record", "Source", "open_source", "source_of", "sources_of"]


def open_source(
    source_type: str,
    path: str,
    *,
    root: Optional[str] = None,
    header: bool = False,
    missing: Optional[str] = "error",
    datasets: Optional[Mapping[str, str]] = None,
    labels: Union[str, Sequence[str], None] = None,
    label_format: str = "indices",
    sample_weights: Optional[str] = None,
    bcf_mode: str = "FILE",
    label_order: Optional[str] = None,
    tolerant: bool = False,
) -> Source:
    """The source of that type (a format, or 'module:Class' of the user's own) at an absolute path, with its labels and weights.

    The options are those of the data layers; one that is not for the type has no effect. missing: None does not look
    which files of a CSV are there, for who wants nothing but the labels. tolerant: records that are damaged are left for
    who reads them. Raises DataError where the source, its labels or its weights cannot be read.
    """
    open_closed_streams()
    kind = _class_of(source_type)
    with _naming_the_format(source_type, path):
        with contextlib.nullcontext() if source_type in FORMATS else blamed("source_type", source_type):
            source = kind.open(
                path,
                root=root,
                header=header,
                datasets=datasets,
                labels=labels,
                label_format=label_format,
                sample_weights=sample_weights,
                bcf_mode=bcf_mode,
                tolerant=tolerant,
            )
        source.label_order = label_order
        annotate(source, labels, label_format, sample_weights)
        if missing is not None:
            source.find_files(missing)
        return source


@contextlib.contextmanager
def _naming_the_format(source_type: str, path: str) -> Iterator[None]:
    """Of what is no source of that format, an error says what it is."""
    try:
        yield
    except DataError as error:
        why = misnamed(path, source_type) if source_type in FORMATS else None
        if why is None:
            raise
        raise why from error


def _class_of(source_type: str) -> Type[Source]:
    """Imported when asked for, so that who has CSV needs no lmdb."""
    if source_type in FORMATS:
        module = importlib.import_module(f"caffe_pylayers.data.sources.{source_type.lower()}")
        found: Type[Source] = getattr(module, f"{source_type}Source")
        return found
    found = load_plugin("source_type", source_type)
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise ConfigError(
            f"option 'source_type': {source_type!r} is not a class that derives from caffe_pylayers.data.sources.Source",
            option="source_type",
        )
    return found


def sources_of(options: Any, images: bool = True) -> Tuple[Source, ...]:
    """The source that the options of a data layer name, and behind it those of maps and their weights, for a layer with such.

    Raises DataError as `source_of` does.
    """
    if options.has_maps:
        open_closed_streams()
        with _naming_the_format(options.source_type, options.source):
            return sources_with_maps(options, images)
    return (source_of(options, images),)


def source_of(options: Any, images: bool = True) -> Source:
    """The source that the options of a data layer name, or all in one. Raises DataError as `open_source` does, and where the
    layer takes rows of labels for sets that cannot be, or needs values that there are not.

    images: false where they will not be read, so that those of a CSV need not be there.
    """
    if options.has_maps:
        return sources_of(options, images)[0]
    parts = [_opened(part, options, images) for part in options.each_source().values()]
    if getattr(options, "sources", None) is None:
        return parts[0]
    return MixedSource(parts, options.rows_are_sets, options.label_dim)


def _opened(part: Any, options: Any, images: bool) -> Source:
    """The source that a part of the options names."""
    source = open_source(
        part.source_type,
        part.source,
        root=part.root,
        header=part.header,
        missing=part.missing if images or part.missing == "skip" else None,
        datasets=part.datasets and part.datasets.model_dump(exclude_none=True),
        labels=part.labels,
        label_format=part.label_format,
        sample_weights=getattr(part, "sample_weights", None),
        bcf_mode=part.bcf_mode,
        label_order=part.label_order,
        tolerant=options.on_error != "stop",
    )
    label_dim = getattr(options, "label_dim", None)
    if options.rows_are_sets:
        check_sets(source, label_dim)
    check_columns(source, getattr(options, "points", None) or (), label_dim)
    return source
