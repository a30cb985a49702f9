"""Numbers put in the places where a pooling found its maxima, of SegNet (Badrinarayanan et al. 2017)."""

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, row_blocks
from caffe_pylayers.losses.reduction import Array, array_module


def flat_places(mask: Array, size: int, buffer: Buffer) -> Array:
    """The places in all maps, one after the other, of a mask (N, C, h, w) of places in maps of `size` numbers."""
    xp = array_module(mask)
    maps = xp.arange(mask.shape[0] * mask.shape[1])
    places = buffer("places", (len(maps), mask.shape[2] * mask.shape[3]), np.intp)
    xp.copyto(places, mask.reshape(places.shape), casting="unsafe")
    places += (maps * size)[:, None]
    return places


def unpool(x: Array, places: Array, out: Array) -> None:
    """Write the numbers of x at their places into `out`, and 0 elsewhere. Of several with one place the last counts."""
    xp = array_module(x)
    out[...] = 0
    numbers, places = x.reshape(-1), places.reshape(-1)
    if xp is not np:  # on a GPU it is open which of several is written
        order = xp.sort(places * len(places) + xp.arange(len(places)))
        last = xp.ones(len(order), bool)
        sorted_places = order // max(len(order), 1)
        last[:-1] = sorted_places[1:] != sorted_places[:-1]
        places, numbers = sorted_places[last], numbers[order[last] % max(len(order), 1)]
    out.reshape(-1)[places] = numbers


def unpool_gradient(slope: Array, places: Array, out: Array) -> None:
    """Write the gradient by x into `out`: that by the number at each place, also where another number came there later."""
    flat, out = slope.reshape(-1), out.reshape(places.shape)
    for rows in row_blocks(places):
        out[rows] = flat.take(places[rows])
