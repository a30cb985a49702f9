"""What a layer writes into its top of images that were made."""

import numpy as np


def as_fed(transforms, written):
    """Images (M, C, H, W) as they are fed: float32."""
    out = np.empty(written.shape, np.float32)
    transforms.feed(written, out)
    return out
