"""A factor per channel, and a sum (SENet, Hu et al. 2018)."""

from caffe_pylayers.losses.reduction import Array, array_module


def axpy(scale: Array, x: Array, y: Array, out: Array) -> None:
    """Write scale * x + y. scale: (N, C). x, y, out: (N, C, S)."""
    xp = array_module(x)
    xp.multiply(scale[:, :, None], x, out=out)
    xp.add(out, y, out=out)


def scale_gradient(slope: Array, x: Array) -> Array:
    """Return the gradient by the scale, (N, C). slope: that by the output, (N, C, S)."""
    scale: Array = array_module(x).einsum("ncs,ncs->nc", slope, x)
    return scale
