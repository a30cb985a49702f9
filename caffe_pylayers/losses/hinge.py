"""One-vs-all hinge loss of scores and index labels, as stock HingeLoss computes it."""

from typing import Optional, Union

from caffe_pylayers.losses.blocks import Buffer, clear, largest_block, row_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def hinge(
    scores: Array,
    labels: Array,
    norm: str = "L1",
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """The sum over the classes of max(0, 1 - s_k x_k), or of its square, with s = 1 at the label, -1 elsewhere.

        dl/dx_k = -s_k where the hinge is above 0 ("L1"), or -2 s_k max(0, 1 - s_k x_k) ("L2")

    scores: float (N, K).
    labels: integers 0 .. K-1, (N,).
    norm: "L1" or "L2".
    factor: the gradient is multiplied by it: one for all, or one per row (N,). Where an array is 0 the gradient is
        0, be the scores NaN.
    gradient: array of the scores' shape that receives the gradient; not computed when None.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, (N,).

    >>> import numpy as np
    >>> hinge(np.array([[0.5, -3.0, 1.0]]), np.array([0]), norm="L2")
    array([4.25])
    """
    xp = array_module(scores)
    buffer = scratch(buffer, scores)
    values = buffer("values", labels.shape, scores.dtype)
    work, zeros = (buffer(name, (largest_block(scores),), scores.dtype) for name in ("hinges", "zeros"))
    # numpy takes the maximum with an array in a fifth of the time of that with a number
    zeros[...] = 0

    for rows in row_blocks(scores):
        block = scores[rows]
        hinges = work[: block.size].reshape(block.shape)
        at_label = xp.arange(len(block)), labels[rows]
        xp.add(block, 1, out=hinges)
        hinges[at_label] = 1 - block[at_label]
        xp.maximum(hinges, zeros[: block.size].reshape(block.shape), out=hinges)
        values[rows] = xp.einsum("nk->n", hinges) if norm == "L1" else xp.einsum("nk,nk->n", hinges, hinges)
        if gradient is not None:
            slope = gradient[rows]
            each = factor if isinstance(factor, (int, float)) else factor[rows, None]
            if norm == "L1":
                xp.greater(hinges, 0, out=slope)
                slope *= each
            else:
                clear(hinges, each)
                xp.multiply(hinges, 2 * each, out=slope)
            slope[at_label] = -slope[at_label]
    return values
