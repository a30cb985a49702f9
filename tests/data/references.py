"""The samplers as plain loops, by their definitions; and the list of them that drives the tests of all.

Labels are a list of integers or of tuples of them, padded with -1. Slow, and as near to the words as it gets.
"""

import json
import tempfile
from collections import Counter
from types import MappingProxyType, SimpleNamespace
from typing import Any, Mapping, NamedTuple

import numpy as np

from caffe_pylayers.data import samplers
from caffe_pylayers.data.sources import Names, Source

NO_OPTIONS = {
    "unlabelled": "drop",
    "sampler": None,
    "pairs": None,
    "graded": False,
    "triplets": None,
    "names": "number",
    "shuffle": True,
    "m": None,
}


class Case(NamedTuple):
    """One type of sampling; options: those that go with it, and `graph`, a dict, in the place of `m`."""

    kind: str  #: images, pairs, triplets
    type: str
    options: Mapping[str, Any] = MappingProxyType({})

    def __str__(self):
        more = [str(value) for name, value in self.options.items() if name in ("n", "unlabelled")]
        return " ".join([self.kind, self.type, *more])

    def make(self, labels, training=True, ranks=1, **options):
        chosen = {"batch_size": 6, "seed": 0, "stream": 0, "k": 3, "n": 0, "iter_size": 1, "on_error": "skip"}
        chosen = SimpleNamespace(**{**NO_OPTIONS, **chosen, "type": self.type, **self.options, **options})
        source = labels if isinstance(labels, Source) else source_of(labels)
        graph = getattr(chosen, "graph", None)
        if self.type == "HARD":
            graph = graph_of(len(labels)) if graph is None else graph
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(graph, file)
                file.flush()
                chosen.m = file.name
                return getattr(samplers, self.kind)(source, chosen, training=training, ranks=ranks)
        return getattr(samplers, self.kind)(source, chosen, training=training, ranks=ranks)


CASES = [
    Case("images", "ALL"),
    Case("images", "BALANCED"),
    Case("images", "PK", {"classes_per_batch": 2, "samples_per_class": 3}),
    Case("pairs", "RANDOM"),
    Case("pairs", "HARD"),
    Case("pairs", "RANDOM_MULTILABEL"),
    Case("triplets", "RANDOM"),
    Case("triplets", "HARD"),
    Case("triplets", "HARD", {"n": 7}),
    Case("triplets", "RANDOM_MULTILABEL"),
    Case("triplets", "HARD_MULTILABEL"),
    Case("triplets", "HARD_MULTILABEL", {"n": 7}),
    *(
        Case(kind, type, {"unlabelled": "negative"})
        for kind, type in (
            ("pairs", "RANDOM"),
            ("pairs", "RANDOM_MULTILABEL"),
            ("triplets", "RANDOM"),
            ("triplets", "HARD"),
            ("triplets", "HARD_MULTILABEL"),
        )
    ),
]


def source_of(labels):
    """A source of that many records with these labels, named 'record 0' and so on."""
    names = Names(b"record %d" % number for number in range(len(labels)))
    return Source("labels.csv", names, np.array(labels, np.int64))


def graph_of(size):
    """A graph with about half of the edges, the same each time."""
    return {
        str(one): {str(other): 1 + (3 * one + 5 * other) % 7 for other in range(size) if (one + 2 * other) % 4 < 2}
        for one in range(size)
    }


def joined(labels):
    """The class of each record."""
    return [label if isinstance(label, tuple) else (label,) for label in labels]


def is_labelled(labels, record):
    return any(label >= 0 for label in joined(labels)[record])


def others_of(case, labels, anchor):
    """The records that an anchor may have partners among."""
    all_ = case.options.get("unlabelled") == "negative"
    return [record for record in range(len(labels)) if record != anchor and (all_ or is_labelled(labels, record))]


def label_sets(labels):
    return [frozenset(row) - {-1} for row in joined(labels)]


def similarity(one, other):
    return len(one & other) / len(one | other) if one | other else 0.0


def has_partners(case, labels, anchor):
    """Whether the anchor has a positive and a negative."""
    others = others_of(case, labels, anchor)
    if not is_labelled(labels, anchor):
        return False
    if case.type.endswith("MULTILABEL"):
        sets = label_sets(labels)
        found = [similarity(sets[anchor], sets[other]) for other in others]
        if case.kind == "pairs":
            return any(value > 0 for value in found) and any(value == 0 for value in found)
        return len(set(found)) > 1
    classes = joined(labels)
    found = [classes[anchor] == classes[other] for other in others]
    return any(found) and not all(found)


