"""What a data layer feeds: its batches, taken from a net of that layer alone, with what is known of each sample."""

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import TRAIN, Layer
from caffe_pylayers.commands import layer_net
from caffe_pylayers.commands.preview.one_record import of_record
from caffe_pylayers.config.bottoms_and_tops import tops_of
from caffe_pylayers.data import samplers
from caffe_pylayers.data.axes import Stored, axes_doubt, stored_axes
from caffe_pylayers.data.points import points_doubt, sides
from caffe_pylayers.data.sources import Source, source_of
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.files.mean import read_mean


@dataclass(frozen=True, eq=False)
class Preparation:
    """What a layer does to pixels: (x - mean) * scale.

    mean: float32 (C, H, W) of the size before the crop, or (C, 1, 1), or None. words: the same for the reader.
    crop_y, crop_x, flip: (N,) of each image, as `Transforms.write` has them; None where they are not known.
    pixels: whether x is pixels of 0 to 255.
    """

    mean: Optional[np.ndarray] = None
    scale: float = 1.0
    words: str = ""
    crop_y: Optional[np.ndarray] = None
    crop_x: Optional[np.ndarray] = None
    flip: Optional[np.ndarray] = None
    pixels: bool = True


@dataclass(eq=False)
class Fed:
    """N samples, in the order of the batches.

    tops: the shape of each top. images: by role ("data", "anchor", ...), each (N, ...), as fed. prepared: how, by role.
    labels: by role, integers (N,) or (N, L), -1 for none. names: by role, of the records, where they are known.
    columns: where labels are any numbers, NaN for a missing one, what each of the L is called, "" where it has no name; else None.
    points: (N, P, 2), x and y in pixels of the image that is fed, which are not among the labels then; None where there are none.
    maps: float32 (N, H, W), of ImageMapDataLayer, with labels or other numbers; NaN where there is none.
    values: other numbers of each sample by name, (N,) or (N, M): margin, sim, sample_weight.
    a_class: how many samples in a row are of one class (type PK), else 0. stored: what `axes_doubt`
    takes of the images as the source has them; None where that is not known. doubts: what looks wrong with the source.
    record: that which all samples are of; None where they differ.
    """

    layer: Layer
    kind: str
    phase: str
    tops: Dict[str, Tuple[int, ...]]
    images: Dict[str, np.ndarray] = field(default_factory=dict)
    prepared: Dict[str, Preparation] = field(default_factory=dict)
    labels: Dict[str, np.ndarray] = field(default_factory=dict)
    names: Dict[str, List[str]] = field(default_factory=dict)
    values: Dict[str, np.ndarray] = field(default_factory=dict)
    columns: Optional[List[str]] = None
    points: Optional[np.ndarray] = None
    maps: Optional[np.ndarray] = None
    maps_are_labels: bool = True
    a_class: int = 0
    stored: Optional[Stored] = None
    doubts: List[str] = field(default_factory=list)
    record: Optional[int] = None

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))

    @property
    def where(self) -> str:
        return f"{self.layer.file}:{self.layer.line}: layer {self.layer.name!r}"


def fed_by(layer: Layer, phase: str, batches: Iterable[int], record: Optional[int] = None) -> Fed:
    """Run a data layer from its first batch on, and take the batches of these numbers together.

    record: feed this one only, again and again. Raises ConfigError or DataError as the layer does, or where Caffe would end the process.
    """
    wanted = sorted(batches)
    if record is not None:
        layer = of_record(layer, record)
    try:
        taken = _taken(layer, phase, wanted)
    except (ConfigError, DataError) as error:
        if error.source == layer.described:
            raise
        raise error.within(f"{layer.file}:{layer.line}: layer {layer.name!r}") from None
    tops = {top: taken[0][top].shape for top in layer.tops}
    if layer.own:
        return _own(Fed(layer, layer.own, phase, tops, record=record), taken, wanted)
    return _other(Fed(layer, layer.python[1] if layer.type == "Python" else layer.type, phase, tops), taken)


