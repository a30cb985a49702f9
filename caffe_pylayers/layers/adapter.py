"""What all layers share: options, bottoms and tops, messages; and for losses weights and gradients.

A layer says what it takes and gives, and writes the methods that Caffe calls; its options are a class in
`caffe_pylayers.options`::

    class Double(Layer):
        bottoms = ("x",)
        tops = ("two_x",)

        def reshape(self, bottom, top):
            top[0].reshape(*bottom[0].shape)

        def forward(self, bottom, top):
            np.multiply(bottom[0].data, 2, out=top[0].data)

A loss says what one term of it is, and writes less still: see `LossLayer`.

Messages go to the logger "caffe_pylayers". If nothing handles it when the first layer is set up, it gets a
handler that writes to stderr from level INFO on.
"""

import functools
import logging
import math
import sys
import traceback
from typing import Any, Callable, ClassVar, ContextManager, Dict, List, Optional, Sequence, Tuple

import caffe
import numpy as np

from caffe_pylayers import config
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.interpreter import embedded
from caffe_pylayers.layers import device
from caffe_pylayers.losses.reduction import Array, Reduction

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

    bottoms, tops: names in order, "[x]" for one that may be missing.
    in_place: whether a top may be the blob of the bottom at its place.

    From `setup` on, `self.options` holds the checked options, `self.given` the names of the bottoms that the
    net gives, and `self.name` the class's name, for messages (Caffe does not tell a layer its own). A
    subclass that extends `setup` calls `super().setup(bottom, top)` first. Where the net is built inside the
    `caffe` program, an error in any of the four methods is printed to stderr, since Caffe would not.
    """

    bottoms: ClassVar[Sequence[str]] = ()
    tops: ClassVar[Sequence[str]] = ()
    in_place: ClassVar[bool] = False
    one_factor_a_sample: ClassVar[bool] = False
    device: Any = device.HOST

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if embedded():
            _print_errors(cls)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        _ensure_handler()
        self.name = type(self).__name__
        self._buffers: Dict[str, Array] = {}
        self.options: Any = config.load(self.name, self.param_str)
        for warning in self.options.warnings():
            log.warning("%s: %s", self.name, warning)
        self.given = self._names("bottom", self.bottom_names(), len(bottom), getattr(self.options, "bottoms", None))
        self._names("top", self.top_names(), len(top), None)
        self._check_in_place(bottom, top)

    def bottom_names(self) -> Sequence[str]:
        """The bottoms, which may depend on the options."""
        return self.bottoms

    def top_names(self) -> Sequence[str]:
        """The tops, which may depend on the options."""
        return self.tops

    # Caffe calls all four methods, and one that is missing calls itself without end.

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Gives the tops their shapes; called once at set-up and before every forward."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Zeros, where `force_backward: true` asks a layer without a gradient for one."""
        for i in range(len(bottom)):
            if propagate_down[i]:
                bottom[i].diff[...] = 0

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

    def diff(self, blob: Any) -> Array:
        """The blob's diff, float32, where this layer computes."""
        return self.device.diff(blob)

    @property
    def training(self) -> bool:
        return bool(self.phase == caffe.TRAIN)

    def bottom(self, bottom: Blobs, name: str) -> Any:
        """The bottom of that name, or None where the net does not give it."""
        return bottom[self.given.index(name)] if name in self.given else None

    def buffer(self, name: str, shape: Sequence[int], dtype: Any = np.float32) -> Array:
        """An array that lives from one iteration to the next, new only when the shape changes."""
        array = self._buffers.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._buffers[name] = self.xp.empty(shape, dtype)
        return array

    def labels(
        self, blob: Any, num_classes: int, ignore_label: Optional[int] = None, what: str = "label"
    ) -> Tuple[Array, Optional[Array]]:
        """The labels of a blob as whole numbers, and which of them are ignored.

        Returns (labels, ignored), flat: an array of intp in 0 .. num_classes-1, 0 where ignored, valid until
        the next call; and an array of bool, or None where no label is ignored. Raises DataError for a label
        that is not whole or out of range, in which `what` names it.
        """
        xp = self.xp
        given = self.data(blob).reshape(-1)
        size = given.size
        checked, ignored = given, None
        if ignore_label is not None:
            ignored = given == ignore_label
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
        rule = f"is outside 0..{num_classes - 1}" if label == np.floor(label) else "is not a whole number"
        hint = "" if ignore_label is None else f" and not ignore_label {ignore_label}"
        raise DataError(f"{self.name}: {what} {label:.9g} at {place(blob, at)} {rule}{hint}")

    def weights(self, bottom: Blobs, shape: Tuple[int, ...]) -> Optional[Array]:
        """The weights of the terms, of `shape`, from the bottom sample_weight: one a term, or one a sample."""
        blob = self.bottom(bottom, "sample_weight")
        if blob is None:
            return None
        weights = self.data(blob).reshape(-1)
        if weights.size and not (float(weights.min()) >= 0 and float(weights.max()) < np.inf):
            at = int(self.xp.argmin((weights >= 0) & (weights < np.inf)))
            raise DataError(
                f"{self.name}: sample_weight {float(weights[at]):.9g} at {place(blob, at)} is not finite and at least 0"
            )
        num_terms = math.prod(shape)
        if weights.size == num_terms:
            return weights.reshape(shape)
        num_samples = bottom[0].shape[0]
        # Where the classes come first, the axis 0 of the scores is not that of the samples.
        has_samples = num_samples > 0 and shape[0] % num_samples == 0
        if weights.size != num_samples or not has_samples:
            a_sample = f"one a sample ({num_samples}) or " if has_samples else ""
            raise ConfigError(
                f"{self.name}: sample_weight has shape {tuple(blob.shape)}, {weights.size} weights; expected {a_sample}one "
                f"a label ({num_terms})"
            )
        if self.one_factor_a_sample:
            return weights.reshape(num_samples, *[1] * (len(shape) - 1))
        each = self.buffer("weights", (num_samples, num_terms // num_samples))
        each[...] = weights[:, None]
        return each.reshape(shape)

    def _names(self, kind: str, names: Sequence[str], found: int, chosen: Optional[Sequence[str]]) -> List[str]:
        """The names of the `found` bottoms or tops; `chosen` says which optional ones they are."""
        fixed = [name for name in names if not name.startswith("[")]
        optional = [name.strip("[]") for name in names[len(fixed) :]]
        if chosen is not None and len(fixed) + len(chosen) != found:
            raise ConfigError(
                f"{self.name}: option 'bottoms' names {len(chosen)} after {', '.join(fixed)}, but the layer "
                f"has {_count(found, kind)}; give it {len(fixed) + len(chosen)} or change the option"
            )
        if not len(fixed) <= found <= len(names):
            few = len(fixed)
            allowed = str(few) if few == len(names) else f"{few} to {len(names)}"
            remedy = "add" if found < few else "take away"
            raise ConfigError(
                f"{self.name}: found {_count(found, kind)}, but it has {allowed}: "
                f"{', '.join(names) or 'none'}; {remedy} {kind}s in the prototxt ([x] may be left out)"
            )
        if chosen is None and kind == "bottom" and 0 < found - len(fixed) < len(optional):
            choices = " or ".join(f"'bottoms': ['{name}']" for name in optional)
            raise ConfigError(
                f"{self.name}: bottom {found} of {found} may be {' or '.join(optional)}; say which in "
                f"param_str: {choices}"
            )
        return fixed + list(chosen if chosen is not None else optional[: found - len(fixed)])

    def _check_in_place(self, bottom: Blobs, top: Blobs) -> None:
        for i in range(min(len(bottom), len(top))):
            # At set-up only a top that is a bottom too has a shape, and without one Caffe aborts on `data`.
            shared = top[i].count > 0 and top[i].data.ctypes.data == bottom[i].data.ctypes.data
            if shared and not (self.in_place and i == 0):
                raise ConfigError(
                    f"{self.name}: top {i + 1} is the same blob as bottom {i + 1}, and this layer does not "
                    f"work in place; give the top a name of its own"
                )


if embedded():
    _print_errors(Layer)


class LossLayer(Layer):
    """A loss: from what a term of it is to what Caffe wants, a scalar and the gradients it asks for.

    A subclass writes two methods:

    - `terms(bottom)` checks the bottoms and returns the shape of the terms, the outer index first, and which
      of them are ignored (bool of that shape, or None).
    - `values(bottom, factor, gradients)` returns the terms' values, of that shape. Where gradients[i] is an
      array it writes there the derivative by bottom i, each term's multiplied by its `factor` (a float or an
      array of the terms' shape).

    Both take the blobs' arrays from `data(blob)` and compute with `xp`, so that they run on the GPU where Caffe
    does and CuPy is installed.

    differentiable: the bottoms, by place, that have a gradient. Others get zeros where `force_backward: true`
        asks for one, but for sample_weight, whose gradient is there for any loss.
    one_factor_a_sample: with one weight a sample the loss takes a `factor` of shape (N, 1, ...), so that it need not
        be repeated for every term.

    In TRAIN a forward prepares the gradients that the last backward was asked for, straight in the bottoms'
    diffs, which takes a tenth less time than a buffer of our own. Caffe writes nothing there in between: a blob
    with two consumers is split, and each branch has its own diff. Backward then only multiplies by the loss
    weight. In TEST, or a second time, or where a script has written into the diff, it computes the gradient anew.
    """

    tops: ClassVar[Sequence[str]] = ("loss",)
    differentiable: ClassVar[Sequence[int]] = (0,)

    def terms(self, bottom: Blobs) -> Tuple[Tuple[int, ...], Optional[Array]]:
        raise NotImplementedError(f"{self.name} has no terms")

    def values(self, bottom: Blobs, factor: Any, gradients: List[Optional[Array]]) -> Array:
        raise NotImplementedError(f"{self.name} has no values")

    def reduction(self, shape: Tuple[int, ...], weights: Optional[Array], ignored: Optional[Array]) -> Reduction:
        options = self.options
        return Reduction(shape, weights, ignored, options.normalization, options.normalize_by, buffer=self.buffer)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._asked: List[int] = []  # bottoms whose gradient the last backward was asked for
        self._prepared: Dict[int, bytes] = {}  # those whose diff holds it now, and a sample of it
        self._loss_weight_seen = False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape()

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self.compute(bottom, top)

    def compute(self, bottom: Blobs, top: Blobs) -> None:
        """What forward does, where the arrays are; a subclass with more tops extends it."""
        shape, ignored = self.terms(bottom)
        self._reduction = self.reduction(shape, self.weights(bottom, shape), ignored)
        prepare = self._asked if self.training else []
        gradients = self._gradients(bottom, prepare)
        self._values = self.values(bottom, self._reduction.factor, gradients)
        self._loss = self._reduction.loss(self._values)
        top[0].data[...] = self._loss
        self._prepared = {i: _sample(gradients[i]) for i in prepare}
        if self.training and not self._loss_weight_seen:
            self._loss_weight_seen = True
            if not top[0].diff.any():
                log.warning(
                    f"{self.name}: its loss_weight is 0, as that of any Python layer without one in the "
                    f"prototxt: nothing will learn from it, unless another layer takes this loss. Add "
                    f"loss_weight: 1 to the layer, and loss_weight: 0 for a second top"
                )

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.device.of(bottom[0]):
            self._differentiate(top, propagate_down, bottom)

    def _differentiate(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        loss_weight = float(top[0].diff)
        asked = [i for i in self.differentiable if propagate_down[i]]
        missing = [i for i in asked if not self._is_prepared(i, self.diff(bottom[i]))]
        if missing:
            self.values(bottom, self._reduction.factor * loss_weight, self._gradients(bottom, missing))
        if loss_weight != 1:
            for i in asked:
                if i not in missing:
                    self.diff(bottom[i])[...] *= loss_weight
        for i in range(len(bottom)):
            if propagate_down[i] and i not in self.differentiable:
                diff = self.diff(bottom[i]).reshape(-1)
                diff[...] = self.weight_gradient(diff.size) * loss_weight if self.given[i] == "sample_weight" else 0
        self._asked = asked
        self._prepared = {}

    def weight_gradient(self, size: int) -> Array:
        """dL/dw, flat, for `size` weights: one a term, or one a sample."""
        return self._reduction.weight_gradient(self._values, self._loss, size)

    def _is_prepared(self, i: int, diff: Array) -> bool:
        sample = self._prepared.get(i, b"")
        # One of zeros, of either sign, does not tell.
        return sample.strip(b"\0\x80") != b"" and sample == _sample(diff)

    def _gradients(self, bottom: Blobs, which: Sequence[int]) -> List[Optional[Array]]:
        return [self.diff(bottom[i]) if i in which else None for i in range(len(bottom))]


def _sample(diff: Array) -> bytes:
    """A few numbers of a diff, which tell whether anyone, such as a script that zeroes diffs, wrote there."""
    sample: bytes = diff.reshape(-1)[:: diff.size // 64 + 1].tobytes()
    return sample


def place(blob: Any, at: int) -> str:
    """Where the element number `at` of a blob is, in words."""
    index = tuple(int(i) for i in np.unravel_index(at, tuple(blob.shape)))
    return f"sample {at}" if blob.count == blob.shape[0] else f"index {index}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _ensure_handler() -> None:
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("caffe_pylayers: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
