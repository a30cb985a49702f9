"""Labels and sample weights of a source, from itself or from a file beside it.

A file is an LMDB, whose keys are the names of the records, or has a row for each record in the order of the source:
.npy (N,) or (N, L), or text with a line a record, "3" or "17:24:35" (or spaces, commas, tabs, semicolons between).
"""

import os
from typing import Dict, Optional, Sequence, Tuple, Union

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.data.sources.base import NamesOf, Numbers, Source, first_shorter, padded
from caffe_pylayers.data.sources.key_order import check_key_order
from caffe_pylayers.errors import DataError
from caffe_pylayers.files import text_table
from caffe_pylayers.files.npy import load_npy

_LMDB_MAGIC = b"\xde\xc0\xef\xbe"  # at byte 16


def annotate(
    source: Source, labels: Union[str, Sequence[str], None], label_format: str, sample_weights: Optional[str]
) -> None:
    """Give a source its labels and weights, in the form that `Source` states.

    labels: path of a file, or one of `source.columns`; None: what the source read itself. label_format: 'indices', or 'indicator' for rows of 0 and
    1 (-1: not known), a column for each label, or 'sign' for rows of -1 and 1, or 'values' for any numbers. sample_weights: as labels.
    Raises DataError naming source, file and record.
    """
    file = _file(labels, source)
    if file:
        source.label_columns = ()
    values = _read("labels", file, source, ragged=label_format != "values") if file else source.labels
    if values is not None and label_format == "values":
        source.set_labels(_valued(_narrow(values), source, file))
    elif values is not None and label_format != "indices":
        source.set_labels(*_indicated(values, label_format, source, file))
    elif values is not None:
        source.set_labels(_indices(_narrow(values), source, file))
    file = _file(sample_weights, source)
    if file:
        source.sample_weights = _read("sample_weights", file, source)
    if source.sample_weights is not None:
        source.sample_weights = _weights(_narrow(source.sample_weights), source, file)


def check_columns(source: Source, points: Sequence[Tuple[int, int]], label_dim: Optional[int]) -> None:
    """Raise DataError where records have another number of values than `label_dim`, or too few for the columns of points."""
    if not source.has_values:
        return
    assert source.labels is not None
    width = source.labels[:1].size
    beyond = next((column for pair in points for column in pair if column >= width), None)
    if beyond is not None:
        raise source.error(
            f"its records have {width} values, but 'points' has column {beyond}", remedy=f"columns are 0 to {width - 1}"
        )
    if label_dim not in (None, width):
        raise source.error(f"its records have {width} values, but 'label_dim' is {label_dim}", remedy="leave it out")


def _file(named: Union[str, Sequence[str], None], source: Source) -> str:
    """The path of the file that an option names; "" where it names none, or columns that the source has read."""
    return "" if not isinstance(named, str) or named in source.columns else os.path.abspath(named)


def _narrow(values: np.ndarray) -> np.ndarray:
    """A single column (N, 1) as (N,)."""
    return values[:, 0] if values.shape[1:] == (1,) else values


