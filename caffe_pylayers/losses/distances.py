"""Distances of embeddings, made of their products."""

from caffe_pylayers.losses.reduction import Array, array_module

# Squared distances below this part of the squared norm are 0: such embeddings differ by no more than float32 rounds.
_EQUAL = 2e-13


def squared_distances(products: Array, squares: Array, other_squares: Array, out: Array, equal: Array) -> None:
    """Write |x - y|^2 of B embeddings and M others into `out`, and into `equal`, bool, where it is 0.

    products: x . y, (B, M), float64, in which what |x|^2 + |y|^2 - 2xy loses does not show. squares: |x|^2, (B,), and |y|^2, (M,).
    """
    xp = array_module(products)
    xp.multiply(products, -2, out=out)
    out += squares[:, None]
    out += other_squares
    xp.less_equal(out, _EQUAL * squares[:, None], out=equal)
    xp.copyto(out, 0, where=equal)
