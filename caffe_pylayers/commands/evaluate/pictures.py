"""What an evaluation found, as a picture: nearest neighbours, or the ROC."""

from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from caffe_pylayers.commands.evaluate.embedded import Embedded
from caffe_pylayers.commands.preview.contact_sheet import GREEN, GREY, RED, Cell, Group, Sheet, draw
from caffe_pylayers.commands.preview.fed_batch import Preparation
from caffe_pylayers.commands.preview.pictures import pictures
from caffe_pylayers.data.decoding import ANY, decode
from caffe_pylayers.data.sources.own import image_of
from caffe_pylayers.evaluation import Evaluation, Verification
from caffe_pylayers.files.class_names import named
from caffe_pylayers.files.output_file import is_made_here, output_file

MADE_BY = "caffe-pylayers evaluate"

_NEIGHBOURS = 8
_SIDE = 120


def is_picture(path: str) -> bool:
    """Whether a file is a picture that was made here, which another may take the place of."""
    return is_made_here(path, MADE_BY)


def draw_neighbours(
    path: str, evaluation: Evaluation, queries: Embedded, gallery: Embedded, rows: int, names: Optional[Sequence[str]]
) -> None:
    """Some queries, spread over all, each with its nearest records: green where the class is the query's, else red.

    names: of the classes. Raises DataError where an image cannot be read.
    """
    labels, others = queries.records.labels, gallery.records.labels
    usable = np.arange(len(queries.records)) if labels is None else np.flatnonzero(labels >= 0)
    chosen = usable[np.unique(np.linspace(0, len(usable) - 1, rows).round().astype(int))].tolist()
    groups = []
    for query, (records, units) in zip(chosen, evaluation.nearest(chosen, _NEIGHBOURS)):
        cells = [_cell(queries, query, names, GREY, "query")]
        for record, unit in zip(records.tolist(), units.tolist()):
            right = None if labels is None or others is None else others[record] == labels[query]
            frame = GREY if right is None else GREEN if right else RED
            cells.append(_cell(gallery, record, names, frame, f"{unit:.4f}"))
        groups.append(Group(cells))
    for each in (queries, gallery):
        each.source.close()
    title = f"{queries.records.source}: {len(groups)} of {len(queries.records)} records, each with its nearest"
    note = f"{evaluation.unit} under each; green: of the query's class, red: of another"
    with output_file(path) as part:
        draw(part, Sheet(title, [note], [], groups), MADE_BY)


def draw_roc(path: str, verification: Verification, title: str) -> None:
    """The part of the same pairs that is accepted, over that of the different ones, which is logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    least = 0.5 / (verification.pairs - verification.same)  # where 0 is drawn
    axes.plot(np.maximum(verification.far, least), verification.accepted, drawstyle="steps-post", color="C0")
    axes.plot(verification.eer, 1 - verification.eer, "o", color="C1", label=f"EER {verification.eer:.4f}")
    axes.set(xscale="log", xlim=(least, 1), ylim=(0, 1.01), title=title)
    axes.set(
        xlabel="FAR: part of the different pairs that is accepted",
        ylabel="TAR: part of the same pairs that is accepted",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False, title=f"AUC {verification.auc:.4f}")
    figure.tight_layout()
    with output_file(path) as part:
        figure.savefig(part, format="png", dpi=100, metadata={"Software": MADE_BY})


def _cell(embedded: Embedded, row: int, names: Optional[Sequence[str]], frame: str, word: str) -> Cell:
    labels = embedded.records.labels
    caption: List[str] = [word]
    if labels is not None:
        label = int(labels[row])
        caption.append(named(label, names) if names is not None and 0 <= label < len(names) else f"label {label}")
    name = embedded.records.name(row)
    caption.append(f"#{name}" if name.isdigit() else name.rpartition("/")[2])
    return Cell(_squared(_picture(embedded, int(embedded.numbers[row]))), caption, frame)


def _picture(embedded: Embedded, record: int) -> np.ndarray:
    """The image of a record, uint8 (H, W) or (H, W, 3), red first."""
    source = embedded.source
    with source.naming(record):
        found = image_of(source, record)
        image = found if isinstance(found, np.ndarray) else decode(found, color=ANY)
    planes = np.atleast_3d(image)[:, :, :3].transpose(2, 0, 1)
    return pictures(planes[None], Preparation(), [0]).pictures[0]


def _squared(picture: np.ndarray) -> np.ndarray:
    """All of it in the middle of a white square, for pictures of any sizes side by side."""
    height, width = picture.shape[:2]
    factor = _SIDE / max(height, width)
    size: Tuple[int, int] = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    square = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    top, left = (_SIDE - small.shape[0]) // 2, (_SIDE - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small if small.ndim == 3 else small[:, :, None]
    return square
