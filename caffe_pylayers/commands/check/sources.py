"""The data of this package's data layers: the source is there, its records can be used, it has labels."""

from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import ERROR, WARNING, Finding, error, warning
from caffe_pylayers.commands.check.looking import read_records
from caffe_pylayers.commands.check.numbers import Numbers, Top
from caffe_pylayers.commands.check.python_layers import check_files, options_of, ours, schema_of
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.config.bottoms_and_tops import tops_of
from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.data.points import points_doubt
from caffe_pylayers.data.user_transform import UserTransform
from caffe_pylayers.errors import ConfigError, DataError


def is_data_layer(layer: Layer) -> bool:
    """Whether it is a data layer of this package."""
    schema = schema_of(layer)
    return schema is not None and issubclass(schema, DataLayerOptions)


def check_source(layer: Layer, report: Report) -> Iterator[Finding]:
    """What is wrong with the data of a data layer; the labels of its top of labels go into the report."""
    options = options_of(layer)
    if options is None or not is_data_layer(layer) or any(check_files(layer, report)):
        return
    if options.plugins() and not report.runs_code:
        return
    try:
        names = tops_of(ours(layer), options, len(layer.tops))
    except ConfigError:  # python_layers has found it
        return
    yield from _check_names(layer, names, options.top_names())
    try:
        yield from _read(layer, options, report)
    except (ConfigError, DataError) as problem:
        yield error(layer, problem.found, problem.remedy or _FIX, _AT)


def _read(layer: Layer, options: Any, report: Report) -> Iterator[Finding]:
    from caffe_pylayers.data import samplers
    from caffe_pylayers.data.maps import maps_of
    from caffe_pylayers.data.sources import MixedSource, sources_of

    source, *others = sources_of(options)
    findings = list(_check_annotations(layer, options, source))
    yield from findings
    fed = np.arange(len(source))
    if not findings:
        sampler = samplers.sampler_of(source, options, training=report.is_trained(layer), ranks=1)
        fed = sampler.records if isinstance(sampler, samplers.Labelled) else fed
    names = tops_of(ours(layer), options, len(layer.tops))
    wanted = report.wanted(layer)
    label_tops = [top for top in wanted if names[top.number].startswith("label") and not others]
    changed = _are_changed(options)
    for top in wanted:
        labels = None
        in_top = _fed_to(top, options, source, fed)
        if names[top.number] == "domain" and isinstance(source, MixedSource):
            labels = source.number_of(in_top), in_top
        elif top in label_tops and not changed:
            labels = _labels(options, source, in_top)
        if labels is not None:
            report.labels[top] = Numbers.of(top, [labels], source.describe)
    yield from _check_images(layer, options, source, maps_of(options, others), report, label_tops if changed else ())


def _are_changed(options: Any) -> bool:
    """Whether a function of the user's may change labels, so that those of the source tell nothing; with `multilabel` they stay 0 and 1."""
    transform = UserTransform.of(options, training=True)
    if transform is None or transform.keeps_labels or getattr(options, "multilabel", False):
        return False
    return "labels" in transform.takes


def _fed_to(top: Top, options: Any, source: Any, fed: np.ndarray) -> np.ndarray:
    """Those of the records that are fed which come in the rows of a top."""
    if top.rows is None:
        return fed
    first, end = top.rows
    ends = np.cumsum(options.per_batch)
    sources = np.flatnonzero((ends > first) & (ends - options.per_batch < (end or options.batch_size)))
    return fed[np.isin(source.number_of(fed), sources)]


