"""Losses on all pairs of a batch against the same formulas in torch, on one thread."""

from typing import Dict, Iterator

from tests.bench.losses import HEADS, Contest, embedded, row
from tests.bench.rows import Row

#: Of embeddings x: cosines c or distances d, positives p and negatives n, as masks.
_PAIRS = (
    "(lambda x, same: (lambda {what}, p, n: {loss})({made}, same & ~torch.eye(len(x), dtype=torch.bool), ~same))"
    "(F.normalize(x), label[:, None] == label[None])"
)
_MEAN_ABOVE_0 = "(lambda v: v.sum() / (v > 0).sum().clamp(min=1))({})"
_LSE = "{}.masked_fill(~{}, -torch.inf).logsumexp(1)"


def _of_cosines(loss: str) -> str:
    return _PAIRS.format(what="c", made="x @ x.T", loss=loss)


def _of_distances(loss: str) -> str:
    return _PAIRS.format(what="d", made="torch.cdist(x, x)", loss=loss)


def _log_1_and(exponents: str, mask: str) -> str:
    return f"F.softplus({_LSE.format(f'({exponents})', mask)})"


TORCH: Dict[str, str] = {
    "contrastive": _of_distances(
        f"{_MEAN_ABOVE_0.format('F.relu(d[p])')} + {_MEAN_ABOVE_0.format('F.relu(1 - d) * n')}"
    ),
    "margin": _of_distances(
        "(lambda a, b: (a.sum() + b.sum()) / ((a > 0).sum() + (b > 0).sum()).clamp(min=1))(F.relu(d[p] - 1.0), F.relu(1.4 - d) * n)"
    ),
    "ntxent": _of_cosines(
        f"(lambda rows, columns, of_n: F.softplus(of_n[rows] - c[rows, columns] / 0.07).mean())(*p.nonzero(as_tuple=True), {_LSE.format('(c / 0.07)', 'n')})"
    ),
    "supcon": _of_cosines(
        "(lambda whole, count: "
        + _MEAN_ABOVE_0.format("(whole - (c * p).sum(1) / 0.1 / count.clamp(min=1)) * (count > 0)")
        + f")({_LSE.format('(c / 0.1)', '(p | n)')}, p.sum(1))"
    ),
    "multi_similarity": _of_cosines(
        f"({_log_1_and('-2 * (c - 0.5)', 'p')} / 2 + {_log_1_and('50 * (c - 0.5)', 'n')} / 50).mean()"
    ),
    "circle": _of_cosines(
        "(lambda a, b: "
        + _MEAN_ABOVE_0.format(f"F.softplus({_LSE.format('(-80 * a * (c - 0.6))', 'p')} + {_LSE.format('(80 * b * (c - 0.4))', 'n')})")
        + ")(F.relu(1.4 - c.detach()), F.relu(c.detach() + 0.4))"
    ),
    "lifted": _of_distances(
        "(lambda rows, columns, of_n: (F.relu(d[rows, columns] + torch.logaddexp(of_n[rows], of_n[columns])).square() / 2).mean())"
        f"(*p.nonzero(as_tuple=True), {_LSE.format('(1 - d)', 'n')})"
    ),
}  # fmt: skip

CONTESTS = [
    Contest("BatchPairLoss", embedded, HEADS, options={"type": type}, torch=torch) for type, torch in TORCH.items()
]


def pair_losses() -> Iterator[Row]:
    """Each type at each shape."""
    for contest in CONTESTS:
        for shape, reach in contest.shapes.items():
            yield row(contest, shape, reach)
