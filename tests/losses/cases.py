"""Every loss layer: the lists that drive the tests which hold for all of them."""

from tests.losses import class_cases, metric_cases, stock_cases

CASES = [*class_cases.CASES, *stock_cases.CASES, *metric_cases.CASES]

#: Of each layer its first: for what no option changes.
ONE_A_LAYER = list({case.layer: case for case in reversed(CASES)}.values())[::-1]
