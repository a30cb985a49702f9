"""The contact sheet of what a data layer feeds."""

import os
import textwrap
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.preview.contact_sheet import (
    GREEN,
    GREY,
    MADE_BY,
    RED,
    Cell,
    Group,
    Sheet,
    draw,
    groups_a_row,
)
from caffe_pylayers.commands.preview.fed_batch import Fed
from caffe_pylayers.commands.preview.fed_values import Channel, channels, findings
from caffe_pylayers.commands.preview.map_pictures import map_findings, map_notes, of_classes, overlaid
from caffe_pylayers.commands.preview.pictures import pictures
from caffe_pylayers.data.points import outside, sides
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.class_names import named, read_class_names
from caffe_pylayers.files.output_file import is_made_here, output_file

_LINE_LETTERS, _LABEL_LINES = 20, 3  # of a caption

_SAMPLES = {2: "pairs", 3: "triplets"}


@dataclass(frozen=True)
class Preview:
    """What was drawn, and what there is to say of it.

    title, notes: the lines at the top of the sheet. channels: the numbers as fed. findings: what looks like a mistake.
    shown: how many of the `count` samples are drawn.
    """

    title: str
    notes: List[str]
    channels: List[Channel]
    findings: List[str]
    shown: int
    count: int
    sheet: Sheet

    def write(self, path: str) -> None:
        """Draw it as PNG, whole or not at all."""
        with output_file(path) as partial:
            draw(partial, self.sheet)


