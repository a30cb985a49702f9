"""The numbers that a data layer feeds, and what about them looks like a mistake."""

from dataclasses import dataclass
from typing import Iterator, List, Sequence

import numpy as np

from caffe_pylayers.caffe_files.nets import TRAIN, Layer
from caffe_pylayers.commands.preview.fed_batch import Fed, Preparation
from caffe_pylayers.data.axes import axes_doubt

#: Channels that are told one by one; of more, all together.
_MOST_CHANNELS = 4

#: Layers that bring values to a scale of their own.
_NORMALISING = ("BatchNorm", "Scale", "Power", "Bias", "MVN", "Exp", "Log", "Python")
_REARRANGING = ("Concat", "Slice", "Split", "Reshape", "Flatten", "Crop", "Silence")

_FEW_SAMPLES = 8  # of which nothing follows


@dataclass(frozen=True)
class Channel:
    """Of the values of a channel as fed, over all images: NaN and infinite ones are counted and left out of the rest."""

    name: str
    min: float
    max: float
    mean: float
    std: float
    num_not_finite: int
    values: np.ndarray


def channels(images: Sequence[np.ndarray]) -> List[Channel]:
    """Of blobs (N, C, ...), which have the same C. Four channels at most are told apart."""
    count = images[0].shape[1] if images[0].ndim > 3 else 1
    if count > _MOST_CHANNELS or any(
        blob.ndim != images[0].ndim or blob.shape[1:2] != images[0].shape[1:2] for blob in images
    ):
        return [_channel(f"all {count}", [blob.ravel() for blob in images])]
    names = {1: ["values"], 3: ["blue", "green", "red"]}.get(count, [str(number) for number in range(count)])
    if images[0].ndim < 4:
        return [_channel("values", [blob.ravel() for blob in images])]
    return [_channel(name, [blob[:, number].ravel() for blob in images]) for number, name in enumerate(names)]


def _channel(name: str, parts: List[np.ndarray]) -> Channel:
    values = np.concatenate(parts)
    finite = np.isfinite(values)
    num_not_finite = len(values) - int(np.count_nonzero(finite))
    values = values[finite] if num_not_finite else values
    if not len(values):
        return Channel(name, np.nan, np.nan, np.nan, np.nan, num_not_finite, values)
    mean, std = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    return Channel(name, float(values.min()), float(values.max()), float(mean), float(std), num_not_finite, values)


def findings(fed: Fed, stats: Sequence[Channel], others: Sequence[Layer] = ()) -> List[str]:
    """What looks like a mistake, in sentences. others: the net's layers, which may mend it behind the data layer."""
    of_labels = _of_labels if fed.columns is None else _of_numbers
    labels = of_labels(fed) if fed.record is None else ()
    return [*_of_values(fed, stats, others), *_of_images(fed), *labels, *fed.doubts]


def _of_values(fed: Fed, stats: Sequence[Channel], others: Sequence[Layer]) -> Iterator[str]:
    bad = sum(channel.num_not_finite for channel in stats)
    if bad:
        yield f"{bad} values are NaN or infinite: a net that gets one stops learning"
    finite = [channel for channel in stats if len(channel.values)]
    if not finite:
        return
    low, high = min(channel.min for channel in finite), max(channel.max for channel in finite)
    spread = max(channel.std for channel in finite)
    prepared = next(iter(fed.prepared.values()))
    whole = all((channel.values[:4096] == np.floor(channel.values[:4096])).all() for channel in finite)
    if not prepared.words and whole and low >= 0 and 100 < high <= 255 and not _normalised(fed, others):
        yield (
            f"values go from {low:g} to {high:g} like pixels, and neither this layer nor a later one normalises them: subtract "
            f"a mean, or set a scale such as 0.00390625 (1/256)"
        )
    yield from _of_the_mean(prepared, stats)
    if 0 < spread < 1e-3:
        yield f"values hardly differ (standard deviation {spread:.2g}): is the scale {prepared.scale:g} applied to numbers of 0 to 1?"
    if spread > 1e4:
        yield f"values are huge (standard deviation {spread:.2g}): is the scale {prepared.scale:g} right?"


