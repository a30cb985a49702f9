"""Arrays in .npy files that may be damaged."""

import warnings
from typing import Any

import numpy as np

from caffe_pylayers.files import regular_file


def load_npy(path: str) -> Any:
    """What `numpy.load` gives for a file, mapped, so that a damaged header that promises more than there is takes no memory.

    Raises OSError where the file cannot be read, and ValueError where it is damaged or something else.
    """
    try:
        with warnings.catch_warnings():  # about headers that Python 2 wrote
            warnings.simplefilter("ignore")
            regular_file.require_regular(path)
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # of many types, as the header is evaluated
        raise ValueError(str(error)) from error