def preview_of(
    fed: Fed, first_batch: int = 0, rows: int = 8, classes: Optional[str] = None, others: Sequence[Layer] = ()
) -> Preview:
    """The preview of what a layer feeds: `rows` rows of samples, of type PK a class after the other.

    classes: path of a file with a name a class. others: the layers of the net, which may normalise what is fed.
    Raises DataError where classes has too few names, or labels are no classes.
    """
    names = _class_names(fed, classes)
    cells = fed.a_class or len(fed.images)
    sizes = [_size(images) for images in fed.images.values()]
    groups = min(len(fed) // (fed.a_class or 1), rows * groups_a_row(sizes * (fed.a_class or 1)))
    shown = groups * (fed.a_class or 1)
    drawn = {role: pictures(images, fed.prepared[role], range(shown)) for role, images in fed.images.items()}
    stats = channels([images for role, images in fed.images.items() if fed.prepared[role].pixels])
    found = findings(fed, stats, others)
    kind = _SAMPLES.get(len(fed.images), "samples") if set(fed.images) & {"anchor", "data_p"} else "samples"
    if fed.record is not None:
        kind = f"draws of record {fed.record}"
    title = f"{fed.layer.name}: {fed.kind}, {fed.phase}, batch {first_batch}: {shown} of {len(fed)} {kind}"
    notes = [", ".join(f"{top} {' x '.join(map(str, shape)) or 'scalar'}" for top, shape in fed.tops.items())]
    words = next(iter(fed.prepared.values())).words
    notes.append(f"as fed: {words}, undone in the pictures" if words else "as fed: neither mean nor scale")
    said = {each.note for each in drawn.values()}
    if len(said) == 1:
        notes += filter(None, said)
    else:
        notes += [f"{role}: {each.note}" for role, each in drawn.items() if each.note]
    notes += _point_notes(fed, shown)
    pictured = {role: each.pictures for role, each in drawn.items()}
    if fed.maps is not None:
        notes += map_notes(fed.maps, fed.maps_are_labels, names or ())
        found += map_findings(fed.maps, fed.maps_are_labels)
        pictured["data"] = overlaid(pictured["data"], fed.maps, fed.maps_are_labels)
    made = [
        _sample(fed, number, {role: each[number] for role, each in pictured.items()}, names) for number in range(shown)
    ]
    if fed.a_class:
        made = [_of_class(made[start : start + cells]) for start in range(0, shown, cells)]
    columns = list(fed.images) if len(fed.images) > 1 else []
    sheet = Sheet(title, notes, columns, made, stats, [f"! {finding}" for finding in found])
    return Preview(title, notes, stats, found, shown, len(fed), sheet)


def is_preview(path: str) -> bool:
    """Whether a file is a sheet that was made here, which another may take the place of."""
    return is_made_here(path, MADE_BY)


def _size(images: np.ndarray) -> Tuple[int, int]:
    """(height, width) of the pictures of a blob."""
    from caffe_pylayers.commands.preview.pictures import planes_of

    height, width = planes_of(images[:1]).shape[2:]
    return height, width


def _class_names(fed: Fed, path: Optional[str]) -> Optional[List[str]]:
    if path is None or not (fed.labels or fed.maps is not None):
        return None
    if fed.columns is not None or (fed.maps is not None and not fed.maps_are_labels):
        raise DataError("the labels are any numbers, so --classes cannot name them", source=fed.where)
    labels = [*fed.labels.values(), *([] if fed.maps is None else [of_classes(fed.maps)])]
    largest = max((float(np.nanmax(each)) for each in labels if each.size), default=0)
    return read_class_names(path, max(int(largest), 0) + 1)


def _sample(fed: Fed, number: int, drawn: Dict[str, np.ndarray], names: Optional[List[str]]) -> Group:
    """The group of sample `number`."""
    frames = {"anchor": GREY, "positive": GREEN, "negative": RED}
    heading, colour = [], GREY
    below: List[str] = []
    for name, values in fed.values.items():
        value = values[number]
        if name == "sim":
            colour, words = {0.0: (RED, ": different"), 1.0: (GREEN, ": same")}.get(float(value), (GREY, ""))
            heading.append(f"sim {value:g}{words}")
            frames = dict.fromkeys(fed.images, colour)
        elif len(fed.images) > 1:
            heading.append(f"{name} {_numbers(value)}")
        else:
            below.append(f"{name.replace('sample_', '')} {_numbers(value)}")
    cells = []
    for role, picture in drawn.items():
        labels = fed.labels.get(role)
        lines = (
            _label_lines(labels, number, names)
            if fed.columns is None or labels is None
            else _value_lines(labels[number], fed.columns)
        )
        caption = [*lines, *below]
        if role in fed.names:
            name = os.path.basename(fed.names[role][number])
            caption.append(f"#{name}" if name.isdigit() else name)
        points = None if fed.points is None else fed.points[number]
        cells.append(Cell(picture, caption, frames.get(role, GREY), points))
    return Group(cells, ", ".join(heading), colour)


def _of_class(samples: Sequence[Group]) -> Group:
    """The samples of a class as one group, headed by it."""
    cells = [sample.cells[0] for sample in samples]
    return Group([Cell(cell.picture, cell.caption[1:], cell.frame) for cell in cells], cells[0].caption[0])


def _label_lines(labels: Optional[np.ndarray], number: int, names: Optional[List[str]]) -> List[str]:
    """The labels of a sample, in a few lines."""
    if labels is None:
        return []
    own = [label for label in np.atleast_1d(labels[number]).tolist() if label != -1 or labels.ndim == 1]
    words = [_label(label, names) for label in own]
    if len(words) < 2:
        return [words[0] if names else f"label {words[0]}"] if words else ["no label"]
    # A number is not parted from its name.
    together = ", ".join(word.replace(" ", "\u00a0") for word in words)
    lines = textwrap.wrap(together if names else f"labels {together}", _LINE_LETTERS)
    if len(lines) > _LABEL_LINES:
        lines = [*lines[: _LABEL_LINES - 1], f"... ({len(words)} labels)"]
    return lines


def _value_lines(values: np.ndarray, columns: Sequence[str]) -> List[str]:
    """The values of a sample, in a few lines."""
    words = ["missing" if np.isnan(value) else f"{value:.4g}" for value in values]
    if any(columns):
        lines = [f"{name} {word}" for name, word in zip(columns, words)]
    else:
        lines = textwrap.wrap(f"value{'s' * (len(words) > 1)} {', '.join(words)}" if words else "", _LINE_LETTERS)
    if len(lines) > _LABEL_LINES:
        lines = [*lines[: _LABEL_LINES - 1], f"... ({len(words)} values)"]
    return lines


def _point_notes(fed: Fed, shown: int) -> List[str]:
    """How many of the points of the samples that are shown are on their pictures."""
    if fed.points is None:
        return []
    points = fed.points[:shown]
    height, width = _size(fed.images["data"])
    missing = int(np.isnan(points).any(2).sum())
    off = int(outside(points, sides((height, width))).sum())
    many = points.shape[0] * points.shape[1]
    return [f"points: {many - missing - off} of {many} drawn; {missing} missing, {off} outside of their images"]


def _label(label: float, names: Optional[List[str]]) -> str:
    if names is None or not 0 <= label < len(names) or label != int(label):
        return f"{label:g}"
    return named(int(label), names)


def _numbers(value: Any) -> str:
    numbers = np.atleast_1d(value)
    return " ".join(f"{number:.3g}" for number in numbers)
