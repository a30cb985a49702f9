"""Half the squared distance of predictions and targets, as stock EuclideanLoss computes it."""

from typing import Optional, Sequence, Union

from caffe_pylayers.losses.blocks import Buffer, blocks, clear, factor_of, largest_block, scratch
from caffe_pylayers.losses.reduction import Array, array_module


def euclidean(
    prediction: Array,
    target: Array,
    factor: Union[float, Array] = 1.0,
    gradients: Sequence[Optional[Array]] = (None, None),
    by_element: bool = False,
    buffer: Optional[Buffer] = None,
) -> Array:
    """|y - t|^2 / 2 for each row, or (y - t)^2 / 2 for each element, of predictions y and targets t.

        dl/dy = y - t        dl/dt = t - y

    prediction, target: float (N, D).
    factor: the gradients are multiplied by it: one for all, one per row (N,), or (N, D). Where an array is 0 the
        gradients are 0, be the prediction NaN.
    gradients: arrays (N, D) that receive those by prediction and target; None: not computed.
    by_element: whether there is a value for each element, or one for each row.
    buffer: makes the arrays that live from call to call, as `Layer.buffer` does; None: new ones each time.
    Returns the values, (N, D) or (N,).

    >>> import numpy as np
    >>> euclidean(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    array([2. , 0.5])
    """
    xp = array_module(prediction)
    buffer = scratch(buffer, prediction)
    values = buffer("values", prediction.shape if by_element else prediction.shape[:1], prediction.dtype)
    work = buffer("difference", (largest_block(prediction),), prediction.dtype)
    if not isinstance(factor, (int, float)) and factor.ndim == 1:
        factor = factor[:, None]
    values[...] = 0

    for rows, columns in blocks(prediction):
        y, t = prediction[rows, columns], target[rows, columns]
        difference = xp.subtract(y, t, out=work[: y.size].reshape(y.shape))
        if values.ndim == 1:
            values[rows] += xp.einsum("nd,nd->n", difference, difference)
        else:
            xp.multiply(difference, difference, out=values[rows, columns])
        each = factor_of(factor, rows, columns)
        clear(difference, each)
        if gradients[0] is not None:
            xp.multiply(difference, each, out=gradients[0][rows, columns])
        if gradients[1] is not None:
            slope = xp.multiply(difference, each, out=gradients[1][rows, columns])
            xp.negative(slope, out=slope)
    values *= 0.5
    return values