def _indices(values: np.ndarray, source: Source, file: str) -> np.ndarray:
    """Labels as int32 (N,) or (N, L); NaN, which pads ragged rows of a file, becomes -1."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -1, values) if file and values.ndim == 2 else values
        more = "; `label_format: values` reads any numbers"
        _refuse(values != np.floor(values), values, source, file, "label", "integers", more)
    # Larger ones are refused by the source; uint64 has no common integer type with a negative bound.
    values = values.astype(np.float64) if values.dtype == np.uint64 else values
    return np.clip(values, -LARGEST_LABEL - 1, LARGEST_LABEL + 1).astype(np.int32)


def _valued(values: np.ndarray, source: Source, file: str) -> np.ndarray:
    """Any numbers as float32 (N,) or (N, L), NaN where one is missing."""
    shorter = source.shorter if not file else None
    if shorter is not None:
        raise source.error(
            f"it has fewer numbers than others, but `label_format: values` needs {values.shape[1]}",
            remedy="a missing value is nan",
            record=shorter,
        )
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    _refuse(np.isinf(numbers), values, source, file, "label", "finite numbers of float32, and nan for a missing one")
    return numbers


def _indicated(
    values: np.ndarray, label_format: str, source: Source, file: str
) -> Tuple[np.ndarray, int, Optional[np.ndarray]]:
    """Rows with a number for each label as rows of the labels that are 1, int32 (N, most of a row) padded with -1; how
    many labels there are; and which are not known, bool (N, label_dim), None where all are.
    """
    values = values.reshape(len(values), -1)
    if not file and source.shorter is not None:
        raise source.error(
            f"it has fewer numbers than others, but `label_format: {label_format}` needs one for each label",
            remedy=f"give it {values.shape[1]} numbers",
            record=source.shorter,
        )
    absent, allowed = (-1, "-1 and 1") if label_format == "sign" else (0, "0, 1 and -1 (not known)")
    minus = values == -1
    wrong = (values != absent) & (values != 1) & ~minus
    _refuse(wrong, values, source, file, "label", f"{allowed} for `label_format: {label_format}`")
    if absent == 0 and minus.any() and (values != 0).all():
        raise source.error(
            f"its labels{_of(file)} are all -1 or 1 and never 0, but `label_format: indicator` reads -1 as not known",
            remedy="set `label_format: sign`, which reads -1 as 0",
        )
    records, labels = np.nonzero(values == 1)
    counts = np.bincount(records, minlength=len(values))
    most = max(1, int(counts.max()))
    rows = np.full((len(values), most), -1, np.int32)
    rows[np.arange(most) < counts[:, None]] = labels
    return rows, values.shape[1], minus if absent == 0 and minus.any() else None


def _weights(values: np.ndarray, source: Source, file: str) -> np.ndarray:
    """Weights as float32 (N,), or (N, L) as labels, a column for each label where those are rows of 0 and 1.

    0 where a ragged row of labels has none.
    """
    labels = source.labels
    width = 1 if labels is None else source.label_dim or labels[:1].size
    if values.ndim == 2 and values.shape[1] != width:
        raise source.error(
            f"sample weights{_of(file)} have {values.shape[1]} columns",
            remedy=f"one column, or one per label ({width}), is allowed",
        )
    with np.errstate(over="ignore"):
        weights = values.astype(np.float32)
    if labels is not None and labels.shape == weights.shape and labels.ndim == 2:
        weights[np.isnan(weights) & (labels == -1)] = 0
    _refuse(~(np.isfinite(weights) & (weights >= 0)), values, source, file, "sample weight", "finite numbers from 0")
    return weights


def _refuse(
    wrong: np.ndarray, values: np.ndarray, source: Source, file: str, what: str, allowed: str, more: str = ""
) -> None:
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        raise source.error(
            f"{what} {values[place]}{_of(file)}",
            remedy=f"{allowed} are allowed{more}",
            record=int(place[0]),
        )


def _of(file: str) -> str:
    return f" of {file}" if file else ""


def _read(option: str, file: str, source: Source, ragged: bool = True) -> np.ndarray:
    """The numbers of a file, (N,) or (N, L), a row for each record of the source; NaN pads rows, if they may be `ragged`."""
    where = f"{source.described}: {option} {file}"
    try:
        if os.path.isdir(file):
            return _from_lmdb(where, file, source)
        with regular_file.open_bytes(file) as stream:
            start = stream.read(20)
        if start[16:] == _LMDB_MAGIC:
            return _from_lmdb(where, file, source)
        numpy = start[:6] == b"\x93NUMPY" or file.endswith(".npy")
        values = _from_npy(where, file) if numpy else _from_text(where, file, ragged)
    except OSError as error:
        columns = remedy = ""
        if source.columns:
            columns = f", and it is not one of the columns {', '.join(source.columns)}"
        elif source.kind == "CSV":
            remedy = "if it is a column, the list needs a first line with names, and `header: true`"
        raise DataError(f"cannot read it: {error.strerror}{columns}", remedy=remedy, source=where) from error
    if len(values) != len(source):
        raise DataError(
            f"{where} has {len(values)} rows, but the source has {len(source)} records",
            remedy="one row per record is needed" + "; a record without a label has -1" * (option == "labels"),
        )
    check_key_order(source, f"the rows of {option} {file}")
    return values


def _from_npy(where: str, file: str) -> np.ndarray:
    try:
        values = load_npy(file)
    except ValueError as error:
        raise DataError(f"not a .npy file of numbers, or cut short: {error}", source=where) from error
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2) or not values.size:
        found = f"type {values.dtype} and shape {values.shape}"
        raise DataError(f"numbers of shape (N,) or (N, L) are allowed, but it has {found}", source=where)
    return values.astype(values.dtype.newbyteorder("="))


def _from_text(where: str, file: str, ragged: bool) -> np.ndarray:
    numbers, counts = (np.array(found) for found in text_table.numbers(file, where))
    shorter = first_shorter(counts)
    if shorter is not None and not ragged:
        raise DataError(
            f"row {shorter} has {counts[shorter]} numbers, but others have {counts.max()}",
            remedy="a missing value is nan",
            source=where,
        )
    return padded(numbers, counts, np.nan)


def _from_lmdb(where: str, file: str, source: Source) -> np.ndarray:
    from caffe_pylayers.data.sources.lmdb import read_table  # here, so that others need no lmdb

    if isinstance(source.names, Numbers):
        raise DataError(
            "an LMDB is read by keys, but this source has no keys", remedy="use a .npy or text file", source=where
        )
    keys, values = read_table(file)
    return values[rows_by_key(keys, source, where)]


def rows_by_key(keys: NamesOf, source: Source, where: str) -> np.ndarray:
    """For each record of a source the row of its key: int64 (N,). where: what has the keys, for messages.

    Raises DataError where a key is in only one of them.
    """
    rows: Dict[bytes, int] = {keys[row]: row for row in range(len(keys))}
    order = np.empty(len(source), np.int64)
    for record in range(len(source)):
        row = rows.get(source.names[record], -1)
        if row < 0:
            raise DataError(
                f"it has no key for {source.describe(record)}", remedy="keys must be equal to names", source=where
            )
        order[record] = row
    unused = np.ones(len(keys), bool)
    unused[order] = False
    if unused.any():
        key = keys[int(np.argmax(unused))].decode(errors="backslashreplace")
        raise DataError(
            f"its key '{key}' is not the name of a record", remedy="keys must be equal to names", source=where
        )
    return order
