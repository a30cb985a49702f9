"""What all layers share: options, bottoms and tops, labels and weights, messages.

A layer writes the methods that Caffe calls; its options, and what it takes and gives, are a class too::

    class DoubleOptions(config.Options):
        takes = ("x",)
        gives = ("two_x",)

    class Double(Layer):
        schema = DoubleOptions

        def reshape(self, bottom, top):
            top[0].reshape(*bottom[0].shape)

        def forward(self, bottom, top):
            np.multiply(bottom[0].data, 2, out=top[0].data)

A loss says what one term of it is, and writes less still: see `caffe_pylayers.layers.loss_layer`.

Messages go to the logger "caffe_pylayers". If nothing handles it when the first layer is set up, it gets a
handler that writes to stderr from level INFO on.
"""

import functools
import logging
import math
import sys
import traceback
from typing import Any, Callable, ClassVar, ContextManager, Dict, Optional, Sequence, Tuple, Type, Union

import caffe
import numpy as np

from caffe_pylayers import config
from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.layers import device
from caffe_pylayers.layers.bad_labels import instead_of_label
from caffe_pylayers.layers.separate_ranks import warn_of_separate_ranks
from caffe_pylayers.losses.reduction import Array
from caffe_pylayers.processes.interpreter import embedded
from caffe_pylayers.processes.streams import open_closed_streams

Blobs = Any  # Caffe's vector of blobs: indexed, never iterated ("No to_python converter")

log = logging.getLogger("caffe_pylayers")

_METHODS = ("setup", "reshape", "forward", "backward")


def _printing_errors(method: Callable[..., None]) -> Callable[..., None]:
    """The method, which prints an error to stderr before it raises it.

    Inside the `caffe` program an error in one of a layer's methods ends it with 'terminate called after
    throwing an instance of boost::python::error_already_set' and no word of what it was.
    """

    @functools.wraps(method)
    def printing(self: Any, *args: Any) -> None:
        try:
            method(self, *args)
        except Exception as error:
            if not hasattr(error, "printed_by_caffe_pylayers"):
                error.printed_by_caffe_pylayers = True  # type: ignore[attr-defined]
                if isinstance(error, (ConfigError, DataError)):
                    print(f"caffe_pylayers: {error}", file=sys.stderr, flush=True)
                else:
                    traceback.print_exc()
            raise

    return printing


def _print_errors(layer: type) -> None:
    """Make the methods that a layer class itself has print their errors."""
    for name in _METHODS:
        if name in vars(layer):
            setattr(layer, name, _printing_errors(vars(layer)[name]))


