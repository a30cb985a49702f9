"""The options of every layer, from ``param_str`` to checked objects, and every message about them.

>>> from caffe_pylayers import config
>>> config.load("ComputeH", "{'n_classes': 7, 'scale': 'MEAN_ONE'}").scale
'mean_one'
"""

from caffe_pylayers.config.loading import allowed, json_schema, load, validate
from caffe_pylayers.config.param_str import parse
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel, IterSize, Options, Path, Resume, Seed, Stream
from caffe_pylayers.config.spelling import spell

__all__ = [
    "IgnoreLabel",
    "IterSize",
    "Options",
    "Path",
    "Remark",
    "Resume",
    "Seed",
    "Stream",
    "allowed",
    "json_schema",
    "load",
    "parse",
    "spell",
    "validate",
]
