"""Tests that start data layers of Caffe's own, by the marker `stock_data`.

A Caffe that is built for GPUs starts these layers only where it finds one, in CPU mode too: else it aborts. There a test
of them has to fail.
"""

import faulthandler
from typing import Any, Iterable, List

import pytest

from caffe_pylayers.processes.boot import fork, status_of


def parameters(values: Iterable[Any], *of_stock: Any) -> List[Any]:
    """Parameters of a test, of which some have the marker."""
    return [pytest.param(value, marks=[pytest.mark.stock_data] * (value in of_stock)) for value in values]


def require_failure(test: pytest.Function) -> None:
    """Run a test in a process of its own, which Caffe may end."""

    def run() -> None:
        faulthandler.disable()  # pytest's, which would tell of the abort
        test.obj(**{name: test.funcargs[name] for name in test._fixtureinfo.argnames})

    assert status_of(fork(run)) != 0, "it is marked `stock_data`, but starts no data layer of Caffe's own"