class Layer(caffe.Layer):
    """A Python layer with options, named bottoms and tops, and errors that reach the user.

    From `setup` on, `self.options` holds the checked options, `self.bottom_names` the names of the bottoms that the
    net gives, `self.gives` those of the tops that it takes, and `self.name` the class's name, for messages (Caffe does not tell a layer its own). A
    subclass that extends `setup` calls `super().setup(bottom, top)` first. Where the net is built inside the
    `caffe` program, an error in any of the four methods is printed to stderr, since Caffe would not.
    """

    #: The class of the options. A layer of this package has that of its name; a class that derives from one inherits it.
    schema: ClassVar[Optional[Type[config.Options]]] = None
    one_factor_per_sample: ClassVar[bool] = False
    device: Any = device.HOST

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("caffe_pylayers.") and cls.__name__ in SCHEMAS:
            cls.schema = SCHEMAS[cls.__name__]
        if embedded():
            _print_errors(cls)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        open_closed_streams()
        _ensure_handler()
        self.name = type(self).__name__
        self._buffers: Dict[str, Array] = {}
        if self.schema is None:
            raise ConfigError(
                "the class has no options",
                remedy="write `schema = ...` in the class, with a subclass of caffe_pylayers.config.Options; its `takes` and `gives` name the bottoms and tops",
                layer=self.name,
            )
        self.options: Any = config.load(self.name, self.param_str, self.schema)
        if self.training:
            warn_of_separate_ranks()
        for warning in self.options.warnings:
            log.warning("%s: %s", self.name, warning)
        self.bottom_names = bottoms_of(self.name, self.options, len(bottom))
        self.gives = tops_of(self.name, self.options, len(top))
        self._check_in_place(bottom, top)

    # Caffe calls all four methods, and one that is missing calls itself without end.

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Gives the tops their shapes; called once at set-up and before every forward."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Zeros, where `force_backward: true` asks a layer without a gradient for one."""
        now = device.current()  # a layer of one's own may compute on the host all the same
        for i in range(len(bottom)):
            if propagate_down[i]:
                with now.of(bottom[i]):
                    now.diff(bottom[i])[...] = 0

    def give_shape(self, blob: Any, shape: Sequence[int], options: str) -> None:
        """Give a top a shape that depends on options; where Caffe could not count its numbers, name those to lower."""
        numbers = math.prod(shape)
        if numbers > LARGEST_BLOB:
            raise ConfigError(
                f"a top of shape {tuple(shape)} has {numbers} numbers, but a Caffe blob holds at most {LARGEST_BLOB}",
                remedy=f"lower {options}",
                layer=self.name,
            )
        blob.reshape(*shape)

    def on_device(self, blob: Any) -> ContextManager[None]:
        """While it lasts, arrays are taken and computed with where Caffe computes now, which has the blob."""
        now = device.current()
        if now is not self.device:
            self.device, self._buffers = now, {}
        return now.of(blob)

    @property
    def xp(self) -> Any:
        """The library of the arrays that `data` and `diff` give: numpy, or cupy."""
        return self.device.xp

    def data(self, blob: Any) -> Array:
        """The blob's data, float32, where this layer computes."""
        return self.device.data(blob)

    def read(self, blob: Any) -> Array:
        """The same to be read only, as labels are: on a GPU it need not be copied back before the next batch."""
        return self.device.read(blob)

    def diff(self, blob: Any) -> Array:
        """The blob's diff, float32, where this layer computes."""
        return self.device.diff(blob)

    @property
    def training(self) -> bool:
        return bool(self.phase == caffe.TRAIN)

    def bottom(self, bottom: Any, name: str) -> Any:
        """The bottom of that name, or of the bottoms' arrays that of it; None where the net does not give it."""
        return bottom[self.bottom_names.index(name)] if name in self.bottom_names else None

    def buffer(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> Array:
        """An array that lives from one iteration to the next, new only when the shape changes."""
        array = self._buffers.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._buffers[name] = self.xp.empty(shape, dtype)
        return array

    def here(self, name: str, numbers: np.ndarray, dtype: Any = np.float32) -> Array:
        """Numbers that do not change while they are as many, as an array where this layer computes, made once."""
        if name not in self._buffers or self._buffers[name].size != numbers.size:
            self._buffers[name] = self.xp.asarray(numbers, dtype)
        return self._buffers[name]

    def on_host(self, array: Array) -> np.ndarray:
        """An array of this layer in host memory: a copy if it is on the GPU."""
        return array if self.xp is np else array.get()

    def labels(
        self,
        given: Array,
        num_classes: int,
        ignore_label: Union[int, Tuple[int, ...], None] = None,
        what: str = "label",
        unknown: bool = False,
    ) -> Tuple[Array, Optional[Array]]:
        """The labels of a blob's array as integers, and which of them are ignored.

        Returns (labels, ignored), flat: an array of intp in 0 .. num_classes-1, 0 where ignored, valid until
        the next call; and an array of bool, or None where no label is ignored. Raises DataError for a label
        that is not whole or out of range, in which `what` names it. With `unknown` -1 is ignored too.
        """
        xp, array, given = self.xp, given, given.reshape(-1)
        size = given.size
        checked, ignored = given, None
        listed = ignore_label if isinstance(ignore_label, tuple) else () if ignore_label is None else (ignore_label,)
        for left_out in (*listed, -1) if unknown else listed:
            here = given == left_out
            ignored = here if ignored is None else ignored | here
        if ignored is not None:
            if int(xp.count_nonzero(ignored)):
                checked = xp.where(ignored, np.float32(0), given)
            else:
                ignored = None
        labels = self.buffer("labels", given.shape, np.intp)
        whole = xp.floor(checked) == checked
        in_range = not size or (float(checked.min()) >= 0 and float(checked.max()) < num_classes)
        if in_range and int(xp.count_nonzero(whole)) == size:
            xp.copyto(labels, checked, casting="unsafe")
            return labels, ignored
        at = int(xp.argmin(whole & (checked >= 0) & (checked < num_classes)))
        label = float(given[at])
        rule = f"is outside 0..{num_classes - 1}" if label == np.floor(label) else "is not an integer"
        hint = f" and not ignore_label {', '.join(map(str, listed))}" if listed else ""
        hint += " and not -1 (a target not known)" if unknown else ""
        found = f"{what} {label:.9g} at {place(array, at)} {rule}{hint}"
        remedy = instead_of_label(self.options, label, num_classes, unknown)
        raise DataError(found, remedy=remedy, layer=self.name)

    def weights(self, inputs: Sequence[Array], shape: Tuple[int, ...]) -> Optional[Array]:
        """The weights of the terms, of `shape`, from the array of sample_weight: one per term, or one per sample."""
        given = self.bottom(inputs, "sample_weight")
        if given is None:
            return None
        weights = given.reshape(-1)
        if weights.size and not (float(weights.min()) >= 0 and float(weights.max()) < np.inf):
            at = int(self.xp.argmin((weights >= 0) & (weights < np.inf)))
            raise DataError(
                f"sample_weight {float(weights[at]):.9g} at {place(given, at)} must be finite and at least 0",
                layer=self.name,
            )
        num_terms = math.prod(shape)
        if weights.size == num_terms:
            return weights.reshape(shape)
        num_samples = len(inputs[0])
        # Where the classes come first, the axis 0 of the scores is not that of the samples.
        has_samples = num_samples > 0 and shape[0] % num_samples == 0
        if weights.size != num_samples or not has_samples:
            a_sample = f"one per sample ({num_samples}) or " if has_samples else ""
            raise ConfigError(
                f"sample_weight has shape {given.shape}, {weights.size} weights",
                remedy=f"expected {a_sample}one per label ({num_terms})",
                layer=self.name,
            )
        if self.one_factor_per_sample:
            return weights.reshape(num_samples, *[1] * (len(shape) - 1))
        each = self.buffer("weights", (num_samples, num_terms // num_samples))
        each[...] = weights[:, None]
        return each.reshape(shape)

    def _check_in_place(self, bottom: Blobs, top: Blobs) -> None:
        for i in range(min(len(bottom), len(top))):
            # At set-up only a top that is a bottom too has a shape, and without one Caffe aborts on `data`.
            shared = top[i].count > 0 and top[i].data.ctypes.data == bottom[i].data.ctypes.data
            if shared and not (self.options.works_in_place() and i == 0):
                raise ConfigError(
                    f"top {i + 1} is the same blob as bottom {i + 1}, but this layer does not work in place",
                    remedy="give the top a name of its own",
                    layer=self.name,
                )


if embedded():
    _print_errors(Layer)


def place(array: Array, at: int) -> str:
    """Where the element number `at` of a blob's array is, in words."""
    index = tuple(int(i) for i in np.unravel_index(at, array.shape))
    return f"sample {at}" if array.size == len(array) else f"index {index}"


def _ensure_handler() -> None:
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("caffe_pylayers: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
