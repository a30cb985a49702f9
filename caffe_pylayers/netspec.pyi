"""The types of caffe_pylayers.netspec, made of the schemas by `python -m caffe_pylayers.descriptions.stub`."""

import os
from typing import Any, Literal, Sequence

from caffe.net_spec import Top

Path = str | os.PathLike[str]

__all__: list[str]

def ComputeH(
    *blobs: Top,
    n_classes: int,
    per: Literal["class", "label"] | None = None,
    rule: Literal["max_count", "balanced", "inverse_sqrt", "median_frequency", "effective_number"] = "max_count",
    beta: float = 0.999,
    weights: Sequence[float] | Path | None = None,
    scale: Literal["sum_one", "mean_one", "none"] = "sum_one",
    counts: Literal["batch", "running"] | Sequence[float] | Path = "batch",
    decay: float = 0.99,
    defer: int = 0,
    iter_size: int = 1,
    resume: bool = False,
    empty: Literal["zero", "error"] = "zero",
    ignore_label: int | None = None,
    smoothing: float = 0.0,
    source: Path | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """The matrix H of stock InfogainLoss with class weights on its diagonal.

    bottoms: label
    tops: H

    n_classes: Number of classes K, 1 to 16777216; labels are 0 to K - 1. With per label: number of labels L.
    per: What is balanced: the classes, if labels are class numbers (class), or the positive and negative targets of each of several labels, 1 and 0, -1 for not known (label); none: class, but targets are refused.
    rule: Weight of a class with n of all N samples: max(n)/n (max_count), N/(K n) (balanced), sqrt(max(n)/n) (inverse_sqrt), median(f)/f, where f is its part of the labels in the images with it (median_frequency), or (1-beta)/(1-beta^n), scaled to a sum of K (effective_number). K is the number of classes with samples.
    beta: beta of effective_number, above 0 and below 1.
    weights: Weights given by hand: K numbers of at least 0, or a .npy or text file with them; per label: L numbers for positives, negatives have 1.
    scale: Scale of the weights: a sum of 1 (sum_one), a mean of 1 over the samples counted (mean_one), or no scaling (none, the default for weights given by hand).
    counts: Label counts: of each batch (batch), of all batches so far (running), or K counts as a list, a .npy or a text file (median_frequency needs K more: for each class, all labels in the images with it; per label: L positives, then L negatives).
    decay: Factor of the running counts before each batch is added, above 0 and below 1.
    defer: Iterations, at least 0, in which all classes get the mean weight (deferred re-weighting).
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    empty: What a class without samples gives: weight 0 (zero) or an error.
    ignore_label: Label that is left out, an integer; none: no label is.
    smoothing: Label smoothing e, from 0 to below 1: H = diag(w) ((1-e) I + e/K 11').
    source: File of a K x K matrix M, .binaryproto or .npy, for H = diag(w) M; none: M is made from `smoothing`.
    """

def SampleWeight(
    *blobs: Top,
    n_classes: int,
    per: Literal["class", "label"] | None = None,
    rule: Literal["max_count", "balanced", "inverse_sqrt", "median_frequency", "effective_number"] = "max_count",
    beta: float = 0.999,
    weights: Sequence[float] | Path | None = None,
    scale: Literal["sum_one", "mean_one", "none"] = "sum_one",
    counts: Literal["batch", "running"] | Sequence[float] | Path = "batch",
    decay: float = 0.99,
    defer: int = 0,
    iter_size: int = 1,
    resume: bool = False,
    empty: Literal["zero", "error"] = "zero",
    ignore_label: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """A weight for each label, from how often the labels occur.

    bottoms: label
    tops: weights

    n_classes: Number of classes K, 1 to 16777216; labels are 0 to K - 1. With per label: number of labels L.
    per: What is balanced: the classes, if labels are class numbers (class), or the positive and negative targets of each of several labels, 1 and 0, -1 for not known (label); none: class, but targets are refused.
    rule: Weight of a class with n of all N samples: max(n)/n (max_count), N/(K n) (balanced), sqrt(max(n)/n) (inverse_sqrt), median(f)/f, where f is its part of the labels in the images with it (median_frequency), or (1-beta)/(1-beta^n), scaled to a sum of K (effective_number). K is the number of classes with samples.
    beta: beta of effective_number, above 0 and below 1.
    weights: Weights given by hand: K numbers of at least 0, or a .npy or text file with them; per label: L numbers for positives, negatives have 1.
    scale: Scale of the weights: a sum of 1 (sum_one), a mean of 1 over the samples counted (mean_one), or no scaling (none, the default for weights given by hand).
    counts: Label counts: of each batch (batch), of all batches so far (running), or K counts as a list, a .npy or a text file (median_frequency needs K more: for each class, all labels in the images with it; per label: L positives, then L negatives).
    decay: Factor of the running counts before each batch is added, above 0 and below 1.
    defer: Iterations, at least 0, in which all classes get the mean weight (deferred re-weighting).
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    empty: What a class without samples gives: weight 0 (zero) or an error.
    ignore_label: Label that is left out, an integer; none: no label is.
    """

def WeightedSoftmaxLoss(
    *blobs: Top,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    axis: int = 1,
    class_weights: Sequence[float] | Path | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Stock SoftmaxWithLoss with sample weights.

    bottoms: scores, label [, sample_weight]
    tops: loss [, prob]

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    class_weights: Weight of each class, which multiplies the sample weight: K numbers of at least 0, or a .npy or text file with them.
    """

def WeightedInfogainLoss(
    *blobs: Top,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    axis: int = 1,
    source: Path | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Stock InfogainLoss with sample weights.

    bottoms: scores, label, H [, sample_weight]
    tops: loss [, prob]
    with 'source': ...: scores, label [, sample_weight] -> loss [, prob]

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    source: File of the matrix H, K x K, .binaryproto or .npy; none: H is the third bottom.
    """

def WeightedSigmoidCrossEntropyLoss(
    *blobs: Top,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    pos_weight: float | Sequence[float] | Path | None = None,
    ignore_nan: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Stock SigmoidCrossEntropyLoss with sample weights.

    bottoms: scores, target [, sample_weight]
    tops: loss

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    pos_weight: Factor of the loss of positives: one number of at least 0, or one per label (axis 1), or a .npy or text file with them; none: 1.
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    """

def WeightedEuclideanLoss(
    *blobs: Top,
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    ignore_nan: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Stock EuclideanLoss with sample weights.

    bottoms: prediction, target [, sample_weight]
    tops: loss

    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    """

def WeightedHingeLoss(
    *blobs: Top,
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    norm: Literal["L1", "L2"] = "L1",
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Stock HingeLoss with sample weights.

    bottoms: scores, label [, sample_weight]
    tops: loss

    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    norm: The hinges (L1) or their squares (L2) are added up.
    """

def WeightedContrastiveLoss(
    *blobs: Top,
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    margin: float = 1.0,
    legacy_version: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Stock ContrastiveLoss with sample weights.

    bottoms: feature, feature_p, sim [, sample_weight]
    tops: loss

    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    margin: Margin, at least 0: samples of different classes at this distance or farther have no loss.
    legacy_version: Use max(0, margin - d^2) for samples of different classes in place of max(0, margin - d)^2, as Caffe once did.
    """

def WeightedMultinomialLogisticLoss(
    *blobs: Top,
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Stock MultinomialLogisticLoss with sample weights.

    bottoms: prob, label [, sample_weight]
    tops: loss

    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    """

def SoftCrossEntropyLoss(
    *blobs: Top,
    axis: int = 1,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Softmax loss on soft labels: a distribution over the classes for each position.

    bottoms: scores, distribution [, sample_weight]
    tops: loss [, prob]

    axis: Axis of the classes in the scores, an integer; -1 is the last.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    """

def FocalLoss(
    *blobs: Top,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    axis: int = 1,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | Path | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Focal loss: a softmax loss in which labels that are already right count less.

    bottoms: scores, label [, sample_weight]
    tops: loss

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    gamma: Exponent of (1 - p), at least 0; 0 is the softmax loss.
    alpha: Factor of the loss: one number of at least 0, or K of them, one per class, or a .npy or text file with them; none: 1.
    """

def LDAMLoss(
    *blobs: Top,
    counts: Sequence[float] | Path,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    axis: int = 1,
    max_margin: float = 0.5,
    scale: float = 1.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Softmax loss with a margin for each class; rarer classes have wider margins.

    bottoms: scores, label [, sample_weight]
    tops: loss

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    counts: Number of labels of each class in the data: a list of K numbers of at least 0, or a .npy or text file with them.
    max_margin: Margin of the rarest class, above 0.
    scale: Factor of the scores after the margin, above 0; 30 for cosines.
    """

def KnowledgeDistillation(
    *blobs: Top,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    bottoms: Sequence[Literal["label", "sample_weight"]] | None = None,
    axis: int = 1,
    temperature: float = 1.0,
    scale_loss: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Distillation: the softmax of a student shall be that of its teacher, both at a temperature.

    bottoms: student, teacher [, label] [, sample_weight]
    tops: loss

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    bottoms: List of the bottoms after the teacher: label, sample_weight.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    temperature: What both scores are divided by, above 0.
    scale_loss: Multiply the value by temperature^2 too; the gradient has this factor anyway.
    """

def SmoothL1Loss(
    *blobs: Top,
    bottoms: Sequence[Literal["inside_weight", "outside_weight", "sample_weight"]] | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    ignore_nan: bool = False,
    keep: dict[str, Any] | None = None,
    sigma: float = 1.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Smooth L1 loss: squares of small differences, sizes of large ones.

    bottoms: prediction, target [, inside_weight] [, outside_weight] [, sample_weight]
    tops: loss

    bottoms: List of the bottoms after the target: inside_weight, outside_weight, sample_weight.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    sigma: Differences below 1 / sigma^2 count by their squares; a number above 0.
    """

def L1Loss(
    *blobs: Top,
    bottoms: Sequence[Literal["inside_weight", "outside_weight", "sample_weight"]] | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    ignore_nan: bool = False,
    keep: dict[str, Any] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """The sizes of the differences.

    bottoms: prediction, target [, inside_weight] [, outside_weight] [, sample_weight]
    tops: loss

    bottoms: List of the bottoms after the target: inside_weight, outside_weight, sample_weight.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    """

def HuberLoss(
    *blobs: Top,
    bottoms: Sequence[Literal["inside_weight", "outside_weight", "sample_weight"]] | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    ignore_nan: bool = False,
    keep: dict[str, Any] | None = None,
    delta: float = 1.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Huber's loss: squares of differences below delta, sizes of others.

    bottoms: prediction, target [, inside_weight] [, outside_weight] [, sample_weight]
    tops: loss

    bottoms: List of the bottoms after the target: inside_weight, outside_weight, sample_weight.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    delta: Differences below it count by their squares; a number above 0.
    """

def WingLoss(
    *blobs: Top,
    bottoms: Sequence[Literal["inside_weight", "outside_weight", "sample_weight"]] | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    ignore_nan: bool = False,
    keep: dict[str, Any] | None = None,
    w: float = 10.0,
    epsilon: float = 2.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Wing loss, for landmarks: small differences count more than in L1Loss.

    bottoms: prediction, target [, inside_weight] [, outside_weight] [, sample_weight]
    tops: loss

    bottoms: List of the bottoms after the target: inside_weight, outside_weight, sample_weight.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    ignore_nan: Targets that are NaN are missing values, and left out; false: an error.
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    w: Differences below it count by a logarithm; a number above 0.
    epsilon: How the logarithm bends, a number above 0: less bends more.
    """

def BalancedSigmoidCrossEntropyLoss(
    *blobs: Top,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Sigmoid loss in which the zeros and the ones of each image count alike, for edges and other rare pixels.

    bottoms: scores, target [, sample_weight]
    tops: loss

    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    """

def DiceLoss(
    *blobs: Top,
    type: Literal["dice", "tversky", "jaccard"] = "dice",
    over: Literal["batch", "sample", "class"] = "batch",
    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid",
    axis: int = 1,
    alpha: float = 0.5,
    beta: float = 0.5,
    epsilon: float = 1e-06,
    ignore_label: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Dice, Tversky and Jaccard losses: how far predicted regions miss the true ones.

    bottoms: scores, target [, sample_weight]
    tops: loss

    type: Which overlap is measured.
    over: What a region is: the whole batch, each sample, or each class; the loss is the mean over regions.
    activation: What makes probabilities of the scores; none: they are from 0 to 1 already. For labels the default is softmax.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    alpha: Tversky: what a false positive counts, at least 0.
    beta: Tversky: what a false negative counts, at least 0.
    epsilon: Small number, above 0, added above and below the fraction.
    ignore_label: Label that is left out, an integer; none: no label is.
    """

def TripletLoss(
    *blobs: Top,
    distance: Literal["squared", "euclidean"] = "squared",
    margin: float = 0.2,
    soft: bool = False,
    average: Literal["all", "active"] = "all",
    bottoms: Sequence[Literal["margin", "sample_weight"]] | None = None,
    keep: dict[str, Any] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Triplet loss: an anchor nearer to its positive than to its negative, by a margin.

    bottoms: anchor, positive, negative [, margin] [, sample_weight]
    tops: loss [, stats]

    distance: Distance of embeddings: squared Euclidean (squared) or Euclidean.
    margin: Margin, at least 0; a margin bottom multiplies it.
    soft: Use log(1 + exp(d_ap - d_an)), without a margin, in place of the hinge.
    average: Triplets to average over: all there are, or those with a loss (active).
    bottoms: List of the bottoms after the negative: margin, sample_weight.
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    """

def BatchTripletLoss(
    *blobs: Top,
    distance: Literal["squared", "euclidean"] = "squared",
    margin: float = 0.2,
    soft: bool = False,
    average: Literal["all", "active"] = "all",
    mining: Literal["all", "semihard", "hard", "distance", "given"] = "all",
    cutoff: float = 0.5,
    nonzero_loss_cutoff: float = 1.4,
    seed: int = 0,
    stream: int = 0,
    iter_size: int = 1,
    resume: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Triplet loss on the triplets that are mined in the batch.

    bottoms: embedding, label [, sample_weight]
    tops: loss [, stats]
    with 'mining': 'given': embedding, triplets [, sample_weight] -> loss [, stats]

    distance: Distance of embeddings: squared Euclidean (squared) or Euclidean.
    margin: Margin, at least 0; a margin bottom multiplies it.
    soft: Use log(1 + exp(d_ap - d_an)), without a margin, in place of the hinge.
    average: Triplets to average over: all there are, or those with a loss (active).
    mining: Triplets of a batch: every one (all), the nearest negative beyond each positive (semihard), the farthest positive and nearest negative (hard), a negative drawn by its distance (distance), or those of a bottom with rows of (anchor, positive, negative) in place of the label (given).
    cutoff: Distance mining: negatives nearer than this Euclidean distance, above 0, are all equally likely.
    nonzero_loss_cutoff: Distance mining: negatives at this Euclidean distance, above 0, or farther are not drawn.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    """

def BatchPairLoss(
    *blobs: Top,
    type: Literal["contrastive", "ntxent", "supcon", "multi_similarity", "circle", "lifted", "margin"],
    average: Literal["all", "positive"] | None = None,
    ignore_label: int | None = None,
    mining: Literal["all", "easy", "hard", "semihard", "distance", "multi_similarity", "pair_margin"] = "all",
    memory: int = 0,
    temperature: float | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    base: float | None = None,
    margin: float | None = None,
    scale: float | None = None,
    pos_margin: float | None = None,
    neg_margin: float | None = None,
    epsilon: float = 0.1,
    pair_margins: Sequence[float] = [0.2, 0.8],
    cutoff: float = 0.5,
    nonzero_loss_cutoff: float = 1.4,
    normalize_x: bool = True,
    seed: int = 0,
    stream: int = 0,
    iter_size: int = 1,
    resume: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Losses on all pairs of a batch, or of a batch and a memory: contrastive, NT-Xent, SupCon, multi-similarity, circle, lifted, margin.

    bottoms: embedding, label [, sample_weight]
    tops: loss [, stats]

    average: Terms that the mean is over: all there are, or those above 0 (positive); none: all for ntxent, multi_similarity and lifted, positive for the other types.
    ignore_label: Label that is left out, an integer; none: no label is.
    type: What a pair costs.
    mining: Pairs that count: all; of each anchor the farthest positive and the nearest negative (hard), the nearest of both (easy), or the nearest positive and the nearest negative beyond it (semihard); negatives drawn by distance; those that are harder than the easiest of the other kind (multi_similarity); those within two margins (pair_margin).
    memory: Compare the batch with so many embeddings of the last batches; 0: with itself. Needs `param { lr_mult: 0 decay_mult: 0 }` three times.
    temperature: ntxent, supcon: what cosines are divided by, above 0; none: 0.07 for ntxent, 0.1 for supcon.
    alpha: multi_similarity: factor of the cosines of positives, above 0; none: 2.
    beta: multi_similarity: factor of the cosines of negatives, above 0; none: 50. margin: distance between positives and negatives; none: 1.2.
    base: multi_similarity: cosine that both are compared with; none: 0.5.
    margin: circle: how far cosines shall be from 1 and 0, at most 1; none: 0.4. margin: how far distances shall be from `beta`; none: 0.2.
    scale: circle: factor of its exponents, above 0; none: 80.
    pos_margin: contrastive: positives at this distance or nearer have no loss; none: 0.
    neg_margin: contrastive: negatives at this distance or farther have no loss; none: 1. lifted: margin of negatives; none: 1.
    epsilon: Multi-similarity mining: cosine by which a pair may be easier, at least 0.
    pair_margins: Pair-margin mining: positives farther than the first distance count, and negatives nearer than the second.
    cutoff: Distance mining: negatives nearer than this Euclidean distance, above 0, are all equally likely.
    nonzero_loss_cutoff: Distance mining: negatives at this Euclidean distance, above 0, or farther are not drawn.
    normalize_x: Divide x by its norm; false: x is taken as it is.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    """

def LiftedStructSimilaritySoftmaxLoss(
    *blobs: Top,
    average: Literal["all", "positive"] = "all",
    ignore_label: int | None = None,
    margin: float = 1.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Lifted structured loss on embeddings as they are, of any length.

    bottoms: embedding, label [, sample_weight]
    tops: loss

    average: Pairs of one class that the mean is over: all, or those with a loss (positive).
    ignore_label: Label that is left out, an integer; none: no label is.
    margin: Margin of the distances of negatives, at least 0.
    """

def MarginSoftmaxLoss(
    *blobs: Top,
    num_output: int,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    weight_filler: dict[str, Any] | None = None,
    type: Literal["arcface", "cosface", "combined", "sphereface"] = "arcface",
    margin: float | None = None,
    m1: float = 1.0,
    m2: float = 0.3,
    m3: float = 0.2,
    scale: float | None = None,
    normalize_x: bool = True,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Softmax loss on cosines with a margin at the label: ArcFace, CosFace, SphereFace.

    bottoms: x, label [, sample_weight]
    tops: loss [, scores]

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    num_output: Number of classes, at least 1.
    weight_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    weight_filler.type: Filler of Caffe.
    weight_filler.value: Number of constant.
    weight_filler.min: Smallest number of uniform, any number up to max.
    weight_filler.max: Largest number of uniform, any number from min on.
    weight_filler.mean: Mean of gaussian.
    weight_filler.std: Standard deviation of gaussian, above 0.
    weight_filler.variance_norm: Count that xavier and msra divide the variance by.
    type: Where the margin is: added to the angle, taken off the cosine, both, or a factor of the angle.
    margin: The margin: degrees from 0 to 180 for arcface (none: 28.6), a cosine for cosface (none: 0.35), a factor of the angle, 1 to 4, for sphereface (none: 4).
    m1: combined: factor of the angle, above 0.
    m2: combined: radians that are added to the angle, at least 0.
    m3: combined: number that is taken off the cosine, at least 0.
    scale: Factor of the cosines after the margin, above 0; none: 64, for sphereface 1.
    normalize_x: Divide x by its norm; false: x is taken as it is.
    """

def CenterLoss(
    *blobs: Top,
    num_output: int,
    ignore_label: int | None = None,
    normalize: bool | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    normalize_by: Literal["weight", "count"] = "weight",
    keep: dict[str, Any] | None = None,
    center_filler: dict[str, Any] | None = None,
    distance: Literal["squared", "l1"] = "squared",
    update: Literal["fork", "gradient"] = "fork",
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Distances of embeddings from the centres of their classes, which are learned.

    bottoms: x, label [, sample_weight]
    tops: loss

    ignore_label: Label that is left out, an integer; none: no label is.
    normalize: Stock's older normalization: true is VALID, false BATCH_SIZE.
    normalization: Divisor of the sum: the weights of all terms (FULL), of the terms not ignored (VALID), of all terms divided by the terms per sample (BATCH_SIZE), or 1 (NONE); stock's numbers 0 to 3 mean the same four.
    normalize_by: What a term adds to the divisor of the sum: its weight, or 1 (count).
    keep: Hard examples only: the terms of the batch with the highest values, before weights; the others count as ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms.
    keep.top_k: So many terms of the batch, those with the highest values.
    keep.fraction: This part of the terms that are not ignored, rounded up; above 0, at most 1.
    keep.threshold: The terms with a value above this number.
    keep.min_kept: With `threshold`: at least so many terms, if there are so many.
    num_output: Number of classes, at least 1.
    center_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    center_filler.type: Filler of Caffe.
    center_filler.value: Number of constant.
    center_filler.min: Smallest number of uniform, any number up to max.
    center_filler.max: Largest number of uniform, any number from min on.
    center_filler.mean: Mean of gaussian.
    center_filler.std: Standard deviation of gaussian, above 0.
    center_filler.variance_norm: Count that xavier and msra divide the variance by.
    distance: Half the squared Euclidean distance, or the sum of the absolute differences (l1).
    update: What the solver moves a centre by: the sum of its differences divided by their number and 1 more, whatever loss_weight is (fork), or the derivative of the loss (gradient).
    """

def ProxyLoss(
    *blobs: Top,
    num_output: int,
    type: Literal["proxy_nca", "proxy_anchor", "normalized_softmax", "soft_triple"],
    weight_filler: dict[str, Any] | None = None,
    scale: float = 1.0,
    margin: float | None = None,
    alpha: float = 32.0,
    temperature: float = 0.05,
    sub_centers: int = 10,
    la: float = 20.0,
    gamma: float = 0.1,
    tau: float = 0.0,
    normalize_x: bool = True,
    ignore_label: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Embeddings against learned proxies of the classes: Proxy-NCA, Proxy-Anchor, normalized softmax, SoftTriple.

    bottoms: embedding, label [, sample_weight]
    tops: loss

    num_output: Number of classes, at least 1.
    weight_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    weight_filler.type: Filler of Caffe.
    weight_filler.value: Number of constant.
    weight_filler.min: Smallest number of uniform, any number up to max.
    weight_filler.max: Largest number of uniform, any number from min on.
    weight_filler.mean: Mean of gaussian.
    weight_filler.std: Standard deviation of gaussian, above 0.
    weight_filler.variance_norm: Count that xavier and msra divide the variance by.
    type: Which loss it is.
    scale: proxy_nca: factor of the squared distances, above 0.
    margin: proxy_anchor: what is added to the cosines of other classes and taken off those of the class, from 0 to 2 (none: 0.1); soft_triple: what is taken off the likeness of the class (none: 0.01).
    alpha: proxy_anchor: factor of the cosines, above 0.
    temperature: normalized_softmax: divisor of the cosines, above 0.
    sub_centers: soft_triple: vectors per class, at least 1.
    la: soft_triple: factor of the likeness of a class, above 0.
    gamma: soft_triple: how far the farther vectors of a class count, above 0.
    tau: soft_triple: weight, at least 0, of the distances between the vectors of a class, which draws them together.
    normalize_x: Divide x by its norm; false: x is taken as it is.
    ignore_label: Label that is left out, an integer; none: no label is.
    """

def NormalizedInnerProduct(
    *blobs: Top,
    num_output: int,
    weight_filler: dict[str, Any] | None = None,
    sub_centers: int = 1,
    normalize_x: bool = True,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Cosines of embeddings and the vectors of classes.

    bottoms: x
    tops: cos

    num_output: Number of classes, at least 1.
    weight_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    weight_filler.type: Filler of Caffe.
    weight_filler.value: Number of constant.
    weight_filler.min: Smallest number of uniform, any number up to max.
    weight_filler.max: Largest number of uniform, any number from min on.
    weight_filler.mean: Mean of gaussian.
    weight_filler.std: Standard deviation of gaussian, above 0.
    weight_filler.variance_norm: Count that xavier and msra divide the variance by.
    sub_centers: Vectors per class, at least 1; the largest of their cosines is that of the class.
    normalize_x: Divide x by its norm; false: x is taken as it is.
    """

def MarginInnerProduct(
    *blobs: Top,
    num_output: int,
    weight_filler: dict[str, Any] | None = None,
    type: Literal["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"] = "SINGLE",
    base: float = 1000.0,
    gamma: float = 0.12,
    power: float = 1.0,
    lambda_min: float = 5.0,
    iteration: int = 0,
    ignore_label: int | None = None,
    iter_size: int = 1,
    resume: bool = False,
    gradient: Literal["true", "fork"] = "true",
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """SphereFace: inner products with unit vectors of classes, with an angular margin at the label.

    bottoms: x, label
    tops: scores [, lambda]

    num_output: Number of classes, at least 1.
    weight_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    weight_filler.type: Filler of Caffe.
    weight_filler.value: Number of constant.
    weight_filler.min: Smallest number of uniform, any number up to max.
    weight_filler.max: Largest number of uniform, any number from min on.
    weight_filler.mean: Mean of gaussian.
    weight_filler.std: Standard deviation of gaussian, above 0.
    weight_filler.variance_norm: Count that xavier and msra divide the variance by.
    type: What the angle at the label is multiplied by: 1 (no margin), 2, 3 or 4.
    base: lambda before the first iteration, at least 0.
    gamma: How fast lambda falls, at least 0; 0: it stays.
    power: Exponent of its fall, at least 0.
    lambda_min: What lambda does not fall below, at least 0.
    iteration: Iterations, at least 0, that count as done before the first one.
    ignore_label: Label that is left out, an integer; none: no label is.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    gradient: The derivative (true), or what the layer of SphereFace has (fork): a part of length 1 for the margin in that of x, and none for the margin and the length in that of the vectors.
    """

def LargeMarginInnerProduct(
    *blobs: Top,
    num_output: int,
    weight_filler: dict[str, Any] | None = None,
    type: Literal["SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE"] = "SINGLE",
    base: float = 1000.0,
    gamma: float = 2.5e-05,
    power: float = 35.0,
    lambda_min: float = 0.0,
    iteration: int = 0,
    ignore_label: int | None = None,
    iter_size: int = 1,
    resume: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """L-Softmax: inner products with vectors of classes, with an angular margin at the label.

    bottoms: x, label
    tops: scores [, lambda]

    num_output: Number of classes, at least 1.
    weight_filler: What the vectors of the classes begin with; none: {'type': 'xavier'}.
    weight_filler.type: Filler of Caffe.
    weight_filler.value: Number of constant.
    weight_filler.min: Smallest number of uniform, any number up to max.
    weight_filler.max: Largest number of uniform, any number from min on.
    weight_filler.mean: Mean of gaussian.
    weight_filler.std: Standard deviation of gaussian, above 0.
    weight_filler.variance_norm: Count that xavier and msra divide the variance by.
    type: What the angle at the label is multiplied by: 1 (no margin), 2, 3 or 4.
    base: lambda before the first iteration, at least 0.
    gamma: How fast lambda falls, at least 0; 0: it stays.
    power: Exponent of its fall, at least 0.
    lambda_min: What lambda does not fall below, at least 0.
    iteration: Iterations, at least 0, that count as done before the first one.
    ignore_label: Label that is left out, an integer; none: no label is.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    """

def LabelSpecificAdd(
    *blobs: Top,
    ignore_label: int | None = None,
    bias: float = -0.35,
    where: Literal["fork", "everywhere"] = "fork",
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """AM-Softmax: a bias on the cosine of the label.

    bottoms: cos, label
    tops: cos

    ignore_label: Label that is left out, an integer; none: no label is.
    bias: Number that is added to the cosine of the label; below 0 it is a margin.
    where: Which cosines it is added to: those above -bias (fork), or all (everywhere).
    """

def CosinAddm(
    *blobs: Top,
    ignore_label: int | None = None,
    m: float = 0.5,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """ArcFace: an angle that is added to that of the label.

    bottoms: cos, label
    tops: cos

    ignore_label: Label that is left out, an integer; none: no label is.
    m: Margin in radians, from 0 to pi.
    """

def CombinedMargin(
    *blobs: Top,
    ignore_label: int | None = None,
    m1: float = 1.0,
    m2: float = 0.3,
    m3: float = 0.2,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Three margins at the label: cos(m1 t + m2) - m3.

    bottoms: cos, label
    tops: cos

    ignore_label: Label that is left out, an integer; none: no label is.
    m1: Factor of the angle, above 0.
    m2: Radians that are added to the angle, at least 0.
    m3: Number that is taken off the cosine, at least 0.
    """

def WeightedAccuracy(
    *blobs: Top,
    top_k: int = 1,
    axis: int = 1,
    ignore_label: int | None = None,
    balanced: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Stock Accuracy with sample weights, optionally balanced over the classes.

    bottoms: scores, label [, sample_weight]
    tops: accuracy [, per_class]

    top_k: A label is right if its score is among the top_k highest; at least 1.
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    ignore_label: Label that is left out, an integer; none: no label is.
    balanced: Mean recall of the classes instead of the part of all labels that is right.
    """

def Metrics(
    *blobs: Top,
    of: Sequence[Literal["pixel_accuracy", "mean_recall", "mean_iou", "precision", "recall", "f1", "average_precision", "auc"]],
    average: Literal["macro", "micro"] = "macro",
    axis: int = 1,
    ignore_label: int | None = None,
    restart_every: int = 1,
    output: Literal["whole", "running"] = "whole",
    max_scores: int = 10000000,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Metrics of a whole test pass: accuracy, recall, IoU, precision, F1, average precision, AUC, confusion matrix.

    bottoms: scores, label [, sample_weight]
    tops: metrics [, confusion]

    of: The metrics, one per number of the top, in this order.
    average: Precision, recall and f1: the mean over the classes (macro), or one number of all labels (micro).
    axis: Axis of the classes in the scores, an integer; -1 is the last.
    ignore_label: Label that is left out, an integer; none: no label is.
    restart_every: Batches of a test pass, at least 1: the solver's test_iter. TRAIN: each batch by itself.
    output: Numbers whose mean over the pass is the metric of the whole pass, for Caffe to print (whole), or the metric of the batches so far (running).
    max_scores: Average precision and auc keep the scores of a pass: at most so many numbers, at least 1.
    """

def SegAccuracy(
    *blobs: Top,
    ignore_label: int | Sequence[int] | None = None,
    reset: bool = True,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """SegAccuracy of DeepLab's Caffe: pixel accuracy, mean recall and mean IoU of each batch.

    bottoms: scores, label
    tops: accuracy

    ignore_label: Label that is left out, an integer, or a list of several; none: no label is.
    reset: Each batch by itself; false: all batches since the net was set up.
    """

def LabelNoise(
    *blobs: Top,
    distribution: Literal["uniform", "gaussian", "flip"],
    low: float | None = None,
    high: float | None = None,
    std: float | None = None,
    probability: float | None = None,
    n_classes: int | None = None,
    one_hot: bool = False,
    clip: Sequence[float] | None = None,
    ignore_label: int | None = None,
    seed: int = 0,
    stream: int = 0,
    iter_size: int = 1,
    resume: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Random noise on labels, in TRAIN.

    bottoms: label
    tops: label

    distribution: Noise: uniform from low to high, gaussian around 0, or labels drawn again (flip).
    low: Smallest uniform noise, any number up to high.
    high: Largest uniform noise, any number from low on.
    std: Standard deviation of the gaussian noise, above 0.
    probability: Part of the labels, from 0 to 1, that flip draws again from all n_classes (the true class too).
    n_classes: Number of classes K of flip and one_hot, 2 to 16777216; labels are 0 to K - 1.
    one_hot: Turn a label into a distribution over n_classes, 1 for its class, add the noise to each entry, clip it and divide by the sum.
    clip: Range [lo, hi] to clip noisy labels to; none: no clipping (one_hot: [0, 1]).
    ignore_label: Label that is left out, an integer; none: no label is.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    """

def LabelSmoothing(
    *blobs: Top,
    n_classes: int,
    smoothing: float = 0.1,
    over: Literal["all", "others"] = "all",
    ignore_label: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Labels as smoothed distributions over the classes, for SoftCrossEntropyLoss.

    bottoms: label
    tops: distribution

    n_classes: Number of classes K, 2 to 16777216; labels are 0 to K - 1.
    smoothing: Label smoothing e, from 0 to 1: the part that is taken from the true class.
    over: Classes that e is spread over: all, so that the true one has 1 - e + e/K (Szegedy et al. 2016), or the others, so that it has 1 - e and each of them e/(K-1) (Goodfellow et al. 2016).
    ignore_label: Label that is left out, an integer; none: no label is.
    """

def L2Normalize(
    *blobs: Top,
    axis: int = 1,
    across_spatial: bool = False,
    eps: float = 1e-10,
    scale: float | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Vectors divided by their Euclidean norm.

    bottoms: x
    tops: y

    axis: Axis that the vectors lie along, an integer; -1 is the last.
    across_spatial: One norm over the axis and all after it; false: one per position.
    eps: Small number, above 0, added to the sum of squares under the root.
    scale: Start value of a learned factor per channel; none: no factor.
    """

def Normalize(
    *blobs: Top,
    across_spatial: bool = True,
    channel_shared: bool = True,
    scale_filler: dict[str, Any] | None = None,
    eps: float = 1e-10,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """L2 normalization as in SSD, with a learned scale.

    bottoms: x
    tops: y

    across_spatial: One norm per sample; false: one per sample and position.
    channel_shared: One learned scale for all channels; false: one per channel.
    scale_filler: What the scale begins with; none: 1.
    scale_filler.type: Filler of Caffe.
    scale_filler.value: Number of constant.
    scale_filler.min: Smallest number of uniform, any number up to max.
    scale_filler.max: Largest number of uniform, any number from min on.
    scale_filler.mean: Mean of gaussian.
    scale_filler.std: Standard deviation of gaussian, above 0.
    scale_filler.variance_norm: Count that xavier and msra divide the variance by.
    eps: Small number, above 0, added to the sum of squares under the root.
    """

def Permute(
    *blobs: Top,
    order: Sequence[int],
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Axes in another order.

    bottoms: x
    tops: y

    order: Axes of x in the order of the top, integers from 0; those that are left out follow, in their order.
    """

def Axpy(
    *blobs: Top,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """A factor per channel on one blob, added to another.

    bottoms: scale, x, y
    tops: sum
    """

def ShuffleChannel(
    *blobs: Top,
    group: int = 1,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Channels of several groups, mixed.

    bottoms: x
    tops: y

    group: Number of groups, at least 1; it divides the number of channels.
    """

def GradientScaler(
    *blobs: Top,
    max_iter: int,
    lower_bound: float = 0.0,
    upper_bound: float = 1.0,
    alpha: float = 10.0,
    iter_size: int = 1,
    resume: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """A gradient that is reversed, more and more.

    bottoms: x
    tops: y

    lower_bound: Coefficient of the first iteration, any number up to upper_bound.
    upper_bound: Coefficient that is neared, any number from lower_bound on.
    alpha: How fast it goes from one to the other, at least 0.
    max_iter: Iterations, at least 1, after which the coefficient stays as it is.
    iter_size: The solver's iter_size, at least 1: forward passes per iteration.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    """

def PoolingND(
    *blobs: Top,
    pool: Literal["MAX", "AVE"] = "MAX",
    axis: int = 1,
    kernel_size: int | Sequence[int] | None = None,
    kernel_h: int | None = None,
    kernel_w: int | None = None,
    stride: int | Sequence[int] | None = None,
    stride_h: int | None = None,
    stride_w: int | None = None,
    pad: int | Sequence[int] | None = None,
    pad_h: int | None = None,
    pad_w: int | None = None,
    kstride: int | Sequence[int] = 1,
    global_pooling: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """The largest number or the mean of each window, over any trailing axes.

    bottoms: x
    tops: y [, mask]

    pool: What is taken of a window: its largest number or its mean.
    axis: Axis of the channels, an integer; all axes after it are pooled.
    kernel_size: Size of the window, at least 1: one for all pooled axes, or a list with one per axis.
    kernel_h: Size along the first of two pooled axes, at least 1.
    kernel_w: Size along the second of two pooled axes, at least 1.
    stride: From one window to the next, at least 1: one number, or a list with one per axis; none: 1.
    stride_h: Stride along the first of two pooled axes, at least 1.
    stride_w: Stride along the second of two pooled axes, at least 1.
    pad: Padding at both ends of an axis, from 0 and below the size of the window: one number, or a list with one per axis; none: 0.
    pad_h: Padding of the first of two pooled axes, from 0.
    pad_w: Padding of the second of two pooled axes, from 0.
    kstride: From one element of a window to the next, at least 1: one number, or a list with one per axis.
    global_pooling: One window, over all of the pooled axes.
    """

def ROIPooling(
    *blobs: Top,
    pooled_h: int,
    pooled_w: int,
    spatial_scale: float = 1.0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """The largest number of each bin of each region of interest, of Fast R-CNN.

    bottoms: x, rois
    tops: y

    pooled_h: Rows of bins per region, at least 1.
    pooled_w: Columns of bins per region, at least 1.
    spatial_scale: Factor from the coordinates of regions to those of x, above 0: 1 divided by the strides before x.
    """

def Interp(
    *blobs: Top,
    height: int | None = None,
    width: int | None = None,
    zoom_factor: int | None = None,
    shrink_factor: int | None = None,
    pad_beg: int = 0,
    pad_end: int = 0,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """Maps of another size by bilinear interpolation, with the corners aligned.

    bottoms: x [, like]
    tops: y

    height: Rows of y, at least 1.
    width: Columns of y, at least 1.
    zoom_factor: y has (rows - 1) * zoom_factor + 1 rows, and columns alike; an integer of at least 1.
    shrink_factor: y has (rows - 1) / shrink_factor + 1 rows, rounded down, and columns alike; at least 1.
    pad_beg: Minus how many rows and columns are cut off at the beginning, at most 0.
    pad_end: Minus how many rows and columns are cut off at the end, at most 0.
    """

def Upsample(
    *blobs: Top,
    scale: int | None = None,
    scale_h: int | None = None,
    scale_w: int | None = None,
    pad_out_h: bool = False,
    pad_out_w: bool = False,
    upsample_h: int | None = None,
    upsample_w: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Top:
    """The numbers of x in the places where stock Pooling found its maxima, and 0 elsewhere, of SegNet.

    bottoms: x, mask
    tops: y

    scale: Rows and columns of y per row and column of x, at least 2; none: 2.
    scale_h: Rows of y per row of x, at least 2.
    scale_w: Columns of y per column of x, at least 2.
    pad_out_h: One row less, where the layer that made the mask had an odd number of rows.
    pad_out_w: One column less, where that layer had an odd number of columns.
    upsample_h: Rows of y, at least 2.
    upsample_w: Columns of y, at least 2.
    """

def ImageDataLayer(
    *blobs: Top,
    source_type: Literal["CSV", "LMDB", "BCF", "HDF5"] | str = "CSV",
    source: Path | None = None,
    root: Path | None = None,
    header: bool = False,
    missing: Literal["error", "skip"] = "error",
    datasets: dict[str, Any] | None = None,
    bcf_mode: Literal["FILE", "MEM"] = "FILE",
    labels: str | Sequence[str] | None = None,
    label_format: Literal["indices", "indicator", "sign", "values"] = "indices",
    label_order: str | None = None,
    batch_size: int = 256,
    resize: int | Sequence[int] | dict[str, Any] | None = None,
    crop_size: int | Sequence[int] | None = None,
    mirror: bool = False,
    mean_file: Path | Sequence[float] | None = None,
    mean_value: float | Sequence[float] | None = None,
    scale: float = 1.0,
    color: bool | str = True,
    augment: dict[str, Any] | Literal["imagenet", "ssd"] | None = None,
    transform: str | None = None,
    decode: Literal["exact", "fast", "lenient", "fast_lenient"] = "exact",
    max_pixels: int = 268435456,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_limit: int | None = None,
    seed: int = 0,
    stream: int = 0,
    prefetch: bool | int = 0,
    workers: int = 1,
    timeout: float = 60.0,
    resume: bool = False,
    iter_size: int = 1,
    restart_every: int = 0,
    on_error: Literal["stop", "replace", "skip"] = "stop",
    sampler: str | None = None,
    compressed: bool = True,
    sample_weights: str | None = None,
    sources: Sequence[dict[str, Any]] | None = None,
    per_batch: Sequence[int] | None = None,
    domain: bool = False,
    shuffle: bool = False,
    type: Literal["ALL", "BALANCED", "PK"] = "ALL",
    crops: str | None = None,
    label_dim: int | None = None,
    points: Sequence[Sequence[int]] | None = None,
    flip_pairs: Sequence[Sequence[int]] | None = None,
    normalize_points: bool = False,
    outside: str | None = None,
    classes_per_batch: int | None = None,
    samples_per_class: int | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Labelled images.

    bottoms: none
    tops: data [, label] [, sample_weight]
    with 'domain': True: none -> data [, label] [, sample_weight], domain

    source_type: What the source is: a CSV file, an LMDB, a BCF file, HDF5, or a class of your own.
    source: Path of the CSV file, which lists images and labels, of the LMDB, of the BCF file, or of an .h5 file or a list of them. Required without `sources`.
    root: Folder before the names in a CSV file; none: the working directory.
    header: The first line of the CSV file names its columns (name, label, weight, others); false: no.
    missing: Files of a CSV that do not exist: an error, or left out and counted (skip).
    datasets: What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and name.
    datasets.data: The data set with the images; none: `data`.
    datasets.label: The data set with the labels; none: `label`, if there is one.
    datasets.sample_weight: The data set with the sample weights; none: `sample_weight`, if there is one.
    datasets.name: The data set with the names of the records; none: `name`, if there is one.
    bcf_mode: Read a BCF file where it lies (FILE), or all of it into memory (MEM).
    labels: Labels: a column of a CSV file with a header, or a list of its columns; a data set of HDF5; or an LMDB (by key), .npy or text file; none: those of the source.
    label_format: What a row of labels has: label numbers (indices); for each label 0, 1 or -1 for not known (indicator); for each label -1 for 0, or 1 (sign); or any numbers, nan for a missing one (values).
    label_order: For an LMDB whose keys are numbers without leading zeros (0, 1, 10, 2): rows of files and numbers in lists follow the order of the keys (key); none: they are an error.
    batch_size: Samples per batch, at least 1; a blob holds at most 2147483647 numbers.
    resize: Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is kept), or -1 (no resizing).
    resize.short: The shorter side, in pixels; the other is rounded down.
    resize.long: The longer side, in pixels; the other is rounded down.
    resize.pad: Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).
    crop_size: Size to cut out after resizing, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in TEST; 0 or none: no crop.
    mirror: Mirror an image left to right with probability 1/2 in TRAIN.
    mean_file: Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all channels, or with another number of channels one per channel, in their order.
    mean_value: Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in their order: [b, g, r].
    scale: Factor, any number, on the images after the mean is subtracted.
    color: Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy files too.
    augment: Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, 'imagenet' for {'resized_crop': {}, 'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4}, or 'ssd' for {'brightness': {'range': 0.125, 'p': 0.5}, 'contrast': {'range': 0.5, 'p': 0.5}, 'saturation': {'range': 0.5, 'p': 0.5}, 'hue': {'range': 0.1, 'p': 0.5}}.
    augment.brightness: Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.
    augment.brightness.p: Probability of the step, from 0 to 1.
    augment.brightness.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.contrast: Factor of the distance from the mean grey of the image: as `brightness`.
    augment.contrast.p: Probability of the step, from 0 to 1.
    augment.contrast.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.saturation: Factor of the distance from grey of each pixel: as `brightness`.
    augment.saturation.p: Probability of the step, from 0 to 1.
    augment.saturation.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.hue: Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.
    augment.hue.p: Probability of the step, from 0 to 1.
    augment.hue.range: n: from -n to n; or [lowest, highest].
    augment.gray: Probability with which an image becomes grey, with its channels equal.
    augment.resized_crop: A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} for its defaults.
    augment.resized_crop.p: Probability of the step, from 0 to 1.
    augment.resized_crop.area: Part of the area, [lowest, highest], above 0.
    augment.resized_crop.ratio: Width : height, [lowest, highest], above 0.
    augment.rotate: Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.
    augment.rotate.p: Probability of the step, from 0 to 1.
    augment.rotate.range: Degrees against the clock, n: from -n to n; or [lowest, highest].
    augment.scale: Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.
    augment.scale.p: Probability of the step, from 0 to 1.
    augment.scale.range: n: from 1 - n to 1 + n; or [lowest, highest].
    augment.translate: Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`.
    augment.translate.p: Probability of the step, from 0 to 1.
    augment.translate.range: n: from -n to n of the height, and of the width.
    augment.blur: A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.
    augment.blur.p: Probability of the step, from 0 to 1.
    augment.blur.sigma: Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50.
    augment.erase: A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults.
    augment.erase.p: Probability of the step, from 0 to 1.
    augment.erase.area: Part of the area, [lowest, highest], above 0.
    augment.erase.ratio: Width : height, [lowest, highest], above 0.
    augment.erase.value: What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).
    transform: Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels and map by name, and return (image, labels) or (image, map).
    decode: Decode JPEGs in full (exact), or scaled down by 2, 4 or 8 where they are that much larger than `resize` (fast). A JPEG that is cut short is an error, or is read as far as it goes, as stock ImageData reads it, and counted (lenient, fast_lenient).
    max_pixels: Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.
    cache: Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file beside the source or in the cache folder, for later runs too (disk); none: decode them each time.
    cache_limit: Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    prefetch: Batches that worker processes prepare ahead, at least 0; true is 3, false is 0.
    workers: Worker processes of prefetch, at least 1.
    timeout: Seconds, above 0, after which a silent worker is replaced.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    iter_size: The solver's iter_size, at least 1: batches per iteration.
    restart_every: Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.
    on_error: A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the next in the order (skip).
    sampler: Class of yours, 'module:Class', whose batch(number) says which records a batch has.
    compressed: Decode images when needed; false: all at the start, kept in memory.
    sample_weights: Sample weights: a column of a CSV file with a header, a data set of HDF5, or an LMDB (by key), .npy or text file; none: the column `weight`, the data set `sample_weight`.
    sources: Several sources in place of `source`: a list of dicts. What a dict leaves out it takes from the option of that name.
    sources[].weight: Share of the samples that are from it in TRAIN, above 0: its part of the sum of all weights; none: its part of the records.
    per_batch: Samples of each of `sources` in every batch, at least 1 each, one source after the other; none: by `weight`.
    domain: Feed the number of its source, from 0, of each sample in a last top `domain`, (B,).
    shuffle: A new random order each epoch of TRAIN; false: the source's order.
    type: Which samples a batch has: each once per epoch (ALL), all classes equally often (BALANCED), or several of each of several classes (PK).
    crops: In TEST ten crops of each image in the place of the centre: the corners, the centre, and the same mirrored (ten).
    label_dim: Number of labels with `multilabel`, at least 1; none: the largest label in the source plus 1. With `label_format: values`, the values that a record must have; none: as many as there are.
    points: Columns of the labels that are points, [x, y] each, in pixels of the stored image, with the centre of the first pixel at 0: they go where the pixels go; none: no label is a point.
    flip_pairs: Points, by their numbers in `points`, that change places where an image is mirrored, as the eyes do.
    normalize_points: Divide points by the width and the height of the image that is fed; false: they are in pixels.
    outside: What becomes of a point outside of the image that is fed: it is missing (nan), or keeps its number (none).
    classes_per_batch: Classes in a batch of type PK, at least 1.
    samples_per_class: Samples of each class in a batch of type PK.
    """

def MultiLabelDataLayer(
    *blobs: Top,
    source_type: Literal["CSV", "LMDB", "BCF", "HDF5"] | str = "CSV",
    source: Path | None = None,
    root: Path | None = None,
    header: bool = False,
    missing: Literal["error", "skip"] = "error",
    datasets: dict[str, Any] | None = None,
    bcf_mode: Literal["FILE", "MEM"] = "FILE",
    labels: str | Sequence[str] | None = None,
    label_format: Literal["indices", "indicator", "sign", "values"] = "indices",
    label_order: str | None = None,
    batch_size: int = 256,
    resize: int | Sequence[int] | dict[str, Any] | None = None,
    crop_size: int | Sequence[int] | None = None,
    mirror: bool = False,
    mean_file: Path | Sequence[float] | None = None,
    mean_value: float | Sequence[float] | None = None,
    scale: float = 1.0,
    color: bool | str = True,
    augment: dict[str, Any] | Literal["imagenet", "ssd"] | None = None,
    transform: str | None = None,
    decode: Literal["exact", "fast", "lenient", "fast_lenient"] = "exact",
    max_pixels: int = 268435456,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_limit: int | None = None,
    seed: int = 0,
    stream: int = 0,
    prefetch: bool | int = 0,
    workers: int = 1,
    timeout: float = 60.0,
    resume: bool = False,
    iter_size: int = 1,
    restart_every: int = 0,
    on_error: Literal["stop", "replace", "skip"] = "stop",
    sampler: str | None = None,
    compressed: bool = True,
    sample_weights: str | None = None,
    sources: Sequence[dict[str, Any]] | None = None,
    per_batch: Sequence[int] | None = None,
    domain: bool = False,
    shuffle: bool = False,
    type: Literal["ALL", "BALANCED", "PK"] = "ALL",
    crops: str | None = None,
    label_dim: int | None = None,
    points: Sequence[Sequence[int]] | None = None,
    flip_pairs: Sequence[Sequence[int]] | None = None,
    normalize_points: bool = False,
    outside: str | None = None,
    classes_per_batch: int | None = None,
    samples_per_class: int | None = None,
    multilabel: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Images with one label, or several, each.

    bottoms: none
    tops: data, label [, sample_weight]
    with 'domain': True: none -> data, label [, sample_weight], domain

    source_type: What the source is: a CSV file, an LMDB, a BCF file, HDF5, or a class of your own.
    source: Path of the CSV file, which lists images and labels, of the LMDB, of the BCF file, or of an .h5 file or a list of them. Required without `sources`.
    root: Folder before the names in a CSV file; none: the working directory.
    header: The first line of the CSV file names its columns (name, label, weight, others); false: no.
    missing: Files of a CSV that do not exist: an error, or left out and counted (skip).
    datasets: What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and name.
    datasets.data: The data set with the images; none: `data`.
    datasets.label: The data set with the labels; none: `label`, if there is one.
    datasets.sample_weight: The data set with the sample weights; none: `sample_weight`, if there is one.
    datasets.name: The data set with the names of the records; none: `name`, if there is one.
    bcf_mode: Read a BCF file where it lies (FILE), or all of it into memory (MEM).
    labels: Labels: a column of a CSV file with a header, or a list of its columns; a data set of HDF5; or an LMDB (by key), .npy or text file; none: those of the source.
    label_format: What a row of labels has: label numbers (indices); for each label 0, 1 or -1 for not known (indicator); for each label -1 for 0, or 1 (sign); or any numbers, nan for a missing one (values).
    label_order: For an LMDB whose keys are numbers without leading zeros (0, 1, 10, 2): rows of files and numbers in lists follow the order of the keys (key); none: they are an error.
    batch_size: Samples per batch, at least 1; a blob holds at most 2147483647 numbers.
    resize: Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is kept), or -1 (no resizing).
    resize.short: The shorter side, in pixels; the other is rounded down.
    resize.long: The longer side, in pixels; the other is rounded down.
    resize.pad: Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).
    crop_size: Size to cut out after resizing, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in TEST; 0 or none: no crop.
    mirror: Mirror an image left to right with probability 1/2 in TRAIN.
    mean_file: Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all channels, or with another number of channels one per channel, in their order.
    mean_value: Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in their order: [b, g, r].
    scale: Factor, any number, on the images after the mean is subtracted.
    color: Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy files too.
    augment: Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, 'imagenet' for {'resized_crop': {}, 'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4}, or 'ssd' for {'brightness': {'range': 0.125, 'p': 0.5}, 'contrast': {'range': 0.5, 'p': 0.5}, 'saturation': {'range': 0.5, 'p': 0.5}, 'hue': {'range': 0.1, 'p': 0.5}}.
    augment.brightness: Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.
    augment.brightness.p: Probability of the step, from 0 to 1.
    augment.brightness.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.contrast: Factor of the distance from the mean grey of the image: as `brightness`.
    augment.contrast.p: Probability of the step, from 0 to 1.
    augment.contrast.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.saturation: Factor of the distance from grey of each pixel: as `brightness`.
    augment.saturation.p: Probability of the step, from 0 to 1.
    augment.saturation.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.hue: Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.
    augment.hue.p: Probability of the step, from 0 to 1.
    augment.hue.range: n: from -n to n; or [lowest, highest].
    augment.gray: Probability with which an image becomes grey, with its channels equal.
    augment.resized_crop: A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} for its defaults.
    augment.resized_crop.p: Probability of the step, from 0 to 1.
    augment.resized_crop.area: Part of the area, [lowest, highest], above 0.
    augment.resized_crop.ratio: Width : height, [lowest, highest], above 0.
    augment.rotate: Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.
    augment.rotate.p: Probability of the step, from 0 to 1.
    augment.rotate.range: Degrees against the clock, n: from -n to n; or [lowest, highest].
    augment.scale: Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.
    augment.scale.p: Probability of the step, from 0 to 1.
    augment.scale.range: n: from 1 - n to 1 + n; or [lowest, highest].
    augment.translate: Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`.
    augment.translate.p: Probability of the step, from 0 to 1.
    augment.translate.range: n: from -n to n of the height, and of the width.
    augment.blur: A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.
    augment.blur.p: Probability of the step, from 0 to 1.
    augment.blur.sigma: Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50.
    augment.erase: A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults.
    augment.erase.p: Probability of the step, from 0 to 1.
    augment.erase.area: Part of the area, [lowest, highest], above 0.
    augment.erase.ratio: Width : height, [lowest, highest], above 0.
    augment.erase.value: What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).
    transform: Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels and map by name, and return (image, labels) or (image, map).
    decode: Decode JPEGs in full (exact), or scaled down by 2, 4 or 8 where they are that much larger than `resize` (fast). A JPEG that is cut short is an error, or is read as far as it goes, as stock ImageData reads it, and counted (lenient, fast_lenient).
    max_pixels: Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.
    cache: Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file beside the source or in the cache folder, for later runs too (disk); none: decode them each time.
    cache_limit: Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    prefetch: Batches that worker processes prepare ahead, at least 0; true is 3, false is 0.
    workers: Worker processes of prefetch, at least 1.
    timeout: Seconds, above 0, after which a silent worker is replaced.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    iter_size: The solver's iter_size, at least 1: batches per iteration.
    restart_every: Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.
    on_error: A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the next in the order (skip).
    sampler: Class of yours, 'module:Class', whose batch(number) says which records a batch has.
    compressed: Decode images when needed; false: all at the start, kept in memory.
    sample_weights: Sample weights: a column of a CSV file with a header, a data set of HDF5, or an LMDB (by key), .npy or text file; none: the column `weight`, the data set `sample_weight`.
    sources: Several sources in place of `source`: a list of dicts. What a dict leaves out it takes from the option of that name.
    sources[].weight: Share of the samples that are from it in TRAIN, above 0: its part of the sum of all weights; none: its part of the records.
    per_batch: Samples of each of `sources` in every batch, at least 1 each, one source after the other; none: by `weight`.
    domain: Feed the number of its source, from 0, of each sample in a last top `domain`, (B,).
    shuffle: A new random order each epoch of TRAIN; false: the source's order.
    type: Which samples a batch has: each once per epoch (ALL), all classes equally often (BALANCED), or several of each of several classes (PK).
    crops: In TEST ten crops of each image in the place of the centre: the corners, the centre, and the same mirrored (ten).
    label_dim: Number of labels with `multilabel`, at least 1; none: the largest label in the source plus 1. With `label_format: values`, the values that a record must have; none: as many as there are.
    points: Columns of the labels that are points, [x, y] each, in pixels of the stored image, with the centre of the first pixel at 0: they go where the pixels go; none: no label is a point.
    flip_pairs: Points, by their numbers in `points`, that change places where an image is mirrored, as the eyes do.
    normalize_points: Divide points by the width and the height of the image that is fed; false: they are in pixels.
    outside: What becomes of a point outside of the image that is fed: it is missing (nan), or keeps its number (none).
    classes_per_batch: Classes in a batch of type PK, at least 1.
    samples_per_class: Samples of each class in a batch of type PK.
    multilabel: Several labels per image, as 0 and 1 for each of them; false: one label.
    """

def ImageMapDataLayer(
    *blobs: Top,
    source: Path,
    source_type: Literal["CSV", "LMDB", "HDF5"] = "CSV",
    root: Path | None = None,
    header: bool = False,
    missing: Literal["error", "skip"] = "error",
    datasets: dict[str, Any] | None = None,
    batch_size: int = 256,
    resize: int | Sequence[int] | dict[str, Any] | None = None,
    crop_size: int | Sequence[int] | None = None,
    mirror: bool = False,
    mean_file: Path | Sequence[float] | None = None,
    mean_value: float | Sequence[float] | None = None,
    scale: float = 1.0,
    color: bool | str = True,
    augment: dict[str, Any] | Literal["imagenet", "ssd"] | None = None,
    transform: str | None = None,
    decode: Literal["exact", "lenient"] = "exact",
    max_pixels: int = 268435456,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_limit: int | None = None,
    seed: int = 0,
    stream: int = 0,
    prefetch: bool | int = 0,
    workers: int = 1,
    timeout: float = 60.0,
    resume: bool = False,
    iter_size: int = 1,
    restart_every: int = 0,
    on_error: Literal["stop", "replace", "skip"] = "stop",
    sampler: str | None = None,
    maps: Path | None = None,
    weights: bool | Path = False,
    map_type: Literal["labels", "values"] = "labels",
    label_map: dict[Any, int] | None = None,
    pad_label: int = 255,
    shuffle: bool = False,
    scales: Sequence[float] | None = None,
    like: Literal["ImageSegData", "DenseImageData"] | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Images, each with a map of the same size: a label, or a value, for each pixel.

    bottoms: none
    tops: data, label [, data_dim]
    with 'weights': True or ...: none -> data, label, sample_weight [, data_dim]

    source_type: What the source is: a CSV file, an LMDB, or HDF5.
    source: Path of the CSV file, which has an image, its map and, with `weights`, the weights of its pixels on each line; of the LMDB of images; or of an .h5 file or a list of them, with data sets data and label.
    root: Folder before the names in a CSV file; none: the working directory.
    header: The first line of the CSV file names its columns: name, map, weights, others; false: no.
    missing: Files of a CSV that do not exist: an error, or left out and counted (skip).
    datasets: What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and name.
    datasets.data: The data set with the images; none: `data`.
    datasets.label: The data set with the labels; none: `label`, if there is one.
    datasets.sample_weight: The data set with the sample weights; none: `sample_weight`, if there is one.
    datasets.name: The data set with the names of the records; none: `name`, if there is one.
    batch_size: Samples per batch, at least 1; a blob holds at most 2147483647 numbers.
    resize: Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is kept), or -1 (no resizing).
    resize.short: The shorter side, in pixels; the other is rounded down.
    resize.long: The longer side, in pixels; the other is rounded down.
    resize.pad: Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).
    crop_size: Size to cut out after resizing and scaling, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in TEST. An image that is smaller is padded with the mean at the bottom and the right. 0 or none: no crop.
    mirror: Mirror an image left to right with probability 1/2 in TRAIN.
    mean_file: Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all channels, or with another number of channels one per channel, in their order.
    mean_value: Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in their order: [b, g, r].
    scale: Factor, any number, on the images after the mean is subtracted.
    color: Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy files too.
    augment: Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, 'imagenet' for {'resized_crop': {}, 'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4}, or 'ssd' for {'brightness': {'range': 0.125, 'p': 0.5}, 'contrast': {'range': 0.5, 'p': 0.5}, 'saturation': {'range': 0.5, 'p': 0.5}, 'hue': {'range': 0.1, 'p': 0.5}}.
    augment.brightness: Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.
    augment.brightness.p: Probability of the step, from 0 to 1.
    augment.brightness.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.contrast: Factor of the distance from the mean grey of the image: as `brightness`.
    augment.contrast.p: Probability of the step, from 0 to 1.
    augment.contrast.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.saturation: Factor of the distance from grey of each pixel: as `brightness`.
    augment.saturation.p: Probability of the step, from 0 to 1.
    augment.saturation.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.hue: Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.
    augment.hue.p: Probability of the step, from 0 to 1.
    augment.hue.range: n: from -n to n; or [lowest, highest].
    augment.gray: Probability with which an image becomes grey, with its channels equal.
    augment.resized_crop: A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} for its defaults.
    augment.resized_crop.p: Probability of the step, from 0 to 1.
    augment.resized_crop.area: Part of the area, [lowest, highest], above 0.
    augment.resized_crop.ratio: Width : height, [lowest, highest], above 0.
    augment.rotate: Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.
    augment.rotate.p: Probability of the step, from 0 to 1.
    augment.rotate.range: Degrees against the clock, n: from -n to n; or [lowest, highest].
    augment.scale: Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.
    augment.scale.p: Probability of the step, from 0 to 1.
    augment.scale.range: n: from 1 - n to 1 + n; or [lowest, highest].
    augment.translate: Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`.
    augment.translate.p: Probability of the step, from 0 to 1.
    augment.translate.range: n: from -n to n of the height, and of the width.
    augment.blur: A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.
    augment.blur.p: Probability of the step, from 0 to 1.
    augment.blur.sigma: Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50.
    augment.erase: A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults.
    augment.erase.p: Probability of the step, from 0 to 1.
    augment.erase.area: Part of the area, [lowest, highest], above 0.
    augment.erase.ratio: Width : height, [lowest, highest], above 0.
    augment.erase.value: What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).
    transform: Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels and map by name, and return (image, labels) or (image, map).
    decode: A JPEG that is cut short is an error (exact), or is read as far as it goes, as stock ImageData reads it, and counted (lenient).
    max_pixels: Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.
    cache: Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file beside the source or in the cache folder, for later runs too (disk); none: decode them each time.
    cache_limit: Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    prefetch: Batches that worker processes prepare ahead, at least 0; true is 3, false is 0.
    workers: Worker processes of prefetch, at least 1.
    timeout: Seconds, above 0, after which a silent worker is replaced.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    iter_size: The solver's iter_size, at least 1: batches per iteration.
    restart_every: Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.
    on_error: A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the next in the order (skip).
    sampler: Class of yours, 'module:Class', whose batch(number) says which records a batch has.
    maps: The LMDB of maps, with the keys of the images; only for LMDB.
    weights: Feed a weight for each pixel, in a top sample_weight: from the third column of a CSV file, or the data set sample_weight of HDF5 (true), or from an LMDB (its path). Padding has 0.
    map_type: What a map has: integers, which are never mixed (labels), or any numbers, bilinear where the size changes, nan for a missing one (values).
    label_map: Other numbers for labels, {'old': new}, such as {'0': 255}; those that are not named stay.
    pad_label: What the map has around the image, where that is padded; values have nan there unless it is given.
    shuffle: A new random order each epoch of TRAIN; false: the source's order.
    scales: Factors, above 0: in TRAIN the size is multiplied by one of them, drawn for each image.
    like: Do as a layer of a fork does: of DeepLab and PSPNet (ImageSegData), or of SegNet, which crops and mirrors at random in TEST too (DenseImageData). Both round the nearest pixel down.
    """

def SiameseDataLayer(
    *blobs: Top,
    source: Path,
    source_type: Literal["CSV", "LMDB", "BCF", "HDF5"] | str = "CSV",
    root: Path | None = None,
    header: bool = False,
    missing: Literal["error", "skip"] = "error",
    datasets: dict[str, Any] | None = None,
    bcf_mode: Literal["FILE", "MEM"] = "FILE",
    labels: str | Sequence[str] | None = None,
    label_format: Literal["indices", "indicator", "sign", "values"] = "indices",
    label_order: str | None = None,
    batch_size: int = 256,
    resize: int | Sequence[int] | dict[str, Any] | None = None,
    crop_size: int | Sequence[int] | None = None,
    mirror: bool = False,
    mean_file: Path | Sequence[float] | None = None,
    mean_value: float | Sequence[float] | None = None,
    scale: float = 1.0,
    color: bool | str = True,
    augment: dict[str, Any] | Literal["imagenet", "ssd"] | None = None,
    transform: str | None = None,
    decode: Literal["exact", "fast", "lenient", "fast_lenient"] = "exact",
    max_pixels: int = 268435456,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_limit: int | None = None,
    seed: int = 0,
    stream: int = 0,
    prefetch: bool | int = 0,
    workers: int = 1,
    timeout: float = 60.0,
    resume: bool = False,
    iter_size: int = 1,
    restart_every: int = 0,
    on_error: Literal["stop", "replace", "skip"] = "stop",
    sampler: str | None = None,
    compressed: bool = True,
    shuffle: bool = False,
    k: int = 10,
    n: int = 0,
    m: Path | None = None,
    names: Literal["number", "key"] = "number",
    unlabelled: Literal["drop", "negative"] = "drop",
    stacked: bool = False,
    type: Literal["RANDOM", "RANDOM_MULTILABEL", "HARD"] = "RANDOM",
    pairs: Path | None = None,
    graded: bool = False,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Pairs of images, of one class and of two, in turn.

    bottoms: none
    tops: data, data_p, sim [, label] [, label_p]
    with 'stacked': True: none -> data, sim [, label]

    source_type: What the source is: a CSV file, an LMDB, a BCF file, HDF5, or a class of your own.
    source: Path of the CSV file, which lists images and labels, of the LMDB, of the BCF file, or of an .h5 file or a list of them.
    root: Folder before the names in a CSV file; none: the working directory.
    header: The first line of the CSV file names its columns (name, label, weight, others); false: no.
    missing: Files of a CSV that do not exist: an error, or left out and counted (skip).
    datasets: What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and name.
    datasets.data: The data set with the images; none: `data`.
    datasets.label: The data set with the labels; none: `label`, if there is one.
    datasets.sample_weight: The data set with the sample weights; none: `sample_weight`, if there is one.
    datasets.name: The data set with the names of the records; none: `name`, if there is one.
    bcf_mode: Read a BCF file where it lies (FILE), or all of it into memory (MEM).
    labels: Labels: a column of a CSV file with a header, or a list of its columns; a data set of HDF5; or an LMDB (by key), .npy or text file; none: those of the source.
    label_format: What a row of labels has: label numbers (indices); for each label 0, 1 or -1 for not known (indicator); for each label -1 for 0, or 1 (sign); or any numbers, nan for a missing one (values).
    label_order: For an LMDB whose keys are numbers without leading zeros (0, 1, 10, 2): rows of files and numbers in lists follow the order of the keys (key); none: they are an error.
    batch_size: Samples per batch, at least 1; a blob holds at most 2147483647 numbers.
    resize: Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is kept), or -1 (no resizing).
    resize.short: The shorter side, in pixels; the other is rounded down.
    resize.long: The longer side, in pixels; the other is rounded down.
    resize.pad: Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).
    crop_size: Size to cut out after resizing, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in TEST; 0 or none: no crop.
    mirror: Mirror an image left to right with probability 1/2 in TRAIN.
    mean_file: Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all channels, or with another number of channels one per channel, in their order.
    mean_value: Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in their order: [b, g, r].
    scale: Factor, any number, on the images after the mean is subtracted.
    color: Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy files too.
    augment: Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, 'imagenet' for {'resized_crop': {}, 'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4}, or 'ssd' for {'brightness': {'range': 0.125, 'p': 0.5}, 'contrast': {'range': 0.5, 'p': 0.5}, 'saturation': {'range': 0.5, 'p': 0.5}, 'hue': {'range': 0.1, 'p': 0.5}}.
    augment.brightness: Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.
    augment.brightness.p: Probability of the step, from 0 to 1.
    augment.brightness.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.contrast: Factor of the distance from the mean grey of the image: as `brightness`.
    augment.contrast.p: Probability of the step, from 0 to 1.
    augment.contrast.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.saturation: Factor of the distance from grey of each pixel: as `brightness`.
    augment.saturation.p: Probability of the step, from 0 to 1.
    augment.saturation.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.hue: Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.
    augment.hue.p: Probability of the step, from 0 to 1.
    augment.hue.range: n: from -n to n; or [lowest, highest].
    augment.gray: Probability with which an image becomes grey, with its channels equal.
    augment.resized_crop: A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} for its defaults.
    augment.resized_crop.p: Probability of the step, from 0 to 1.
    augment.resized_crop.area: Part of the area, [lowest, highest], above 0.
    augment.resized_crop.ratio: Width : height, [lowest, highest], above 0.
    augment.rotate: Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.
    augment.rotate.p: Probability of the step, from 0 to 1.
    augment.rotate.range: Degrees against the clock, n: from -n to n; or [lowest, highest].
    augment.scale: Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.
    augment.scale.p: Probability of the step, from 0 to 1.
    augment.scale.range: n: from 1 - n to 1 + n; or [lowest, highest].
    augment.translate: Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`.
    augment.translate.p: Probability of the step, from 0 to 1.
    augment.translate.range: n: from -n to n of the height, and of the width.
    augment.blur: A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.
    augment.blur.p: Probability of the step, from 0 to 1.
    augment.blur.sigma: Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50.
    augment.erase: A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults.
    augment.erase.p: Probability of the step, from 0 to 1.
    augment.erase.area: Part of the area, [lowest, highest], above 0.
    augment.erase.ratio: Width : height, [lowest, highest], above 0.
    augment.erase.value: What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).
    transform: Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels and map by name, and return (image, labels) or (image, map).
    decode: Decode JPEGs in full (exact), or scaled down by 2, 4 or 8 where they are that much larger than `resize` (fast). A JPEG that is cut short is an error, or is read as far as it goes, as stock ImageData reads it, and counted (lenient, fast_lenient).
    max_pixels: Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.
    cache: Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file beside the source or in the cache folder, for later runs too (disk); none: decode them each time.
    cache_limit: Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    prefetch: Batches that worker processes prepare ahead, at least 0; true is 3, false is 0.
    workers: Worker processes of prefetch, at least 1.
    timeout: Seconds, above 0, after which a silent worker is replaced.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    iter_size: The solver's iter_size, at least 1: batches per iteration.
    restart_every: Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.
    on_error: A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the next in the order (skip).
    sampler: Class of yours, 'module:Class', whose batch(number) says which records a batch has.
    compressed: Decode images when needed; false: all at the start, kept in memory.
    shuffle: Accepted, but has no effect: TRAIN has a new random order each epoch.
    k: Negatives that the HARD types choose from, at least 1 and at most 10000: drawing 10000 takes 5 ms per sample.
    n: Iterations, at least 0, before the HARD types choose.
    m: File with similarities of images for HARD: a Python dict or JSON, a text table, or a scipy sparse .npz.
    names: How lists and similarities name a record: by its place in the source from 0 (number), or by file name or LMDB key (key).
    unlabelled: Records without labels (all their labels are negative): left out (drop), or used only as negatives (negative).
    stacked: All images in one top, one block after the other (anchors first); false: one top per block.
    type: How pairs are drawn: of one class or two (RANDOM), with a label in common or none (RANDOM_MULTILABEL), or RANDOM with negatives that are similar by `m` (HARD).
    pairs: Fixed list, a text file with two names and optionally 1 (same) or 0 per line; none: pairs are drawn.
    graded: The third column of `pairs` has any number from 0 to 1, which is sim; false: 1 (same) or 0.
    """

def TripletDataLayer(
    *blobs: Top,
    source: Path,
    source_type: Literal["CSV", "LMDB", "BCF", "HDF5"] | str = "CSV",
    root: Path | None = None,
    header: bool = False,
    missing: Literal["error", "skip"] = "error",
    datasets: dict[str, Any] | None = None,
    bcf_mode: Literal["FILE", "MEM"] = "FILE",
    labels: str | Sequence[str] | None = None,
    label_format: Literal["indices", "indicator", "sign", "values"] = "indices",
    label_order: str | None = None,
    batch_size: int = 256,
    resize: int | Sequence[int] | dict[str, Any] | None = None,
    crop_size: int | Sequence[int] | None = None,
    mirror: bool = False,
    mean_file: Path | Sequence[float] | None = None,
    mean_value: float | Sequence[float] | None = None,
    scale: float = 1.0,
    color: bool | str = True,
    augment: dict[str, Any] | Literal["imagenet", "ssd"] | None = None,
    transform: str | None = None,
    decode: Literal["exact", "fast", "lenient", "fast_lenient"] = "exact",
    max_pixels: int = 268435456,
    cache: Literal["none", "memory", "disk"] = "none",
    cache_limit: int | None = None,
    seed: int = 0,
    stream: int = 0,
    prefetch: bool | int = 0,
    workers: int = 1,
    timeout: float = 60.0,
    resume: bool = False,
    iter_size: int = 1,
    restart_every: int = 0,
    on_error: Literal["stop", "replace", "skip"] = "stop",
    sampler: str | None = None,
    compressed: bool = True,
    shuffle: bool = False,
    k: int = 10,
    n: int = 0,
    m: Path | None = None,
    names: Literal["number", "key"] = "number",
    unlabelled: Literal["drop", "negative"] = "drop",
    stacked: bool = False,
    type: Literal["RANDOM", "RANDOM_MULTILABEL", "HARD_MULTILABEL", "HARD"] = "RANDOM",
    triplets: Path | None = None,
    ntop: int | None = None,
    name: str | None = None,
    loss_weight: float | Sequence[float] | None = None,
    param: dict[str, Any] | list[dict[str, Any]] | None = None,
    include: dict[str, Any] | list[dict[str, Any]] | None = None,
    exclude: dict[str, Any] | list[dict[str, Any]] | None = None,
    propagate_down: Sequence[bool] | None = None,
    in_place: bool = False,
) -> Any:
    """Triplets of images: anchor, positive of its class, negative of another.

    bottoms: none
    tops: anchor, positive, negative [, margin]
    with 'stacked': True: none -> data [, label]
    with 'stacked': True, 'type': 'RANDOM_MULTILABEL' or 'HARD_MULTILABEL': none -> data [, margin] [, label]

    source_type: What the source is: a CSV file, an LMDB, a BCF file, HDF5, or a class of your own.
    source: Path of the CSV file, which lists images and labels, of the LMDB, of the BCF file, or of an .h5 file or a list of them.
    root: Folder before the names in a CSV file; none: the working directory.
    header: The first line of the CSV file names its columns (name, label, weight, others); false: no.
    missing: Files of a CSV that do not exist: an error, or left out and counted (skip).
    datasets: What the data sets of HDF5 are called, as in {'data': 'X', 'label': 'y'}; none: data, label, sample_weight and name.
    datasets.data: The data set with the images; none: `data`.
    datasets.label: The data set with the labels; none: `label`, if there is one.
    datasets.sample_weight: The data set with the sample weights; none: `sample_weight`, if there is one.
    datasets.name: The data set with the names of the records; none: `name`, if there is one.
    bcf_mode: Read a BCF file where it lies (FILE), or all of it into memory (MEM).
    labels: Labels: a column of a CSV file with a header, or a list of its columns; a data set of HDF5; or an LMDB (by key), .npy or text file; none: those of the source.
    label_format: What a row of labels has: label numbers (indices); for each label 0, 1 or -1 for not known (indicator); for each label -1 for 0, or 1 (sign); or any numbers, nan for a missing one (values).
    label_order: For an LMDB whose keys are numbers without leading zeros (0, 1, 10, 2): rows of files and numbers in lists follow the order of the keys (key); none: they are an error.
    batch_size: Samples per batch, at least 1; a blob holds at most 2147483647 numbers.
    resize: Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is kept), or -1 (no resizing).
    resize.short: The shorter side, in pixels; the other is rounded down.
    resize.long: The longer side, in pixels; the other is rounded down.
    resize.pad: Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).
    crop_size: Size to cut out after resizing, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in TEST; 0 or none: no crop.
    mirror: Mirror an image left to right with probability 1/2 in TRAIN.
    mean_file: Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all channels, or with another number of channels one per channel, in their order.
    mean_value: Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in their order: [b, g, r].
    scale: Factor, any number, on the images after the mean is subtracted.
    color: Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy files too.
    augment: Random changes of images in TRAIN, before the mean: a dict of steps; none: no change; or a preset, 'imagenet' for {'resized_crop': {}, 'brightness': 0.4, 'contrast': 0.4, 'saturation': 0.4}, or 'ssd' for {'brightness': {'range': 0.125, 'p': 0.5}, 'contrast': {'range': 0.5, 'p': 0.5}, 'saturation': {'range': 0.5, 'p': 0.5}, 'hue': {'range': 0.1, 'p': 0.5}}.
    augment.brightness: Factor of all numbers of an image: n (from 1 - n, but at least 0, to 1 + n), [lowest, highest], or a dict with `p`.
    augment.brightness.p: Probability of the step, from 0 to 1.
    augment.brightness.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.contrast: Factor of the distance from the mean grey of the image: as `brightness`.
    augment.contrast.p: Probability of the step, from 0 to 1.
    augment.contrast.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.saturation: Factor of the distance from grey of each pixel: as `brightness`.
    augment.saturation.p: Probability of the step, from 0 to 1.
    augment.saturation.range: n: from 1 - n, but at least 0, to 1 + n; or [lowest, highest].
    augment.hue: Part of the circle of hues to turn by: n up to 0.5 (from -n to n), [lowest, highest], or a dict with `p`.
    augment.hue.p: Probability of the step, from 0 to 1.
    augment.hue.range: n: from -n to n; or [lowest, highest].
    augment.gray: Probability with which an image becomes grey, with its channels equal.
    augment.resized_crop: A random part of the image, resized to `crop_size`, or to `resize`, instead of a crop: a dict of `area`, `ratio`, `p`; {} for its defaults.
    augment.resized_crop.p: Probability of the step, from 0 to 1.
    augment.resized_crop.area: Part of the area, [lowest, highest], above 0.
    augment.resized_crop.ratio: Width : height, [lowest, highest], above 0.
    augment.rotate: Degrees to rotate by, against the clock: n (from -n to n), [lowest, highest], or a dict with `p`.
    augment.rotate.p: Probability of the step, from 0 to 1.
    augment.rotate.range: Degrees against the clock, n: from -n to n; or [lowest, highest].
    augment.scale: Factor of the size, about the centre: n (from 1 - n to 1 + n), [lowest, highest], or a dict with `p`.
    augment.scale.p: Probability of the step, from 0 to 1.
    augment.scale.range: n: from 1 - n to 1 + n; or [lowest, highest].
    augment.translate: Part of the height, and of the width, to shift by: n (from -n to n), or a dict with `p`.
    augment.translate.p: Probability of the step, from 0 to 1.
    augment.translate.range: n: from -n to n of the height, and of the width.
    augment.blur: A Gaussian blur: a dict of `sigma`, `p`; {} for its defaults.
    augment.blur.p: Probability of the step, from 0 to 1.
    augment.blur.sigma: Standard deviation of the Gaussian in pixels, [lowest, highest], above 0, at most 50.
    augment.erase: A random rectangle is covered: a dict of `area`, `ratio`, `value`, `p`; {} for its defaults.
    augment.erase.p: Probability of the step, from 0 to 1.
    augment.erase.area: Part of the area, [lowest, highest], above 0.
    augment.erase.ratio: Width : height, [lowest, highest], above 0.
    augment.erase.value: What covers it: the mean (black if there is none), a number from 0 to 255, or random pixels (noise).
    transform: Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels and map by name, and return (image, labels) or (image, map).
    decode: Decode JPEGs in full (exact), or scaled down by 2, 4 or 8 where they are that much larger than `resize` (fast). A JPEG that is cut short is an error, or is read as far as it goes, as stock ImageData reads it, and counted (lenient, fast_lenient).
    max_pixels: Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.
    cache: Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file beside the source or in the cache folder, for later runs too (disk); none: decode them each time.
    cache_limit: Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.
    seed: Seed of the random draws, at least 0.
    stream: Random stream, at least 0: give each layer another one.
    prefetch: Batches that worker processes prepare ahead, at least 0; true is 3, false is 0.
    workers: Worker processes of prefetch, at least 1.
    timeout: Seconds, above 0, after which a silent worker is replaced.
    resume: Keep the position in a blob of the net, so that a restored run continues from there; needs param { lr_mult: 0 decay_mult: 0 }.
    iter_size: The solver's iter_size, at least 1: batches per iteration.
    restart_every: Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.
    on_error: A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the next in the order (skip).
    sampler: Class of yours, 'module:Class', whose batch(number) says which records a batch has.
    compressed: Decode images when needed; false: all at the start, kept in memory.
    shuffle: Accepted, but has no effect: TRAIN has a new random order each epoch.
    k: Negatives that the HARD types choose from, at least 1 and at most 10000: drawing 10000 takes 5 ms per sample.
    n: Iterations, at least 0, before the HARD types choose.
    m: File with similarities of images for HARD: a Python dict or JSON, a text table, or a scipy sparse .npz.
    names: How lists and similarities name a record: by its place in the source from 0 (number), or by file name or LMDB key (key).
    unlabelled: Records without labels (all their labels are negative): left out (drop), or used only as negatives (negative).
    stacked: All images in one top, one block after the other (anchors first); false: one top per block.
    type: How positives and negatives are drawn: by class (RANDOM), by labels in common (RANDOM_MULTILABEL), or the hardest of k such negatives by `m` (HARD) or by labels (HARD_MULTILABEL).
    triplets: Fixed list, a text file with three names per line: anchor, positive, negative; none: triplets are drawn.
    """

MultiLabelLayer = MultiLabelDataLayer
