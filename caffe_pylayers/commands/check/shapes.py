"""The shapes of what this package's losses are given, in nets that Caffe has set up: they look at them in forward only."""

import math
from typing import Iterator, Sequence

from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.kinds_of_numbers import has_labels
from caffe_pylayers.commands.check.python_layers import options_of
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.bottoms_and_tops import bottoms_of
from caffe_pylayers.errors import ConfigError


def check_shapes(view: View, report: Report) -> Iterator[Finding]:
    """Labels, targets and weights are as many as there are terms."""
    shapes = report.shapes(view)
    for layer in view.layers:
        options = options_of(layer)
        if options is None or not layer.bottoms or not all(bottom in shapes for bottom in layer.bottoms):
            continue
        try:
            names = bottoms_of(layer.own, options, len(layer.bottoms))
        except ConfigError:  # python_layers has found it
            continue
        given = {name: shapes[bottom] for name, bottom in zip(names, layer.bottoms)}
        allowed = options.sizes(given)
        for number, name in enumerate(names):
            found = math.prod(given[name])
            if name in allowed and found not in allowed[name]:
                counts = " or ".join(str(count) for count in dict.fromkeys(allowed[name]))
                shape = f" ({size(given[name])})" if len(given[name]) > 1 else ""
                yield error(
                    layer,
                    f"bottom {layer.bottoms[number]!r} ({name}) has {found} numbers{shape}, but "
                    f"{names[0]} is {size(given[names[0]])}",
                    f"give it {counts} numbers, or change the size of {names[0]}",
                    "bottom",
                    number,
                )


def check_mixed_labels(view: View, report: Report) -> Iterator[Finding]:
    """Label maps get no numbers between those of classes where they change their size."""
    shapes = report.shapes(view)
    for layer in view.layers:
        for number, blob in enumerate(layer.bottoms):
            maker = view.maker(layer, blob) if has_labels(layer, number, shapes) else None
            options = options_of(maker) if maker is not None else None
            if maker is None or options is None or not all(each in shapes for each in (*maker.bottoms, blob)):
                continue
            if maker.bottoms and options.mixes(shapes[maker.bottoms[0]], shapes[blob]):
                before, after = size(shapes[maker.bottoms[0]][2:]), size(shapes[blob][2:])
                yield warning(
                    layer,
                    f"its labels are interpolated by layer {maker.name!r}, from {before} to {after}: this makes class 1 between 0 and 2",
                    "take sizes of which each less 1 is a multiple of the smaller one less 1, as 321 and 41",
                    "bottom",
                    number,
                )


def size(shape: Sequence[int]) -> str:
    """A shape in words."""
    return " x ".join(map(str, shape)) or "a single number"