def _labels(options: Any, source: Any, fed: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
    """The numbers in a top of labels, and the record that each row is of; None if there are none. fed: records."""
    if not getattr(options, "multilabel", False):
        fed = np.setdiff1d(fed, list(source.damaged)) if source.damaged else fed
        return None if source.labels is None else (_of_known_size(options, source.labels[fed]), fed)
    unknown = np.zeros((1, 1), bool) if source.unknown is None else source.unknown
    record = int(unknown.any(1).argmax())
    width = options.label_dim or source.label_dim or (1 if source.labels is None else int(source.labels.max()) + 1)
    each = np.array([[0], [1], [-1 if unknown.any() else 1]])  # a 0 or 1 for each label, -1: not known
    return np.repeat(each, max(width, 1), axis=1), np.full(3, record)


def _of_known_size(options: Any, labels: np.ndarray) -> np.ndarray:
    """The labels; points that are fed as parts of an image, whose size is not known here, as such a part."""
    if not getattr(options, "normalize_points", False):
        return labels
    labels = labels.copy()
    points = labels[:, np.unique(options.points)]
    labels[:, np.unique(options.points)] = np.where(np.isnan(points), points, 0.5)
    return labels


def _check_names(layer: Layer, names: Sequence[str], known: Sequence[str]) -> Iterator[Finding]:
    """Tops that are called as another one of the layer. names: what they are fed. known: all that there are, in order, in brackets where they may be missing."""
    for number, (top, name) in enumerate(zip(layer.tops, names)):
        if top != name and {top, f"[{top}]"} & set(known):
            order = f"give the layer its tops in this order: {', '.join(known)}"
            yield warning(layer, f"top {top!r} is fed {name!r}", f"{order}, or give it another name", "top", number)


def _check_annotations(layer: Layer, options: Any, source: Any) -> Iterator[Finding]:
    if options.has_maps:  # whose labels are maps
        return
    tops = tops_of(ours(layer), options, len(layer.tops))
    where = source.described
    if {"label", "label_p"} & set(tops) and source.labels is None:
        missing = source.no_labels()
        yield error(layer, missing.found, missing.remedy, "top", tops.index("label"))
    if "sample_weight" in tops and source.sample_weights is None:
        missing = source.no_weights()
        yield error(layer, missing.found, missing.remedy, "top", tops.index("sample_weight"))
    named = any(getattr(part, "sample_weights", None) is not None for part in options.each_source().values())
    if named and "sample_weight" not in tops:
        yield warning(
            layer,
            "'sample_weights' has no effect: the layer has no third top for them",
            'add `top: "sample_weight"`, and give it to a loss',
            _AT,
        )
    points = getattr(options, "points", None)
    if points is not None and "label" not in tops:
        yield warning(layer, "'points' has no effect: the layer has no top for labels", 'add `top: "label"`', _AT)
    doubt = points_doubt(source.labels, points) if points is not None and source.has_values else None
    if doubt:
        yield warning(layer, f"{where}: {doubt.problem}", doubt.remedy, _AT)
    if getattr(options, "multilabel", False) and options.label_dim and source.labels is not None:
        most = int(source.labels.max())
        if most >= options.label_dim:
            yield error(
                layer,
                f"{where} has label {most}, but 'label_dim' is {options.label_dim}: labels are 0 to {options.label_dim - 1}",
                f"set 'label_dim': {most + 1}, or leave it out",
                _AT,
            )


def _check_images(
    layer: Layer, options: Any, source: Any, maps: Sequence[Any], report: Report, changed: Sequence[Top]
) -> Iterator[Finding]:
    """Records, made into images, and maps, as the layer makes them. changed: tops of labels that a function of the user's makes."""
    from caffe_pylayers.data.axes import axes_doubt, stored_axes
    from caffe_pylayers.data.recipe import Recipe, Tally
    from caffe_pylayers.data.transforms import Transforms

    tolerant = options.on_error != "stop"
    transforms = Transforms.of(options, report.is_trained(layer))
    has_points = getattr(options, "points", None) is not None
    recipe = Recipe.of(source, transforms, tolerant or report.all_data, has_points, maps, options.sizes_differ)
    room = recipe.room(1)
    images, numbers = Top(layer, 0), Numbers(source.describe)
    labels, of_maps = Top(layer, 1), Numbers(maps[0].source.describe if maps else str)
    tally = Tally()
    of_labels = {top: Numbers(source.describe) for top in changed}
    changes_maps = transforms.transform is not None and "map" in transforms.transform.takes
    turned: List[int] = []

    def read(number: int) -> None:
        recipe.fill(np.array([number]), np.zeros(1, np.uint64), room, tally=tally)
        if maps and _turned_in_place(source.read(number)):
            turned.append(number)
        if images in report.labels:
            fed = np.empty(room.images.shape, np.float32)
            transforms.feed(room.images, fed)
            numbers.add(fed, np.array([number]))
        if maps and labels in report.labels:
            found = np.unique(room.maps[0, 0])[None] if changes_maps else _of_map(options, maps[0].load(number))
            of_maps.add(found, np.array([number]))
        for top, of_label in of_labels.items():
            if not len(_fed_to(top, options, source, np.array([number]))):
                continue
            assert room.labels is not None
            of_label.add(_of_known_size(options, room.labels)[:, top.start : top.stop], np.array([number]))

    yield from read_records(
        layer, report, [len(part) for part in source.parts], read, WARNING if tolerant else ERROR, _AT
    )
    if tally.cut_short:
        found = (
            f"{source.describe(min(tally.cut_short))}: is cut short, and `decode` {options.decode} reads what is there"
        )
        more = f" (and {len(tally.cut_short) - 1} more such)" if len(tally.cut_short) > 1 else ""
        yield warning(layer, found + more, "copy it again", _AT)
    if turned:
        found = f"{source.describe(turned[0])}: EXIF turns or mirrors it, and the size stays, so it does not tell whether its map is turned too"
        yield warning(layer, found, "its map must be that of the turned image, as a viewer shows it", _AT)
    for top, read_of_it in ((images, numbers), (labels, of_maps), *of_labels.items()):
        if top in report.labels and len(read_of_it.values):
            report.labels[top] = read_of_it
    for part in source.parts:
        stored = stored_axes(part)
        doubt = axes_doubt(*stored) if stored else None
        if doubt:
            yield warning(layer, f"{part.describe(0)}: {doubt.problem}", doubt.remedy, _AT)


def _turned_in_place(data: Any) -> bool:
    """Whether an image file has an EXIF orientation with which it keeps its size, but not its pixels."""
    import cv2

    if isinstance(data, np.ndarray) or (b"Exif" not in bytes(data[:4096]) and b"eXIf" not in bytes(data)):
        return False
    bytes_of_it = np.frombuffer(data, np.uint8)
    fed, stored = (
        cv2.imdecode(bytes_of_it, cv2.IMREAD_GRAYSCALE | flag) for flag in (0, cv2.IMREAD_IGNORE_ORIENTATION)
    )
    return fed is not None and stored is not None and fed.shape == stored.shape and not np.array_equal(fed, stored)


def _of_map(options: Any, loaded: np.ndarray) -> np.ndarray:
    """The numbers of a map that may be fed, (1, M): with those of the padding if there may be some."""
    found = np.unique(loaded)
    factor = min(options.scales or (1,))
    padded = options.augment is not None and options.augment.turns
    padded |= any(int(side * factor) < crop for side, crop in zip(loaded.shape, options.crop_size or ()))
    if padded and (options.map_type == "labels" or options.given("pad_label")):
        found = np.append(found, options.pad_label)
    return np.append(found, np.nan)[None] if padded and options.map_type == "values" else found[None]


_AT, _FIX = "python_param.param_str", "fix the source, or the options that name it"
