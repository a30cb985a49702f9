"""A student that learns what a teacher gives."""

import math
from typing import Sequence

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.layers.adapter import Blobs, log
from caffe_pylayers.layers.class_losses import ScoresLoss
from caffe_pylayers.layers.loss_layer import Terms, Wanted
from caffe_pylayers.losses.distillation import distillation
from caffe_pylayers.losses.reduction import Array


class KnowledgeDistillation(ScoresLoss):
    """A student's softmax shall be its teacher's: sum of w_e KL(q_e to p_e) / Z, p, q = softmax of the scores / T (Hinton et al. 2015).

    bottoms: student, teacher, float32 scores of one shape with the K classes along `axis`; label, one per position, for `ignore_label`
        alone; sample_weight, at least 0, one per position or one per sample. Of three bottoms the option `bottoms` says which the last
        is; with `ignore_label` it is the label.
    tops: loss, a scalar.
    errors: ConfigError for shapes that do not fit, an axis that is not there, or an option `bottoms` that is missing; DataError for a
        weight that is negative or not finite.
    The gradient by the student is T (p - q), which is T^2 times that of the value, so that it does not fade as T grows; with `scale_loss`
    the value is T^2 times as large too. The teacher gets no gradient.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if "label" in self.bottom_names and self.options.ignore_label is None:
            log.warning(
                "%s: its labels have no effect without 'ignore_label'; for a loss on labels add WeightedSoftmaxLoss",
                self.name,
            )

    def terms(self, inputs: Sequence[Array]) -> Terms:
        student, teacher = self.scores(inputs), self.like_scores(inputs[0], inputs[1], "teacher")
        shape, label = (len(student), *student.shape[2:]), self.bottom(inputs, "label")
        ignored = None
        if label is not None:
            if label.size != math.prod(shape):
                raise ConfigError(
                    f"{label.size} labels for scores of shape {inputs[0].shape}",
                    remedy=f"expected {math.prod(shape)}, one for each position, with the classes along axis {self.options.axis}",
                    layer=self.name,
                )
            ignored = label.reshape(shape) == self.options.ignore_label
        return Terms(shape, ignored, (student, teacher))

    def values(self, terms: Terms, wanted: Wanted) -> Array:
        student, teacher = terms.of
        temperature = self.options.temperature
        gradient, _ = self.planes(wanted)
        square = temperature**2 if self.options.scale_loss else 1
        values = distillation(student, teacher, temperature, wanted.factor, gradient, self.buffer)
        values *= square
        return values
