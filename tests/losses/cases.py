"""Every loss layer: the list that drives the tests which hold for all of them."""

from tests.losses import class_cases, metric_cases, stock_cases

CASES = [*class_cases.CASES, *stock_cases.CASES, *metric_cases.CASES]
