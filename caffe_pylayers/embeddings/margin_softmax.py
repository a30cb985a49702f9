"""Softmax cross-entropy on cosines, with a margin at the label: products, softmax and gradient in one N x K array."""

from typing import Callable, NamedTuple, Optional, Tuple, Union

from caffe_pylayers.embeddings.angles import Margin
from caffe_pylayers.embeddings.class_vectors import Slopes, at_labels, products, products_gradient
from caffe_pylayers.embeddings.margin_products import label_entries
from caffe_pylayers.losses.blocks import Buffer, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import sum_classes

#: The products at the labels of some rows -> what becomes of them, the derivative, and the multiple of x that is in the gradient besides.
Head = Callable[[Array, slice], Tuple[Array, Array, Optional[Array]]]


def margin_head(margin: Margin) -> Head:
    """A margin on cosines."""
    return lambda cosine, rows: (*margin(cosine), None)


def sphere_head(m: int, inverse: Array) -> Head:
    """|x| psi of SphereFace on products of x with unit vectors. inverse: 1 / |x|, (N,)."""

    def head(at_label: Array, rows: slice) -> Tuple[Array, Array, Optional[Array]]:
        entries = label_entries(at_label, inverse[rows], m)
        return entries.values, entries.slopes, entries.rest * inverse[rows]

    return head


class Softmaxed(NamedTuple):
    """What the gradient is made of."""

    exps: Array  #: exp(scores - largest), (N, K), with the margin at the label
    sums: Array  #: of its rows, (N,)
    slopes: Array  #: the derivative of the entry at the label by the product there, (N,)
    along: Optional[Array]  #: the multiple of x in the gradient of that entry besides, (N,)
    values: Array  #: -log of the softmax at the label, (N,)


def margin_softmax(
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    head: Head,
    scale: float,
    scores: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Softmaxed:
    """-log p at each label, p = softmax of `scale` times the products of x with the unit vectors, that of the label changed by `head`.

    x: (N, D), of unit length where the head is one for cosines. vectors: (K, D), inverse: 1 / their lengths. labels: integers, (N,).
    scores: receives `scale` times the products, without a margin, (N, K). buffer: as in `softmax_cross_entropy`.
    """
    exps = scratch(buffer, x)("exps", (len(x), len(vectors)), x.dtype)
    products(x, vectors, None, exps)
    return softmaxed(exps, scale * inverse, labels, head, scale, scores, buffer)


def softmaxed(
    exps: Array,
    factors: Union[float, Array],
    labels: Array,
    head: Head,
    scale: float,
    scores: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Softmaxed:
    """The same of the products, (N, K), which are written over. factors: what they are multiplied by, `scale` included, one or (K,)."""
    xp, buffer = array_module(exps), scratch(buffer, exps)
    sums, slopes, along, values = (
        buffer(name, labels.shape, exps.dtype) for name in ("sums", "slopes", "along", "values")
    )
    has_along = False
    for rows in row_blocks(exps):
        part, label = exps[rows], labels[rows]
        part *= factors
        if scores is not None:
            scores[rows] = part
        place = xp.arange(len(part)), label
        entry, slopes[rows], more = head(part[place] / scale, rows)
        if more is not None:
            along[rows], has_along = more, True
        part[place] = entry * scale
        part -= part.max(axis=1)[:, None]
        values[rows] = part[place]
        xp.exp(part, out=part)
        sums[rows] = sum_classes(part)
    xp.subtract(xp.log(sums), values, out=values)
    return Softmaxed(exps, sums, slopes, along if has_along else None, values)


def margin_softmax_gradient(
    of: Softmaxed,
    x: Array,
    vectors: Array,
    inverse: Array,
    labels: Array,
    scale: float,
    factor: Union[float, Array],
    x_gradient: Optional[Array],
    vectors_gradient: Optional[Array],
    step: float = 1.0,
    buffer: Optional[Buffer] = None,
) -> None:
    """Write the gradient by x, and add `step` times that by the vectors to what is there.

    factor: of each value, one or (N,). Where it is 0, numbers of x that are not finite become 0: 0 times NaN is NaN.
    """
    xp, buffer = array_module(x), scratch(buffer, x)
    factors = factors_of(of, scale, factor)
    clear_absent(of, factors, x)
    along = None
    if of.along is not None:
        place = xp.arange(len(x)), labels
        along = (of.exps[place] - of.sums) * (factors / of.sums) * of.along
    slopes = softmax_slopes(of, labels, factors)
    products_gradient(x, vectors, inverse, slopes, x_gradient, vectors_gradient, buffer, (along, None), step)


def factors_of(of: Softmaxed, scale: float, factor: Union[float, Array]) -> Array:
    """What the derivatives of each value are multiplied by, (N,)."""
    return (array_module(of.sums).ones_like(of.sums) * factor).astype(of.sums.dtype) * scale


def clear_absent(of: Softmaxed, factors: Array, *others: Array) -> None:
    """Set all numbers of a sample to 0 that does not count and is not finite; those of other arrays (N, ...) too."""
    absent = (factors == 0) & ~array_module(of.sums).isfinite(of.sums)
    if bool(absent.any()):
        of.exps[absent], of.sums[absent], of.slopes[absent] = 0, 1, 0
        for each in (*others, *([] if of.along is None else [of.along])):
            each[absent] = 0


def softmax_slopes(of: Softmaxed, labels: Array, factors: Array) -> Slopes:
    """The derivatives by the products."""
    each = factors / of.sums

    def slopes(block: slice, out: Array) -> None:
        array_module(out).multiply(of.exps[:, block], each[:, None], out=out)
        rows, columns = at_labels(labels, block)
        out[rows, columns] = (out[rows, columns] - factors[rows]) * of.slopes[rows]

    return slopes