def _taken(layer: Layer, phase: str, batches: List[int]) -> List[Dict[str, np.ndarray]]:
    """The tops of these batches, which are in order."""
    net = layer_net.net_of_layers([layer], phase)
    taken = []
    for number in tqdm(range(batches[-1] + 1), desc="feeding", unit="batch", disable=None if batches[-1] > 9 else True):
        net.forward()
        if number in batches:
            taken.append({top: np.array(net.blobs[top].data) for top in layer.tops})
    return taken


def _own(fed: Fed, taken: List[Dict[str, np.ndarray]], batches: List[int]) -> Fed:
    """Of a layer of this package, whose samples are known by their places in the source."""
    options: Any = config.load(fed.kind, fed.layer.python[2])
    roles: Tuple[str, ...] = options.images
    stacked = getattr(options, "stacked", False)
    of_top = dict(zip(fed.layer.tops, tops_of(fed.kind, options, len(fed.layer.tops))))
    several = getattr(options, "multilabel", False)
    for top, name in of_top.items():
        blocks = [
            np.split(each[top], len(roles)) if stacked and name in ("data", "label") else [each[top]] for each in taken
        ]
        parts = [_joined(part, np.nan if name == "label" else 0) for part in zip(*blocks)]
        for number, part in enumerate(parts):
            if name in ("data", *roles):
                fed.images[roles[number] if stacked else name] = part
            elif options.has_maps and name in ("label", "sample_weight"):
                if name == "label":
                    fed.maps, fed.maps_are_labels = part[:, 0], options.map_type == "labels"
            elif name in ("label", "label_p"):
                role = roles[number] if stacked else roles[("label", "label_p").index(name)]
                fed.labels[role] = _indices(part) if several else _rows(part)
            else:
                fed.values[name] = _rows(part)
    if getattr(options, "type", "") == "PK":
        fed.a_class = options.samples_per_class
    source = source_of(options, images=False)
    fed.stored = next((each for each in map(stored_axes, source.parts) if each and axes_doubt(*each)), None)
    transforms = Transforms.of(options, fed.phase == TRAIN)
    placed = bool(fed.labels)
    plans = [] if options.on_error != "stop" else _plans(fed, options, source, batches, transforms.copies)
    for number, role in enumerate(roles):
        drawn = transforms.draws(np.concatenate([keys[number] for keys in plans])) if plans else ()
        crop_y, crop_x, flip = np.array(drawn).T[:3] if drawn else (None, None, None)
        words = _words(options.mean_file or options.mean_value, transforms.mean, options.scale)
        fed.prepared[role] = Preparation(transforms.mean, options.scale, words, crop_y, crop_x, flip)
    if source.has_values:
        _part_values(fed, options, source, placed)
    return fed


def _joined(parts: Sequence[np.ndarray], fill: float) -> np.ndarray:
    """Batches together; images of their own sizes are filled up at the bottom and the right."""
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) == 1:
        return np.concatenate(parts)
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    room = [(0, 0), (0, 0)]
    return np.concatenate(
        [
            np.pad(part, [*room, (0, height - part.shape[2]), (0, width - part.shape[3])], constant_values=fill)
            for part in parts
        ]
    )


def _part_values(fed: Fed, options: Any, source: Source, placed: bool) -> None:
    """Labels that are any numbers: what they are called, and the points apart. placed: whether a top has them, points where they are fed."""
    assert source.labels is not None
    points = getattr(options, "points", None)
    stored = source.labels.reshape(len(source), -1)
    rows = {role: labels.reshape(len(labels), -1) for role, labels in fed.labels.items()}
    others = np.setdiff1d(np.arange(stored.shape[1]), points or ())
    if points is not None:
        doubt = points_doubt(stored, points)
        fed.doubts += [] if doubt is None else [str(doubt)]
    if points is not None and not placed:
        fed.doubts.append("`points` has no effect: the layer has no top for labels (with --layer-type: give --tops 2)")
    elif points is not None:
        height, width = fed.images["data"].shape[2:]
        fed.points = rows["data"][:, np.array(points)] * (sides((height, width)) if options.normalize_points else 1)
    fed.columns = [source.label_columns[column] if source.label_columns else "" for column in others]
    fed.labels = {role: labels[:, others] for role, labels in rows.items()}


