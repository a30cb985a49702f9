"""Inner products of embeddings with a vector for each class, which may have a margin at the label."""

from typing import ClassVar, Optional, Sequence, Tuple

from caffe_pylayers.embeddings.class_vectors import (
    at_labels,
    copies_of,
    inverse_lengths,
    lengths,
    products,
    products_gradient,
    sum_by_class,
)
from caffe_pylayers.embeddings.margin_products import entries_of_fork, label_entries
from caffe_pylayers.features.l2_normalize import unit_vectors, unit_vectors_gradient
from caffe_pylayers.layers.adapter import Blobs, Layer
from caffe_pylayers.layers.class_vectors import add_vectors, as_rows, check_size, labels_of
from caffe_pylayers.layers.frozen import counter, warn_of_repeated
from caffe_pylayers.losses.blocks import row_blocks
from caffe_pylayers.losses.reduction import Array


class _ClassProducts(Layer):
    """What the layers with a vector for each class share."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        options = self.options
        add_vectors(self, bottom, options.num_output * getattr(options, "sub_centers", 1), options.weight_filler)
        self._taken = False  # until the first forward

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        check_size(self, bottom)
        top[0].reshape(bottom[0].shape[0], self.options.num_output)


class NormalizedInnerProduct(_ClassProducts):
    """The cosine of x and of a learned vector for each class.

    bottoms: x, float32 (N, ...), flattened to (N, D).
    tops: cos, (N, K). A zero vector has the cosine 0, and no gradient.
    errors: ConfigError for an x without samples or numbers, or whose size changes.
    The vectors are the layer's blob, (K, D). With `sub_centers` S it is (K S, D), those of a class one after the other, and the top is
    the largest cosine of each class (Deng et al. 2020). With `normalize_x: false` the top is the product of x and unit vectors.
    """

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            self._take(bottom)
            out = self.data(top[0])
            if self.options.sub_centers == 1:
                products(self._x, self.data(self.blobs[0]), self._inverse, out)
            else:
                self._largest(self._cosines_of_all(), out)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.device.of(bottom[0]) if self._taken else self.on_device(bottom[0]):
            if not self._taken:
                self._take(bottom)
            slopes, vectors = self.diff(top[0]), self.data(self.blobs[0])
            if self.options.sub_centers > 1:
                slopes = self._slopes_of_all(slopes)
            gradient = as_rows(self.diff(bottom[0])) if propagate_down[0] else None
            products_gradient(
                self._x,
                vectors,
                self._inverse,
                copies_of(slopes),
                gradient,
                self.diff(self.blobs[0]),
                self.buffer,
            )
            if gradient is not None and self.options.normalize_x:
                scratch = self.buffer("scratch", gradient.shape)
                unit_vectors_gradient(gradient, self._x, self._x_inverse, (1,), scratch, gradient)

    def _take(self, bottom: Blobs) -> None:
        """x, of length 1 if it shall be, and the lengths of the vectors."""
        x = as_rows(self.read(bottom[0]))
        if self.options.normalize_x:
            x, self._x_inverse = unit_vectors(x, (1,), 0.0, self.buffer("unit", x.shape))
        self._x, self._inverse, self._taken = x, inverse_lengths(self.data(self.blobs[0])), True

    def _cosines_of_all(self) -> Array:
        """The cosines of all vectors, (N, K, sub_centers)."""
        num_samples, count = len(self._x), self.options.sub_centers
        every = self.buffer("every", (num_samples, self.options.num_output * count))
        products(self._x, self.data(self.blobs[0]), self._inverse, every)
        return every.reshape(num_samples, self.options.num_output, count)

    def _slopes_of_all(self, slopes: Array) -> Array:
        """The slopes of all vectors, (N, K sub_centers): the first with the largest cosine of a class has that of the class."""
        every = self._cosines_of_all()
        as_matrix = every.reshape(len(every), every.shape[1] * every.shape[2])
        for rows in row_blocks(as_matrix):
            cosines, of_class = every[rows], slopes[rows]
            largest = self._largest(cosines, self.xp.empty_like(of_class))
            left = self.xp.ones(of_class.shape, bool)  # where none was the largest so far
            for each in range(every.shape[2]):
                chosen = left & (cosines[:, :, each] == largest)
                left &= ~chosen
                self.xp.multiply(chosen, of_class, out=cosines[:, :, each])
        return as_matrix

    def _largest(self, cosines: Array, out: Array) -> Array:
        """The largest cosine of each class in `out`, one vector after the other: over few neighbours max takes NumPy five times as long."""
        out[...] = cosines[:, :, 0]
        for each in range(1, cosines.shape[2]):
            self.xp.maximum(out, cosines[:, :, each], out=out)
        return out


class _AngularMargin(_ClassProducts):
    """Products with an angular margin at the label in TRAIN, of which lambda leaves less and less away."""

    #: Whether the vectors count as unit vectors.
    of_unit_vectors: ClassVar[bool] = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._forwards = counter(self, order=self.name)
        if self.options.counts_iterations():
            warn_of_repeated(self, "lambdas")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if len(top) > 1:
            top[1].reshape(1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with self.on_device(bottom[0]):
            out = self.data(top[0])
            self._take(bottom, out)
            if self._has_margin:
                out[self._places()] = self._entries.values
        if len(top) > 1:
            top[1].data[...] = self._mixed
        if self.training:
            self._forwards.write(self._forwards.read() + 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        with self.device.of(bottom[0]) if self._taken else self.on_device(bottom[0]):
            slopes = self.diff(top[0])
            if not self._taken:
                self._take(bottom, self.buffer("products", slopes.shape))
            by_x = as_rows(self.diff(bottom[0])) if propagate_down[0] else None
            self._differentiate(slopes, as_rows(self.read(bottom[0])), by_x)
            if propagate_down[1]:
                self.diff(bottom[1])[...] = 0

    def _take(self, bottom: Blobs, out: Array) -> None:
        """Write the products without a margin into `out`, and find what the margin makes of those at the labels."""
        self._taken, self._mixed = False, self._lambda()
        x, vectors = as_rows(self.read(bottom[0])), self.data(self.blobs[0])
        self._inverse = inverse_lengths(vectors)
        products(x, vectors, self._inverse if self.of_unit_vectors else None, out)
        if self._has_margin:
            self._look(self.read(bottom[1]), x, out)
        self._taken = True

    def _look(self, label: Array, x: Array, out: Array) -> None:
        """What the margin makes of the products at the labels."""
        options = self.options
        self._labels, ignored = labels_of(self, label, x, options.num_output)
        self._x_inverse = inverse = inverse_lengths(x)
        if not self.of_unit_vectors:
            inverse = inverse * self._inverse[self._labels]
        entries_of = entries_of_fork if self._as_fork else label_entries
        self._entries = entries_of(out[self._places()], inverse, options.factor, self._mixed, ignored)

    def _differentiate(self, slopes: Array, x: Array, by_x: Optional[Array]) -> None:
        def with_margin(block: slice, out: Array) -> None:
            out[...] = slopes[:, block]
            if self._has_margin:
                rows, columns = at_labels(self._labels, block)
                out[rows, columns] *= self._entries.slopes[rows]

        vectors, by_vectors = self.data(self.blobs[0]), self.diff(self.blobs[0])
        inverse = self._inverse if self.of_unit_vectors else None
        along = self._along(slopes) if self._has_margin else (None, None)
        if self._as_fork:
            products_gradient(x, vectors, None, copies_of(slopes), None, by_vectors, self.buffer)
            by_vectors = None
        products_gradient(x, vectors, inverse, with_margin, by_x, by_vectors, self.buffer, along)

    def _along(self, slopes: Array) -> Tuple[Array, Optional[Array]]:
        """The multiples of each x and of each vector that are in their gradients besides."""
        rest = slopes[self._places()] * self._entries.rest
        if self.of_unit_vectors:
            return rest * self._x_inverse, None
        inverse = self._inverse[self._labels]
        of_vectors = sum_by_class(rest * inverse * lengths(self._x_inverse), self._labels, len(self._inverse))
        return rest * self._x_inverse * lengths(inverse), of_vectors.astype(rest.dtype)

    def _lambda(self) -> float:
        """How much of the product at the label is left as it is; in TEST without `resume`, what it comes to."""
        options = self.options
        if not (self.training or options.resume):
            return float(options.lambda_min)
        iteration = options.iteration + self._forwards.read() // options.iter_size + 1
        return float(max(options.base * (1 + options.gamma * iteration) ** -options.power, options.lambda_min))

    def _places(self) -> Tuple[Array, Array]:
        """Rows and columns of the labels."""
        return self.xp.arange(len(self._labels)), self._labels

    @property
    def _has_margin(self) -> bool:
        return self.training and self.options.factor > 1

    @property
    def _as_fork(self) -> bool:
        return getattr(self.options, "gradient", "true") == "fork"


class MarginInnerProduct(_AngularMargin):
    """SphereFace: the product of x and the unit vector of each class, in TRAIN with an angular margin at the label (Liu et al. 2017).

    bottoms: x, float32 (N, ...), flattened to (N, D); label, one per sample, integers in 0 .. K-1, or `ignore_label`, which leaves
        the row as it is.
    tops: scores, (N, K); lambda, (1,).
    errors: ConfigError for an x without samples or numbers, or whose size changes, and for another number of labels; DataError for a
        label that is not an integer in range; with `resume` ConfigError for a blob of the iteration that the solver has changed.
    At the label it is (|x| psi + lambda x.w) / (1 + lambda), psi = (-1)^k cos(m t) - 2 k, k = floor(m t / pi), for the angle t, and m
    of the option `type`. lambda is `base` (1 + `gamma` i)^-`power`, at least `lambda_min`, in iteration i, which starts at 1. An iteration
    is `iter_size` TRAIN forwards. The vectors are the layer's first blob, (K, D); they keep their lengths, which do not count.
    """


class LargeMarginInnerProduct(_AngularMargin):
    """L-Softmax: the product of x and the vector of each class, in TRAIN with an angular margin at the label (Liu et al. 2016).

    bottoms: x and label, as in MarginInnerProduct.
    tops: scores, (N, K); lambda, (1,).
    errors: as those of MarginInnerProduct.
    At the label it is (|x| |w| psi + lambda x.w) / (1 + lambda), with psi and lambda as in MarginInnerProduct. The vectors are the
    layer's first blob, (K, D); their lengths count.
    """

    of_unit_vectors = False
