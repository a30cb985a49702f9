"""Making a graph: the nearest neighbours of each record, by features or by label sets."""

from typing import Any, Iterator, Optional, Tuple

import numpy as np
from tqdm import tqdm

from caffe_pylayers.data.samplers.classes import Classes
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file

#: Similarities in memory at a time.
_AT_ONCE = 1 << 23


def neighbours(data: np.ndarray, top: int = 10, labels: bool = False, unlike: Optional[np.ndarray] = None) -> Any:
    """A scipy.sparse CSR matrix (N, N), float32, of the largest similarities: `top` for each record, both ways.

    data: features (N, D), compared by their cosine, or with `labels` integers (N,) or (N, L), -1 for none, compared
    by intersection over union. Similarities of 0 and below are left out, and a record's to itself. Where a is among the
    nearest of b it is an edge of b to a, too. unlike: labels (N,) or (N, L), each row a class; records of one class are
    then no neighbours, as they are no negatives of each other. Takes memory by its edges, time by N x N. Raises DataError
    for arrays that are none of these.
    """
    import scipy.sparse

    if data.ndim not in (1, 2) or not len(data) or (data.ndim == 1 and not labels):
        raise DataError(f"an array of shape {data.shape}", remedy="features are (N, D), label sets (N,) or (N, L)")
    if labels and data.dtype.kind not in "iu":
        raise DataError(f"label sets must be integers, but the array is {data.dtype}")
    if not labels and not np.isfinite(np.asarray(data, np.float64)).all():
        raise DataError("the features have numbers that are not finite")
    classes = np.arange(len(data)) if unlike is None else _classes(unlike, len(data))
    blocks = _jaccard(data.reshape(len(data), -1)) if labels else _cosine(data)
    rows, columns, similarities = [], [], []
    for start, block in blocks:
        block[classes[start : start + len(block), None] == classes] = 0
        kept = min(top, block.shape[1])
        nearest = np.argpartition(-block, kept - 1, axis=1)[:, :kept]
        found = np.take_along_axis(block, nearest, axis=1)
        row, place = np.nonzero(found > 0)
        rows.append((start + row).astype(np.int32))
        columns.append(nearest[row, place].astype(np.int32))
        similarities.append(found[row, place])
    edges = np.concatenate(similarities), (np.concatenate(rows), np.concatenate(columns))
    graph = scipy.sparse.csr_matrix(edges, (len(data), len(data)), np.float32)
    return graph.maximum(graph.T).tocsr()


def _classes(labels: np.ndarray, size: int) -> np.ndarray:
    """The number of each record's class: int32 (size,)."""
    if labels.ndim not in (1, 2) or len(labels) != size or labels.dtype.kind not in "iu" or not labels.size:
        raise DataError(
            f"labels of type {labels.dtype} and shape {labels.shape}, but there are {size} records",
            remedy=f"expected integers ({size},) or ({size}, L)",
        )
    return Classes(labels).of


def write_graph(path: str, graph: Any) -> None:
    """Write a sparse matrix as .npz, whole or not at all."""
    import scipy.sparse

    with output_file(path) as partial, open(partial, "wb") as file:
        scipy.sparse.save_npz(file, graph)


def _blocks(size: int) -> Iterator[slice]:
    rows = max(1, _AT_ONCE // size)
    starts = tqdm(range(0, size, rows), desc="neighbours", unit="blocks", disable=None)
    return (slice(start, min(start + rows, size)) for start in starts)


def _cosine(features: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
    features = features.astype(np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    features /= np.where(lengths > 0, lengths, 1)  # a zero vector is similar to nothing
    for part in _blocks(len(features)):
        yield part.start, features[part] @ features.T


def _jaccard(labels: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
    import scipy.sparse

    there = labels >= 0
    vocabulary, numbers = np.unique(labels[there], return_inverse=True)
    shape = (len(labels), max(1, len(vocabulary)))
    sets = scipy.sparse.csr_matrix((np.ones(len(numbers), np.float32), (np.nonzero(there)[0], numbers)), shape)
    sets.data[:] = 1  # a label given twice is one
    sizes = np.diff(sets.indptr).astype(np.float32)
    for part in _blocks(len(labels)):
        shared = (sets[part] @ sets.T).toarray()
        yield part.start, shared / np.maximum(1, sizes[part, None] + sizes - shared)
