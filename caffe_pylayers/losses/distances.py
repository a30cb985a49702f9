"""Distances of embeddings, made of their products."""

from caffe_pylayers.losses.reduction import Array, array_module

# Squared distances below this part of the squared norms are 0: such embeddings differ by no more than float32 rounds.
_EQUAL = 1e-13


def distances_of_products(
    products: Array, squares: Array, other_squares: Array, distance: str, out: Array, work: Array, equal: Array
) -> None:
    """Write the distances of B embeddings from M others into `out`, and into `equal`, bool, which of them are 0.

    products: x . y, (B, M). squares: |x|^2, (B,). other_squares: |y|^2, (M,). distance: squared or euclidean.
    out, work: (B, M), to write into. In float64 what |x|^2 + |y|^2 - 2xy loses does not show.
    """
    xp = array_module(products)
    xp.add(squares[:, None], other_squares, out=work)
    xp.multiply(products, -2, out=out)
    out += work
    work *= _EQUAL
    xp.less_equal(out, work, out=equal)
    xp.copyto(out, 0, where=equal)
    if distance == "euclidean":
        xp.sqrt(out, out=out)
