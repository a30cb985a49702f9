"""Arrays with CuPy's rules in the host's memory, to run the losses' GPU path where there is no GPU.

They are no NumPy arrays, and NumPy's functions refuse them; they do not mix with NumPy arrays; sums are arrays of shape
() and not numbers; and there are only the functions and arguments that CuPy has and the losses may use. So what runs on
them finds a forgotten `xp`, a missing float() or a function that CuPy lacks. What they cannot show is what a GPU does:
tests/gpu runs on one.
"""

import contextlib
import sys
import types

import numpy as np

#: Functions that work element by element, and take `out` and `dtype` besides.
UFUNCS = """
abs absolute add arctan2 bitwise_and bitwise_or bitwise_xor ceil cos divide equal exp exp2 expm1 floor floor_divide fmax
fmin greater greater_equal hypot invert isfinite isinf isnan left_shift less less_equal log log10 log1p log2 logaddexp
logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative not_equal power reciprocal remainder
right_shift rint sign signbit sin sqrt square subtract tanh true_divide trunc
"""

#: The other functions, and their arguments in order.
FUNCTIONS = {
    "all": "a axis out keepdims", "any": "a axis out keepdims", "arange": "start stop step dtype",
    "argmax": "a axis dtype out keepdims", "argmin": "a axis dtype out keepdims", "argpartition": "a kth axis",
    "argsort": "a axis kind", "array": "obj dtype copy", "asarray": "a dtype", "ascontiguousarray": "a dtype",
    "bincount": "x weights minlength", "broadcast_to": "array shape", "clip": "a a_min a_max out",
    "concatenate": "tup axis", "copyto": "dst src casting where", "count_nonzero": "a axis", "cumprod": "a axis dtype out",
    "cumsum": "a axis dtype out", "diagonal": "a offset axis1 axis2", "diff": "a n axis", "dot": "a b out",
    "empty": "shape dtype", "empty_like": "prototype dtype", "expand_dims": "a axis", "eye": "N M k dtype",
    "flatnonzero": "a", "full": "shape fill_value dtype", "full_like": "a fill_value dtype", "matmul": "x1 x2 out dtype",
    "max": "a axis out keepdims", "mean": "a axis dtype out keepdims", "min": "a axis out keepdims", "nonzero": "a",
    "ones": "shape dtype", "ones_like": "a dtype", "partition": "a kth axis", "prod": "a axis dtype out keepdims",
    "ravel": "a", "repeat": "a repeats axis", "reshape": "a newshape", "searchsorted": "a v side sorter",
    "sort": "a axis", "squeeze": "a axis", "stack": "tup axis", "sum": "a axis dtype out keepdims",
    "swapaxes": "a axis1 axis2", "take": "a indices axis out", "take_along_axis": "a indices axis",
    "transpose": "a axes", "tril": "m k", "triu": "m k", "unique": "ar return_index return_inverse return_counts",
    "where": "condition x y", "zeros": "shape dtype", "zeros_like": "a dtype",
}  # fmt: skip

#: The methods of arrays, and their arguments.
METHODS = {
    "all": "axis out keepdims", "any": "axis out keepdims", "argmax": "axis out dtype keepdims",
    "argmin": "axis out dtype keepdims", "argsort": "axis", "astype": "dtype copy", "clip": "min max out", "copy": "",
    "cumsum": "axis dtype out", "dot": "b out", "fill": "value", "max": "axis out keepdims",
    "mean": "axis dtype out keepdims", "min": "axis out keepdims", "nonzero": "", "prod": "axis dtype out keepdims",
    "ravel": "", "sort": "axis", "squeeze": "axis", "sum": "axis dtype out keepdims", "swapaxes": "axis1 axis2",
    "take": "indices axis out", "view": "dtype",
}  # fmt: skip

#: What else the library has: types and constants.
NAMES = "bool_ float32 float64 int32 int64 intp uint8 uint16 uint32 uint64 finfo iinfo inf nan newaxis pi"

#: The functions that take a NumPy array or a list to the device.
UPLOADS = ("array", "asarray")

_BINARY = "add sub mul truediv floordiv mod pow and or xor lshift rshift"


