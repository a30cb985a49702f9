"""Samplers: which records each batch has. A factory for each kind of layer; what they make has `batch(number)`.

source: labels integers (N,), or (N, L) padded with -1, or None. options: those of the layer, as attributes.
training: TRAIN permutes where the type does and has a new epoch's draws each epoch; TEST repeats itself.
ranks: how many processes share the stream. All raise DataError where the source does not have what the type needs.
"""

from typing import Any, Type, Union

import numpy as np

from caffe_pylayers.data.samplers.base import Sampler as _Stream
from caffe_pylayers.data.samplers.custom import Custom
from caffe_pylayers.data.samplers.images import PK, All, Balanced
from caffe_pylayers.data.samplers.labelled import Labelled, of_labelled
from caffe_pylayers.data.samplers.lists import listed_pairs, listed_triplets
from caffe_pylayers.data.samplers.mixture import Mixture
from caffe_pylayers.data.samplers.multilabel import DisjointPartners, MultilabelPartners
from caffe_pylayers.data.samplers.partners import ClassPartners, Partners
from caffe_pylayers.data.samplers.triplets import Pairs, Triplets
from caffe_pylayers.data.sources import MixedSource, Source
from caffe_pylayers.errors import DataError

Sampler = Union[_Stream, Labelled, Custom]

_OF_CLASSES = {"BALANCED": Balanced, "PK": PK}


def sampler_of(source: Source, options: Any, *, training: bool, ranks: int) -> Sampler:
    """What a layer draws with, by how many images a sample of it has."""
    make = {1: images, 2: pairs, 3: triplets}[len(options.images)]
    return make(source, options, training=training, ranks=ranks)


def images(source: Source, options: Any, *, training: bool, ranks: int) -> Sampler:
    """Single images: type ALL, BALANCED, PK, or a custom sampler."""
    if getattr(options, "sampler", None):
        return Custom(source, options, arity=1)
    kind = getattr(options, "type", "ALL")
    if kind == "ALL":
        of_all: Any = Mixture if isinstance(source, MixedSource) else All
        return of_all(source, options, training=training)
    _refuse_without_labels(source, f"type {kind} needs them for the classes")
    return of_labelled(source, options, lambda part, records: _OF_CLASSES[kind](part, options, training=training))


def pairs(source: Source, options: Any, *, training: bool, ranks: int) -> Sampler:
    """Pairs: a fixed list, type RANDOM, HARD, RANDOM_MULTILABEL, or a custom sampler. Values are sim."""
    if options.sampler:
        return Custom(source, options, arity=2)
    if options.pairs:
        return listed_pairs(source, options, training=training)
    return _drawn(Pairs, source, options, "pair", training, ranks)


def triplets(source: Source, options: Any, *, training: bool, ranks: int) -> Sampler:
    """Triplets: a fixed list, type RANDOM, HARD, RANDOM_MULTILABEL, HARD_MULTILABEL, or a custom sampler.

    Values are the margins of the MULTILABEL types.
    """
    if options.sampler:
        return Custom(source, options, arity=3)
    if options.triplets:
        return listed_triplets(source, options, training=training)
    return _drawn(Triplets, source, options, "triplet", training, ranks)


def _drawn(kind: Type[Triplets], source: Source, options: Any, what: str, training: bool, ranks: int) -> Sampler:
    _refuse_without_labels(source, f"{what}s are drawn by labels")
    graph: Any = None
    if options.type == "HARD":
        from caffe_pylayers.data.samplers.graph import read_graph

        graph = read_graph(options.m, source, options.names)

    def make(part: Source, records: np.ndarray) -> Triplets:
        own = graph and graph.among(records)
        return kind(part, options, _partners(part, options, what, own), training=training, ranks=ranks)

    made: Sampler = of_labelled(source, options, make)
    if graph:
        made.listed = graph.arrays()
    return made


def _refuse_without_labels(source: Source, why: str) -> None:
    if source.labels is None:
        raise DataError(f"it has no labels, but {why}", source=source.path)


def _partners(source: Source, options: Any, what: str, graph: Any) -> Partners:
    labels = source.labels
    assert labels is not None
    if options.type in ("RANDOM", "HARD"):
        return ClassPartners(source, labels, what, options.k if graph else 1, graph)
    if what == "pair":
        return DisjointPartners(source, labels, what)
    return MultilabelPartners(source, labels, what, options.k if options.type == "HARD_MULTILABEL" else 1)