def anchors_of(case, labels):
    """The records of an epoch, each once, in the order of TEST; None where it is not about records."""
    if case.kind != "images":
        return [record for record in range(len(labels)) if has_partners(case, labels, record)]
    return list(range(len(labels))) if case.type == "ALL" else None


def classes_of_epoch(case, labels):
    """The usable classes of BALANCED and PK."""
    fewest = 2 if case.type == "PK" else 1
    counts = Counter(name for name in joined(labels) if max(name) >= 0)
    return [name for name, count in counts.items() if count >= fewest]


def is_possible(case, labels):
    """Whether there is a stream at all."""
    if case.type == "PK":
        return len(classes_of_epoch(case, labels)) >= case.options["classes_per_batch"]
    return bool(classes_of_epoch(case, labels) if case.type == "BALANCED" else anchors_of(case, labels))


def check_sample(case, labels, records, value):
    """Assert what is promised of one sample of a pair or triplet type; value is sim or margin."""
    num_labelled = sum(is_labelled(labels, record) for record in records)
    if case.kind == "images":
        assert case.type == "ALL" or num_labelled == 1
        return
    if case.options.get("unlabelled") != "negative":
        assert num_labelled == len(records)
    assert is_labelled(labels, records[0])
    assert len(set(records)) == len(records)
    if case.type.endswith("MULTILABEL"):
        own, *others = (label_sets(labels)[record] for record in records)
        found = [similarity(own, other) for other in others]
        if case.kind == "pairs":
            assert value == float(found[0] > 0)
        else:
            assert value > 0
            assert abs(value - (found[0] - found[1])) < 1e-6
        return
    own, *others = (joined(labels)[record] for record in records)
    found = [own == other for other in others]
    assert found == ([value == 1] if case.kind == "pairs" else [True, False])
    assert value is None if case.kind == "triplets" else value in (0, 1)


def check_pk(case, labels, records, readable):
    """Assert what is promised of a batch of PK."""
    size = case.options["samples_per_class"]
    classes = [joined(labels)[record] for record in records]
    assert len(set(classes)) == case.options["classes_per_batch"]
    for start in range(0, len(records), size):
        assert len(set(classes[start : start + size])) == 1
        members = [record for record in readable if joined(labels)[record] == classes[start]]
        counts = Counter(records[start : start + size])
        assert len(counts) == min(size, len(members)) > 1
        assert max(counts.values()) - min(counts.values()) <= 1


def distribution(case, labels, anchor, hard=True):
    """The probability of each (positive, negative) of an anchor, both drawn again each time."""
    others = others_of(case, labels, anchor)
    k = case.options.get("k", 3) if case.type.startswith("HARD") and hard else 1
    if not case.type.endswith("MULTILABEL"):
        classes = joined(labels)
        positives = [record for record in others if classes[record] == classes[anchor]]
        counts = Counter(classes[record] for record in others)
        names = set(counts) - {classes[anchor]}
        weights = {
            record: 1 / len(names) / counts[classes[record]]
            for record in others if classes[record] != classes[anchor]
        }  # fmt: skip
        edges = graph_of(len(labels))[str(anchor)]
        chosen = best_of(k, weights, {record: edges.get(str(record), 0) for record in weights})
        return {(p, n): chance / len(positives) for p in positives for n, chance in chosen.items()}
    sets = label_sets(labels)
    shared = [label for label in sets[anchor] if any(label in sets[other] for other in others)]
    chances = Counter()
    for label in shared:
        having = [other for other in others if label in sets[other]]
        for other in having:
            chances[other] += 1 / len(shared) / len(having)
    found = {other: similarity(sets[anchor], sets[other]) for other in others}
    if case.kind == "pairs":
        disjoint = [other for other in others if found[other] == 0]
        return {(p, n): chance / len(disjoint) for p, chance in chances.items() for n in disjoint}
    result = {}
    for p, chance in chances.items():
        below = [other for other in others if found[other] < found[p]]
        chosen = best_of(k, dict.fromkeys(below, 1 / max(1, len(below))), {other: -found[other] for other in below})
        # The pair is drawn again until it holds: p comes in proportion to how often it does.
        result.update({(p, n): chance * len(below) * part for n, part in chosen.items()})
    total = sum(result.values())
    return {pair: chance / total for pair, chance in result.items()}


def best_of(k, weights, hardness):
    """The chance of each candidate to be the first of the largest hardness among k draws by weights."""
    chosen = {}
    for level in set(hardness.values()):
        up_to = sum(weight for name, weight in weights.items() if hardness[name] <= level)
        here = sum(weight for name, weight in weights.items() if hardness[name] == level)
        chance = up_to**k - (up_to - here) ** k
        chosen.update({name: chance * weights[name] / here for name in weights if hardness[name] == level})
    return chosen
