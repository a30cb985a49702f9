"""A checksum of what a stream is made of, by which a resumed run knows that its list has changed."""

import hashlib
from typing import Sequence, Tuple

import numpy as np

from caffe_pylayers.data.samplers import Sampler
from caffe_pylayers.data.sources import Names, Source
from caffe_pylayers.data.sources.base import Numbers

_SLASH = ord("/")


def checksum(sources: Sequence[Source], sampler: Sampler) -> int:
    """24 bits of a hash of the names, labels and sample weights of all records, and of the lists that the sampler read.

    sources: that of the images, which has the labels, and others of as many records. Names count without the folder that all of them are in: data may be moved.
    """
    digest = hashlib.sha256()
    for source in (part for each in sources for part in each.parts):
        if not isinstance(source.names, Numbers):
            packed, ends = _without_folder(source.names if isinstance(source.names, Names) else Names(source.names))
            digest.update(packed)
            digest.update(ends.tobytes())
    source = sources[0]
    for values in (source.labels, source.unknown, source.sample_weights, *sampler.listed):
        if values is not None:
            digest.update(f"{values.dtype.str}{values.shape}".encode())
            digest.update(values.tobytes())
    return int.from_bytes(digest.digest()[:3], "big")


def _without_folder(names: Names) -> Tuple[bytes, np.ndarray]:
    """The names one after the other, and where each ends, without the folder that all are in."""
    packed, ends = names.arrays()
    bounds = np.concatenate([[0], ends])
    characters, starts = np.frombuffer(packed, np.uint8), bounds[:-1]
    folder = 0  # its length
    for place in range(int(np.diff(bounds).min())):
        column = characters.take(starts + place)
        if (column != column[0]).any():
            break
        if column[0] == _SLASH:
            folder = place + 1
    if not folder:
        return packed, ends
    shorter = (packed[start + folder : end] for start, end in zip(bounds.tolist(), ends.tolist()))
    return b"".join(shorter), ends - folder * np.arange(1, len(ends) + 1)
