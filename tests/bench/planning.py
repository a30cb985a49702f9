"""Planning: what the parent does for a batch, with a million samples."""

import itertools
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import numpy as np
import scipy.sparse

from caffe_pylayers.data import samplers
from caffe_pylayers.data.sources import Names, Source
from tests.bench.rows import Row, milliseconds

BATCH, NUM_RECORDS, NUM_CLASSES, NUM_DENSE = 64, 1_000_000, 10_000, 200_000


def planning() -> Iterator[Row]:
    """Planning a batch of 64 of 1,000,000 samples, each type, and how long it took to set up.

    Five times as long where most records have a label in common, so that hardly any is another's negative.
    """
    rng = np.random.default_rng(0)
    names = Names(b"%d" % number for number in range(NUM_RECORDS))
    classes = Source("10,000 classes", names, rng.integers(0, NUM_CLASSES, NUM_RECORDS))
    many = Source("1 to 4 of 10,000 labels", names, _label_sets(rng, NUM_CLASSES, 4))
    few = Source("1 to 6 of 20 labels", names, _label_sets(rng, 20, 6))
    dense = Source("about 13 of 40 labels", Names(b"%d" % number for number in range(NUM_DENSE)), _attributes(rng))
    firsts = itertools.count(0, 100)
    with tempfile.TemporaryDirectory(prefix="caffe_pylayers_bench_") as folder:
        graph = Path(folder) / "graph.npz"
        scipy.sparse.save_npz(graph, _graph(rng, 10), compressed=False)
        for make, source, options, limit in (
            (samplers.images, classes, {"type": "ALL"}, 1),
            (samplers.images, classes, {"type": "BALANCED"}, 1),
            (samplers.images, classes, {"type": "PK", "classes_per_batch": 16, "samples_per_class": 4}, 1),
            (samplers.pairs, classes, {"type": "RANDOM"}, 1),
            (samplers.pairs, many, {"type": "RANDOM_MULTILABEL"}, 1),
            (samplers.pairs, few, {"type": "RANDOM_MULTILABEL"}, 1),
            (samplers.triplets, classes, {"type": "RANDOM"}, 1),
            (samplers.triplets, classes, {"type": "HARD", "k": 10, "m": str(graph)}, 1),
            (samplers.triplets, many, {"type": "RANDOM_MULTILABEL"}, 1),
            (samplers.triplets, few, {"type": "RANDOM_MULTILABEL"}, 1),
            (samplers.triplets, many, {"type": "HARD_MULTILABEL", "k": 10}, 1),
            (samplers.triplets, few, {"type": "HARD_MULTILABEL", "k": 10}, 1),
            (samplers.pairs, dense, {"type": "RANDOM_MULTILABEL"}, 5),
            (samplers.triplets, dense, {"type": "HARD_MULTILABEL", "k": 10}, 5),
        ):
            start = time.perf_counter()
            sampler = make(source, _options(**options), training=True, ranks=1)
            set_up = time.perf_counter() - start
            taken = milliseconds(lambda: _plan(sampler, next(firsts)), 10) / 100  # noqa: B023
            yield Row(
                f"planning 64 {make.__name__} of {len(source):,} samples, {options['type']}, {source.path}",
                f"{taken:.3f} ms (set-up {set_up:.1f} s)",
                f"{limit} ms",
                taken / limit,
                "<= 1",
            )


def _plan(sampler: samplers.Sampler, first: int) -> None:
    for number in range(first, first + 100):  # the mean: batches are planned several at a time
        sampler.batch(number)


def _options(**given: Any) -> SimpleNamespace:
    options = {"batch_size": BATCH, "shuffle": True, "seed": 0, "stream": 0, "n": 0, "iter_size": 1, "names": "number"}
    return SimpleNamespace(**options, sampler=None, pairs=None, triplets=None, **given)


def _label_sets(rng: np.random.Generator, num_labels: int, most: int) -> np.ndarray:
    """Rows of 1 to `most` labels, -1 behind."""
    labels = rng.integers(0, num_labels, (NUM_RECORDS, most))
    labels[np.arange(most) >= rng.integers(1, most + 1, NUM_RECORDS)[:, None]] = -1
    return labels


def _attributes(rng: np.random.Generator) -> np.ndarray:
    """Rows of attributes as CelebA has them: 40, of which each is there for a few or for most records."""
    there = rng.random((NUM_DENSE, 40)) < rng.beta(1, 2, 40)
    return np.where(there, np.arange(40), -1)


def _graph(rng: np.random.Generator, edges: int) -> scipy.sparse.csr_matrix:
    """A similarity from every record to `edges` others."""
    others = np.sort(rng.integers(0, NUM_RECORDS, (NUM_RECORDS, edges)), axis=1)
    shape = (NUM_RECORDS, NUM_RECORDS)
    values = np.ones(others.size, np.float32)
    return scipy.sparse.csr_matrix((values, others.ravel(), np.arange(0, others.size + 1, edges)), shape)
