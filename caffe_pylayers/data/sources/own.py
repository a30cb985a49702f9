"""What a source of the user's own gives for a record."""

from typing import Any

import numpy as np

from caffe_pylayers.data.plugin import blamed
from caffe_pylayers.data.sources.base import Image, Source
from caffe_pylayers.errors import ConfigError

_TYPES = (np.uint8, np.uint16, np.float32)


def image_of(source: Source, record: int) -> Image:
    """What a source reads. Raises ConfigError where it is of a class of the user's that fails, or gives no image."""
    kind = type(source)
    if kind.__module__.startswith("caffe_pylayers."):
        return source.read(record)
    place = f"{kind.__module__}:{kind.__qualname__}"
    try:
        with blamed("source_type", place):
            found = source.read(record)
        if not _is_image(found):
            what = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise ConfigError(
                f"option 'source_type': `read` of {place!r} returned {what}",
                remedy="it must return the bytes of an image file, or uint8, uint16 or float32 (height, width, channels) with at "
                "least one pixel",
                option="source_type",
            )
    except ConfigError as error:
        raise error.within(source.describe(record), record) from error
    # A view does not own its pixels, so that a transform gets a copy: the source may have kept them.
    return found.view() if isinstance(found, np.ndarray) else found


def _is_image(found: Any) -> bool:
    if isinstance(found, np.ndarray):
        return found.ndim == 3 and found.size > 0 and found.dtype in _TYPES
    return isinstance(found, (bytes, memoryview))
