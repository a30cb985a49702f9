"""The option `transform`: a function of the user's that changes loaded images."""

from typing import Any

import numpy as np

from caffe_pylayers.data.plugin import blamed, load_plugin
from caffe_pylayers.errors import ConfigError


def transformed(place: str, image: np.ndarray, key: int) -> np.ndarray:
    """What the function at `place`, 'module:function', makes of a loaded image; `key` is that of its random draws.

    Raises ConfigError where the function is not there, or returns something else than such an image.
    """
    # Its own copy, for a function may write into it.
    own = image if image.flags.owndata else image.copy()
    rng = np.random.Generator(np.random.Philox(key=int(key)))
    function = load_plugin("transform", place)
    with blamed("transform", place):
        changed = function(own, rng)
    found = _no_image(changed, image.dtype)
    if found:
        raise ConfigError(
            f"option 'transform': {place!r} returned {found}",
            remedy=f"it must return an image of {image.dtype} (height, width, channels), like the one it gets, with at least one pixel",
            option="transform",
        )
    return np.asarray(changed)


def _no_image(found: Any, dtype: np.dtype) -> str:
    """What was found in place of an image of that type; "" where it is one."""
    if not isinstance(found, np.ndarray):
        return type(found).__name__
    if found.ndim != 3 or not found.size or found.dtype != dtype:
        return f"{found.dtype} {found.shape}"
    return "" if dtype == np.uint8 or np.isfinite(found).all() else "numbers that are not finite"