def _inside(value, what):
    """The NumPy array of a device array, in tuples too; an error for an array that is NumPy's."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, tuple):
        return tuple(_inside(each, what) for each in value)
    if isinstance(value, list):
        return [_inside(each, what) for each in value]
    if isinstance(value, slice):
        return slice(*(_inside(each, what) for each in (value.start, value.stop, value.step)))
    if isinstance(value, np.ndarray):
        raise TypeError(f"a NumPy array of shape {value.shape} was given to the device's {what}")
    return value


def _outside(value):
    """Arrays and NumPy's numbers as device arrays, in tuples and lists too."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_outside, value))
    return ndarray(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def _call(function, what, args, kwargs):
    args = [_inside(each, what) for each in args]
    kwargs = {name: _inside(value, what) for name, value in kwargs.items()}
    with np.errstate(all="ignore"):  # a GPU does not warn
        return _outside(function(*args, **kwargs))


def _check(what, names, args, kwargs):
    unknown = set(kwargs) - set(names)
    if unknown or len(args) > len(names):
        raise TypeError(f"the device's {what} takes {', '.join(names) or 'nothing'}, not {args} {kwargs}")


def _elementwise(name):
    """An array of shape () is an array in the type of the result, as in CuPy, where NumPy takes it for a number."""
    ufunc = getattr(np, name)

    def function(*args, **kwargs):
        _check(name, [*(f"x{i}" for i in range(ufunc.nin)), "out", "dtype"], args, kwargs)
        if args[ufunc.nin :]:
            raise TypeError(f"the device's {name} takes 'out' by name")
        rank = max((each.ndim for each in args if isinstance(each, ndarray)), default=0)
        args = [each.reshape((1,) * rank) if isinstance(each, ndarray) and not each.ndim else each for each in args]
        return _call(ufunc, name, args, kwargs)

    return function


def _function(name):
    names = FUNCTIONS[name].split()

    def function(*args, **kwargs):
        _check(name, names, args, kwargs)
        if name in UPLOADS and isinstance(args[0], (np.ndarray, list, tuple)):
            return _outside(np.array(args[0], *args[1:], **kwargs))
        if name == "repeat" and isinstance(args[1], ndarray):
            raise TypeError("CuPy's repeat takes a number or a list of them")
        if name == "bincount" and not args[0].size:
            raise ValueError("CuPy's bincount wants a number at least")
        return _call(getattr(np, name), name, args, kwargs)

    return function


def _einsum(*operands, **kwargs):
    _check("einsum", ["dtype", "optimize"], (), kwargs)
    return _call(np.einsum, "einsum", operands, kwargs)


def _method(name):
    names = METHODS[name].split()

    def method(self, *args, **kwargs):
        _check(f"ndarray.{name}", names, args, kwargs)
        return _call(getattr(self._array, name), name, args, kwargs)

    return method


def _operator(name, reverse=False):
    ufuncs = {"sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "pow": "power"}
    ufuncs.update({"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "mod": "remainder", "add": "add"})
    ufuncs.update({"lshift": "left_shift", "rshift": "right_shift", "lt": "less", "le": "less_equal", "gt": "greater"})
    ufuncs.update({"ge": "greater_equal", "eq": "equal", "ne": "not_equal"})
    function = _elementwise(ufuncs[name])

    def operator(self, other):
        return function(other, self) if reverse else function(self, other)

    def in_place(self, other):
        return function(self, other, out=self)

    return operator, in_place


class ndarray:
    """A device array: a view of a NumPy array, which is its memory."""

    __hash__ = None

    def __init__(self, array):
        self._array = array

    shape = property(lambda self: self._array.shape)
    size = property(lambda self: self._array.size)
    ndim = property(lambda self: self._array.ndim)
    dtype = property(lambda self: self._array.dtype)
    nbytes = property(lambda self: self._array.nbytes)
    strides = property(lambda self: self._array.strides)
    flags = property(lambda self: self._array.flags)
    T = property(lambda self: ndarray(self._array.T))

    def reshape(self, *shape):
        return ndarray(self._array.reshape(*shape))

    def transpose(self, *axes):
        return ndarray(self._array.transpose(*axes))

    def get(self):
        return self._array.copy()

    def tobytes(self):
        return self._array.tobytes()

    def tolist(self):
        return self._array.tolist()

    def item(self, *place):
        return self._array.item(*place)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __float__(self):
        return float(self._array)

    def __int__(self):
        return int(self._array)

    def __bool__(self):
        return bool(self._array)

    def __repr__(self):
        return f"device {self._array!r}"

    def __getitem__(self, key):
        return _outside(self._array[_inside(key, "index")])

    def __setitem__(self, key, value):
        key = _inside(key, "index")
        places = [each for each in (key if isinstance(key, tuple) else (key,)) if isinstance(each, np.ndarray)]
        if len(places) == 1 and places[0].dtype.kind in "iu" and len(np.unique(places[0])) < places[0].size:
            raise ValueError("on a GPU it is open which of two values is written to one place")
        with np.errstate(all="ignore"):
            self._array[key] = _inside(value, "assignment")

    def __neg__(self):
        return library.negative(self)

    def __abs__(self):
        return library.absolute(self)

    def __invert__(self):
        return library.invert(self)

    def __matmul__(self, other):
        return library.matmul(self, other)

    def __array__(self, *_, **__):
        raise TypeError("a device array was given to NumPy")

    def __array_ufunc__(self, ufunc, *_, **__):
        raise TypeError(f"a device array was given to NumPy's {ufunc.__name__}")

    def __array_function__(self, function, *_):
        raise TypeError(f"a device array was given to NumPy's {function.__name__}")


for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
for _name in _BINARY.split():
    _forward, _in_place = _operator(_name)
    setattr(ndarray, f"__{_name}__", _forward)
    setattr(ndarray, f"__i{_name}__", _in_place)
    setattr(ndarray, f"__r{_name}__", _operator(_name, reverse=True)[0])
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _operator(_name)[0])

#: The library, as `array_module` finds it.
library = types.ModuleType("device_arrays")
library.ndarray, library.einsum = ndarray, _einsum
library.asnumpy = ndarray.get
for _name in NAMES.split():
    setattr(library, _name, getattr(np, _name))
for _name in UFUNCS.split():
    setattr(library, _name, _elementwise(_name))
for _name in FUNCTIONS:
    setattr(library, _name, _function(_name))
ndarray.__module__ = "device_arrays"
sys.modules["device_arrays"] = library


def readable(array):
    """An array of the device that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return ndarray(view)


class Device:
    """What `caffe_pylayers.layers.device.current` gives in GPU mode, with these arrays on the blobs' host memory."""

    xp = library

    @staticmethod
    def data(blob):
        return ndarray(blob.data)

    @staticmethod
    def read(blob):
        """An array that cannot be written to: what a layer writes there would be lost on a GPU."""
        return readable(blob.data)

    @staticmethod
    def diff(blob):
        return ndarray(blob.diff)

    @staticmethod
    def of(_):
        return contextlib.nullcontext()