def _plans(fed: Fed, options: Any, source: Source, batches: List[int], copies: int) -> List[np.ndarray]:
    """The keys (arity, B) of each batch; the names of its records, and labels where no top has them, go into `fed`.

    A batch is a function of its number, so that it need not be asked of the layer. copies: images that are fed for each record.
    """
    sampler = samplers.sampler_of(source, options, training=fed.phase == TRAIN, ranks=1)
    every = options.restart_every if fed.phase != TRAIN else 0
    plans = [sampler.batch(number % every if every else number) for number in batches]
    for number, role in enumerate(options.images):
        records = np.repeat(np.concatenate([plan.records[number] for plan in plans]), copies)
        fed.names[role] = [source.names[record].decode(errors="backslashreplace") for record in records.tolist()]
        if role not in fed.labels and source.labels is not None:
            fed.labels[role] = source.labels[records]
    return [plan.keys for plan in plans]


def _other(fed: Fed, taken: List[Dict[str, np.ndarray]]) -> Fed:
    """Of a stock layer, or a Python layer of somebody else: the first top is images, others are by their shapes."""
    tops = {top: np.concatenate([each[top] for each in taken]) for top in fed.layer.tops}
    first = next(iter(tops.values()))
    if not first.ndim or not len(first):
        raise ConfigError(f"its first top has shape {first.shape}, but that is not a batch of images", source=fed.where)
    if first.ndim == 4:
        fed.stored = (first.shape[1], first.shape[2], first.shape[3]), False, False
    for top, values in tops.items():
        if values is first or (values.ndim == 4 and values[0].size > values.shape[1] and len(values) == len(first)):
            fed.images[top] = values
            fed.prepared[top] = _transform_param(fed) if values is first else Preparation(pixels=False)
        elif values.shape[:1] != first.shape[:1]:
            continue
        elif "label" in top or fed.kind in ("Data", "ImageData"):
            rows = _rows(values)
            binary = rows.ndim == 2 and bool(((rows == 0) | (rows == 1)).all())
            if (rows != np.floor(rows)).any():  # NaN too
                rows = rows.reshape(len(rows), -1)
                fed.columns = [""] * rows.shape[1]
            fed.labels[next(iter(fed.images))] = _indices(values) if binary else rows
        elif values[0].size <= _MOST_VALUES:
            fed.values[top] = _rows(values)
    return fed


_MOST_VALUES = 8  # of a top, a sample, that are written under its image


def _transform_param(fed: Fed) -> Preparation:
    """What a stock layer does; where it crops and mirrors at random is not known."""
    param = fed.layer.message.message("transform_param")
    values = [float(value) for value in param.all("mean_value")]
    file, scale = param.get("mean_file"), float(param.get("scale", 1.0))
    mean = read_mean(file, values or None)
    return Preparation(mean, scale, _words(file or values or None, mean, scale))


def _words(given: Any, mean: Optional[np.ndarray], scale: float) -> str:
    """(x - mean) * scale in words; "" where nothing is done."""
    if mean is None:
        return "" if scale == 1 else f"x * {scale:g}"
    if isinstance(given, str):
        taken = given.rsplit("/", 1)[-1]
    else:
        taken = f"{mean.ravel()[0]:g}" if mean.size == 1 else f"[{', '.join(f'{value:g}' for value in mean.ravel())}]"
    return f"x - {taken}" if scale == 1 else f"(x - {taken}) * {scale:g}"


def _rows(values: np.ndarray) -> np.ndarray:
    """(N, 1, 1, 1) and the like as (N,), others as (N, M)."""
    rows = values.reshape(len(values), -1)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def _indices(values: np.ndarray) -> np.ndarray:
    """Rows of 0 and 1 as the numbers of those that are 1: (N, L), -1 behind them."""
    ones = values.reshape(len(values), -1) > 0
    counts = ones.sum(1)
    rows = np.full((len(values), max(1, int(counts.max()))), -1)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = np.nonzero(ones)[1]
    return rows
