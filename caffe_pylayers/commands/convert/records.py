"""The records of a conversion: which of the source's, in which order, with which labels, weights and names."""

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Iterable, Iterator, List, Optional, Tuple, Union

import numpy as np

from caffe_pylayers.data import keyed
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.base import Image, Numbers
from caffe_pylayers.data.sources.key_order import misplaced_keys
from caffe_pylayers.data.sources.records import Record

#: What convert_imageset puts in front of a name to make a key of an LMDB.
_NUMBER = re.compile(r"^\d{8,}(_|$)")


def order_of(source: Source, shuffle: bool, seed: int) -> np.ndarray:
    """The numbers of its records in the order of the target: int64 (N,)."""
    return keyed.permutation(len(source), seed) if shuffle else np.arange(len(source))


def label_notes(source: Source, resized: bool) -> List[str]:
    """What a user must know of its labels, in words."""
    if source.kind == "CSV" and source.labels is None and len(source.columns) > 1:
        return [
            f"no labels are written: none of the columns {', '.join(source.columns)} is called label; --labels names one"
        ]
    if not (source.has_values and resized):
        return []
    return [
        "the values are those of the source: points among them are in pixels of the images before --resize. For points "
        "leave --resize out, and set `resize` in the layer"
    ]


def order_notes(source: Source) -> List[str]:
    """What a user must know of the order of its records, in words."""
    keys = misplaced_keys(source)
    if not keys:
        return []
    return [
        f"records are in the order of their keys, not of their numbers: {keys}; rows of label files must be in the same order"
    ]


def name_of(source: Source, record: int) -> str:
    """The name of a record, without the number that a key of an LMDB has in front; "" if it is but a number."""
    if isinstance(source.names, Numbers):
        return ""
    name = source.names[record].decode("utf-8", "surrogateescape")
    return _NUMBER.sub("", name) if source.kind == "LMDB" else name


@dataclass(frozen=True)
class Naming:
    """How records are called in the target.

    names: whether they have names there. lost: they had some. as_files: names are those of files in a folder. numbered:
    since two records have one name, a file has the number of its record in front.
    """

    names: bool
    lost: bool = False
    as_files: bool = False
    numbered: bool = False

    @classmethod
    def of(cls, source: Source, target_type: str) -> "Naming":
        """BCF has no names; a CSV needs different ones."""
        names = all(name_of(source, record) for record in range(len(source)))
        if target_type != "CSV" or not names:
            return cls(names and target_type != "BCF", names and target_type == "BCF")
        files = (_file_name(name_of(source, record)) for record in range(len(source)))
        # By their hashes, which take less memory; that two names have one does no harm.
        hashes = np.fromiter(map(_hash, files), np.uint64, len(source))
        return cls(True, False, True, len(np.unique(hashes)) < len(hashes))

    def notes(self) -> List[str]:
        """What a user must know of it, in words."""
        if self.lost:
            return ["BCF has no names: records have only numbers"]
        return ["two records have the same name: all file names begin with the number of the record"] * self.numbered

    def name(self, source: Source, record: int, place: int) -> str:
        """The name of a record at a place of the target."""
        if not self.names:
            return ""
        name = name_of(source, record)
        if not self.as_files:
            return name
        folder, file = os.path.split(_file_name(name))
        return os.path.join(folder, f"{place:08d}_{file}" if self.numbered else file)


def _file_name(name: str) -> str:
    """A name as that of a file in a folder: never outside of it."""
    return os.path.normpath("/" + name).lstrip("/")


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "little")


def annotated(source: Source, naming: Naming, images: Iterable[Tuple[int, Image]]) -> Iterator[Record]:
    """Records with all that the source says of them, of their numbers and images."""
    for place, (record, image) in enumerate(images):
        yield Record(image, _labels(source, record), _weight(source, record), naming.name(source, record, place))


def _labels(source: Source, record: int) -> Tuple[float, ...]:
    """Its labels; -1 for none where others have some; a 0, 1 or -1 (not known) for each label where the source has it so; its values."""
    if source.labels is None:
        return ()
    labels: List[int] = np.atleast_1d(source.labels[record]).tolist()
    if source.has_values:
        return tuple(labels)
    if source.label_dim is not None:
        row = np.zeros(source.label_dim, np.int64)
        row[[label for label in labels if label >= 0]] = 1
        if source.unknown is not None:
            row[source.unknown[record]] = -1
        return tuple(row.tolist())
    while len(labels) > 1 and labels[-1] == -1:  # which only fills up the row
        labels.pop()
    return tuple(labels)


def _weight(source: Source, record: int) -> Union[float, Tuple[float, ...], None]:
    if source.sample_weights is None:
        return None
    weight: Union[float, List[float]] = source.sample_weights[record].tolist()
    return tuple(weight) if isinstance(weight, list) else weight


def difference(source: Source, records: np.ndarray, naming: Naming, written: Source) -> Optional[str]:
    """What differs between records of the source and what was written of them, in words, images aside; None: nothing."""
    if len(written) != len(records):
        return f"it has {len(written)} records instead of {len(records)}"
    for what, ours, theirs, pad in (
        ("labels", source.labels, written.labels, -1),
        ("labels that are not known", source.unknown, written.unknown, False),
        ("sample weights", source.sample_weights, written.sample_weights, 0),
    ):
        if (ours is None) != (theirs is None):
            return f"it has {what if ours is None else f'no {what}'}"
        if ours is not None and theirs is not None and not _equal(ours[records], theirs, pad):
            return f"its {what} are different"
    if naming.names and written.kind != "CSV":  # whose files have an ending that fits
        for place, record in enumerate(records.tolist()):
            if name_of(written, place) != naming.name(source, record, place):
                return f"its record {place} is called {name_of(written, place)!r}"
    return None


def _equal(ours: np.ndarray, theirs: np.ndarray, pad: float) -> bool:
    """Whether rows are equal, NaN too, of which those of one may have more at their ends that only fill up."""
    ours, theirs = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
    width = min(ours.shape[1], theirs.shape[1])
    rest = np.concatenate([ours[:, width:].ravel(), theirs[:, width:].ravel()])
    same = (ours[:, :width] == theirs[:, :width]) | (np.isnan(ours[:, :width]) & np.isnan(theirs[:, :width]))
    return bool(same.all() and (rest == pad).all())
