"""Conversions, and what came of them as a layer reads it."""

import os

from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin, convert
from caffe_pylayers.data.sources import open_source

SUFFIXES = {"CSV": ".csv", "LMDB": "_lmdb", "BCF": ".bcf", "HDF5": ".h5"}
FORMATS = list(SUFFIXES)


def converted(origin, target, format, images=None, force=False, workers=1, **options):
    """Convert, and open what came of it by the options that a layer is told."""
    images = Images(format, **(images or {}))
    entry = convert(Conversion(origin, str(target), images, **options), workers, force)
    assert os.path.exists(target) and not os.path.exists(f"{target}.partial")
    return opened(entry), entry


def opened(entry):
    options = dict(entry["layer_options"])
    options.pop("color", None)
    return open_source(path=options.pop("source"), **options)


def origin_of(entry):
    options = dict(entry["layer_options"])
    options.pop("color", None)
    return Origin(**options)
