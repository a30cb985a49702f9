"""Rows of labels that are sets: whether they can be, or have another form that is read wrongly so."""

from typing import Optional

import numpy as np

from caffe_pylayers.data.sources.base import Source

_SHOWN = 16  # numbers of a row


def check_sets(source: Source, label_dim: Optional[int] = None) -> None:
    """Raise DataError where rows of labels are no sets: one has a number twice, or all have a number for each label.

    Rows of 0 and 1, or of -1 and 1, a number for each label, are the commonest files of several labels. Taken for label
    numbers they would say that every record has the labels 0 and 1. label_dim: how many labels there are, if that is known.
    """
    labels = source.labels
    if source.label_dim is not None:
        if label_dim is not None and label_dim < source.label_dim:
            raise source.error(
                f"rows of labels have {source.label_dim} numbers, one for each label, but 'label_dim' is {label_dim}",
                remedy="leave it out",
            )
        return
    if labels is None or labels.ndim == 1 or labels.shape[1] == 1:
        return
    num_columns = labels.shape[1]
    whole = np.delete(labels, list(source.damaged), axis=0) if source.damaged else labels
    low, high = (int(whole.min()), int(whole.max())) if len(whole) else (-1, -1)
    if low == -1 and high == 1 and (whole != 0).all():
        raise source.error(
            f"labels {_shown(labels[0])}: the rows of all records have only -1 and 1, but label numbers are expected",
            remedy="set `label_format: sign`, which reads -1 as 0",
            record=0,
        )
    # Rows of two, each 0 and 1 once, could be sets, but then all records would have all labels.
    if low == 0 and high <= 1 and label_dim in (None, num_columns):
        raise source.error(
            f"labels {_shown(labels[0])}: the rows of all records have {num_columns} numbers, each 0 or 1. As "
            "label numbers they would mean the labels 0 and 1",
            remedy="set `label_format: indicator`",
            record=0,
        )
    ordered = np.sort(labels, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        record, place = np.argwhere(twice)[0].tolist()
        remedy = "name each label once"
        if low >= -1 and high <= 1:
            remedy += ", or, if a row has a 0 or 1 for each label (-1: not known), set `label_format: indicator`"
        raise source.error(
            f"labels {_shown(labels[record])} have {ordered[record, place + 1]} twice",
            remedy=remedy,
            record=record,
        )


def _shown(row: np.ndarray) -> str:
    more = ":..." if len(row) > _SHOWN else ""
    return ":".join(map(str, row[:_SHOWN].tolist())) + more
