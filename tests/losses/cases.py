"""Every loss layer: the lists that drive the tests which hold for all of them."""

from caffe_pylayers.config.catalogue import SCHEMAS
from tests.losses import (
    class_cases,
    embedding_cases,
    metric_cases,
    pair_cases,
    proxy_cases,
    region_cases,
    regression_cases,
    stock_cases,
)
from tests.losses.case import hard

_MODULES = (
    class_cases,
    stock_cases,
    metric_cases,
    regression_cases,
    region_cases,
    embedding_cases,
    pair_cases,
    proxy_cases,
)
_ALL = [case for module in _MODULES for case in module.CASES]

#: Of each layer its first: for what no option changes.
ONE_A_LAYER = list({case.layer: case for case in reversed(_ALL)}.values())[::-1]

#: Each loss on terms, with hard examples only.
_HARD = [
    hard(case, keep)
    for case in ONE_A_LAYER
    if "keep" in SCHEMAS[case.layer].model_fields
    for keep in ({"top_k": 3}, {"fraction": 0.4}, {"threshold": 0.7, "min_kept": 2})
]

CASES = [*_ALL, *_HARD]
