"""Where records come from: one file a format, each a `Source`."""

from caffe_pylayers.data.sources.base import Names, Source

__all__ = ["Names", "Source", "open_source"]


def open_source(source_type: str, path: str, **options: object) -> Source:
    """The source of that type ('CSV', 'LMDB') at an absolute path. Raises DataError where it cannot be read."""
    # Imported when asked for, so that a CSV user needs no lmdb.
    if source_type == "CSV":
        from caffe_pylayers.data.sources.csv import CSVSource

        return CSVSource(path, **options)  # type: ignore[arg-type]
    from caffe_pylayers.data.sources.lmdb import LMDBSource

    return LMDBSource(path)
