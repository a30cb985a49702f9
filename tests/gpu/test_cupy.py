"""Every pure function of losses, of layers on features and of embeddings on CuPy arrays gives what it gives on NumPy's: `pytest -m gpu`, on a machine with a GPU.

It needs no Caffe. Without a GPU the same calls run on arrays with CuPy's rules in the host's memory.
"""

import inspect

import numpy as np
import pytest

from tests.embeddings import pure_embedding_calls, pure_pair_calls
from tests.features import pure_feature_calls
from tests.losses import device_arrays, pure_calls

on_gpu = pytest.mark.gpu
EVERY_CALL = [*pure_calls.CALLS, *pure_feature_calls.CALLS, *pure_embedding_calls.CALLS, *pure_pair_calls.CALLS]


def library_of(name):
    if name == "device_arrays":
        return device_arrays.library
    try:
        import cupy

        cupy.zeros(1).sum().item()
    except Exception as error:
        pytest.fail(f"the tests marked gpu need CuPy and a GPU: {type(error).__name__}: {error}")
    return cupy


def on_host(value):
    return value.get() if hasattr(value, "get") else np.asarray(value)


@pytest.mark.parametrize("library", ["device_arrays", pytest.param("cupy", marks=on_gpu)])
@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
def test_a_device_gives_what_the_host_gives(call, library):
    xp = library_of(library)
    inputs = call.inputs(np.random.RandomState(0))
    with np.errstate(all="ignore"):
        expected = call.run(np, **{name: array.copy() for name, array in inputs.items()})
    found = call.run(xp, **{name: xp.asarray(array) for name, array in inputs.items()})
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert isinstance(one, (float, xp.ndarray))
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        largest = max(1e-6, np.nanmax(np.abs(np.where(np.isfinite(other), other, 0))))
        np.testing.assert_allclose(on_host(one), on_host(other), rtol=2e-4, atol=2e-6 * largest)


@on_gpu
def test_device_arrays_have_nothing_that_cupy_lacks():
    cupy = library_of("cupy")
    for name in [*device_arrays.UFUNCS.split(), *device_arrays.NAMES.split(), "einsum", "asnumpy"]:
        assert hasattr(cupy, name), name
    for name, arguments in device_arrays.FUNCTIONS.items():
        function = getattr(cupy, name)
        if not isinstance(function, cupy.ufunc):
            parameters = list(inspect.signature(function).parameters)
            assert "kwargs" in parameters or parameters[: len(arguments.split())] == arguments.split(), name
    for name in device_arrays.METHODS:
        assert hasattr(cupy.ndarray, name), name


@on_gpu
def test_cupy_refuses_what_device_arrays_refuse():
    cupy = library_of("cupy")
    x, host = cupy.arange(3.0), np.arange(3.0)
    for mixed in (lambda: np.asarray(x), lambda: x + host, lambda: cupy.exp(host)):
        with pytest.raises((TypeError, ValueError)):
            mixed()
    assert x.sum().shape == ()