def _of_the_mean(prepared: Preparation, stats: Sequence[Channel]) -> Iterator[str]:
    if prepared.mean is None or not prepared.scale:
        return
    largest = float(np.abs(prepared.mean).max())
    reach = max((channel.max - channel.min for channel in stats if len(channel.values)), default=0.0) / abs(
        prepared.scale
    )
    if 0 < largest <= 1 and reach > 50:
        yield (
            f"the mean is at most {largest:g}, but pixels cover {reach:.0f} of 0 to 255: it is subtracted before the scale, so "
            f"give it in units of 0 to 255 (times 255)"
        )
    elif largest > 10 and 0 < reach <= 2:
        yield f"the mean is up to {largest:g}, but the images have values of about 0 to 1: give the mean in the same units"
    elif all(abs(channel.mean) > 128 * abs(prepared.scale) for channel in stats if len(channel.values)):
        yield f"after the mean is subtracted, values are {stats[0].mean:.4g} on average: is it the mean of these images?"


def _normalised(fed: Fed, others: Sequence[Layer]) -> bool:
    """Whether a layer behind the images normalises them."""
    blobs = set(fed.layer.tops)
    for layer in others:
        if blobs & set(layer.bottoms) and layer.name != fed.layer.name:
            if layer.type in _NORMALISING:
                return True
            if layer.type in _REARRANGING:
                blobs |= set(layer.tops)
    return False


def _of_images(fed: Fed) -> Iterator[str]:
    count = len(fed)
    doubt = axes_doubt(*fed.stored) if fed.stored else None
    if doubt:
        yield str(doubt)
    for role, images in fed.images.items():
        flat = images.reshape(count, -1)
        if flat.shape[1] == 1 or not fed.prepared[role].pixels:
            continue
        blank = int(np.count_nonzero((flat == flat[:, :1]).all(1)))
        if blank:
            yield f"{blank} of {count} images ({role}) have the same value everywhere"
        if count >= 2 and (flat == flat[:1]).all():
            yield f"all {count} images ({role}) are equal"
    if "positive" in fed.images:
        equal = (fed.images["anchor"] == fed.images["positive"]).reshape(count, -1).all(1)
        if equal.any():
            yield f"{equal.sum()} of {count} triplets have an anchor that equals its positive: do images occur twice?"


def _of_numbers(fed: Fed) -> Iterator[str]:
    """Of labels that are any numbers."""
    rows = [*fed.labels.values()] + ([] if fed.points is None else [fed.points.reshape(len(fed), -1)])
    numbers = np.concatenate(rows, 1) if rows else np.empty((len(fed), 0))
    if not numbers.size:
        return
    if np.isnan(numbers).all():
        yield "all values are missing (nan): a net learns nothing from them"
    elif len(fed) >= _FEW_SAMPLES and (np.isnan(numbers) | (numbers == numbers[:1])).all():
        yield f"all {len(fed)} samples have the same values, {', '.join(f'{value:g}' for value in numbers[0][:8])}: are the labels right?"


def _of_labels(fed: Fed) -> Iterator[str]:
    count = len(fed)
    if fed.phase != TRAIN or count < _FEW_SAMPLES:
        return
    labels = fed.labels.get("data")
    if labels is not None and len(fed.images) == 1 and (labels == labels[:1]).all():
        first = ":".join(f"{label:g}" for label in np.atleast_1d(labels[0]) if label != -1)
        yield f"all {count} labels are {first}: shuffle a source that is sorted by class (option `shuffle`, or before it is written)"
    sim = fed.values.get("sim")
    if sim is not None and (sim == sim[:1]).all():
        yield f"all {count} pairs have sim {sim[0]:g}: a net needs pairs of both kinds"
