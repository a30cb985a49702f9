"""Draws the pictures of docs/data.md and docs/tasks into docs/images: `python -m docs.drawings` in a checkout, or
`python -m docs.drawings folder` for those of one page.

The page itself says what is drawn: its blocks are run. Of docs/data.md its nets are loaded into Caffe, and their first batch
is drawn. A page of docs/tasks draws its picture itself.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Sequence

import caffe
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from caffe_pylayers.data.sources.csv import CSVSource
from caffe_pylayers.data.transforms import Transforms
from docs import augmentation
from tests.pages import ROOT, run_all

# Of Okabe and Ito, which stay apart for the colour-blind.
ALIKE, UNLIKE, PLAIN, RARE = "#009E73", "#D55E00", "#777777", "#E69F00"
BRIGHTEST = 240  # of the page's digits
RARE_DIGIT = 8

PREVIEW = "preview.png"
#: The pages of docs/tasks, and the picture that each writes and shows.
TASKS = {
    "folder": PREVIEW,
    "regression": PREVIEW,
    "multilabel": PREVIEW,
    "segmentation": PREVIEW,
    "embedding": "neighbours.png",
    "faces": "roc.png",
}

plt.rcParams.update({"font.size": 11, "figure.dpi": 110})


def draw(folder: Path) -> None:
    """Draw into `folder` what the page's nets feed; the working directory has what the page's blocks have written."""
    image_data_layer(folder / "image_data_layer.png")
    multilabel_data_layer(folder / "multilabel_data_layer.png")
    siamese_data_layer(folder / "siamese_data_layer.png")
    triplet_data_layer(folder / "triplet_data_layer.png")
    stacked_triplets(folder / "stacked_triplets.png")
    hard_triplets(folder / "hard_triplets.png")
    augmentation.draw(folder / "augmentation.png")


def image_data_layer(path: Path) -> None:
    figure = plt.figure(figsize=(9.6, 3.6), constrained_layout=True)
    titles = {"images": "ALL, shuffled", "balanced": "BALANCED", "pk": "PK: 4 classes x 6 samples"}
    for part, (net, title) in zip(figure.subfigures(1, 3, wspace=0.06), titles.items()):
        batch = first_batch(net)
        part.suptitle(title)
        for axes, image, label in zip(part.subplots(4, 6).flat, batch["data"], batch["label"]):
            show(axes, image, RARE if label == RARE_DIGIT else PLAIN, f"{label:.0f}")
    save(figure, path)


def multilabel_data_layer(path: Path) -> None:
    batch = first_batch("multilabel")
    count, length = batch["label"].shape[:2]
    figure, rows = plt.subplots(
        count, 2, figsize=(8.5, 0.6 * count + 0.8), width_ratios=(3, 8), constrained_layout=True
    )
    for (left, right), image, labels in zip(rows, batch["data"], batch["label"]):
        show(left, image, PLAIN)
        cells(right, labels.ravel())
    rows[0][0].set_title("data")
    rows[0][1].set_title(f"label ({count}, {length}, 1, 1)")
    rows[-1][1].set_xticks(range(length), range(length))
    rows[-1][1].set_xlabel("label")
    save(figure, path)


def siamese_data_layer(path: Path) -> None:
    batch = first_batch("siamese")
    figure, rows = plt.subplots(2, len(batch["sim"]), figsize=(9.6, 3.0), constrained_layout=True)
    for column, sim in zip(rows.T, batch["sim"]):
        column[1].set_xlabel(f"sim {sim:.0f}", color=ALIKE if sim else UNLIKE, fontweight="bold")
    for row, top, labels in zip(rows, ("data", "data_p"), ("label", "label_p")):
        for axes, image, label, sim in zip(row, batch[top], batch[labels], batch["sim"]):
            show(axes, image, ALIKE if sim else UNLIKE, f"{label:.0f}")
        row[0].set_ylabel(top)
    save(figure, path)


def triplet_data_layer(path: Path) -> None:
    triplet_rows(path, first_batch("triplet"), (PLAIN, ALIKE, UNLIKE))


def hard_triplets(path: Path) -> None:
    random, hard = first_batch("triplet"), first_batch("hard")
    rows = {name: images for name, images in hard.items() if name != "negative"}
    assert all((images == random[name]).all() for name, images in rows.items())
    rows.update({"negative,\nRANDOM": random["negative"], "negative,\nHARD": hard["negative"]})
    triplet_rows(path, rows, (PLAIN, ALIKE, UNLIKE, UNLIKE))


def triplet_rows(path: Path, tops: Dict[str, np.ndarray], colours: Sequence[str]) -> None:
    """A row a top, a column a triplet. There are no labels: each image is looked up in its source by its pixels."""
    label_of = labels_by_pixels("digits.csv", "digits")
    count = len(tops["anchor"])
    figure, rows = plt.subplots(len(tops), count, figsize=(9.6, 1.38 * len(tops)), constrained_layout=True)
    for row, (name, images), colour in zip(rows, tops.items(), colours):
        for axes, image in zip(row, images):
            show(axes, image, colour, str(label_of[image.astype(np.uint8).tobytes()]))
        row[0].set_ylabel(name, color=colour, fontweight="bold")
    save(figure, path)


def stacked_triplets(path: Path) -> None:
    batch = first_batch("graded")
    count = len(batch["margin"])
    figure, rows = plt.subplots(3, count, figsize=(9.6, 3.1), constrained_layout=True)
    sets = [{int(label) for label in row if label >= 0} for row in batch["label"]]
    names = ("anchors", "positives", "negatives")
    for block, (row, name, colour) in enumerate(zip(rows, names, (PLAIN, ALIKE, UNLIKE))):
        first = block * count
        for place, axes in enumerate(row):
            own, anchor = sets[first + place], sets[place]
            similarity = "" if block == 0 else f", similarity {len(own & anchor) / len(own | anchor):.2g}"
            show(axes, batch["data"][first + place], colour, f"{sorted(own)}"[1:-1] + similarity, small=True)
        row[0].set_ylabel(f"{name}\n{first} to {first + count - 1}", color=colour, fontweight="bold")
    for axes, margin in zip(rows[-1], batch["margin"].ravel()):
        axes.set_xlabel(f"margin {margin:.2g}", fontweight="bold")
    save(figure, path)


def first_batch(net: str) -> Dict[str, np.ndarray]:
    """The tops of a net of the page, in order."""
    loaded = caffe.Net(f"{net}.prototxt", caffe.TRAIN)
    loaded.forward()
    return {name: loaded.blobs[name].data.copy() for name in loaded.top_names["train_data"]}


def labels_by_pixels(source: str, root: str) -> Dict[bytes, int]:
    """The label of each grey image of a CSV."""
    records = CSVSource(source, root=root)
    decode = Transforms(color=False)
    assert records.labels is not None
    return {decode.load(records, record).tobytes(): int(label) for record, label in enumerate(records.labels)}


def show(axes: Any, image: np.ndarray, colour: str, title: str = "", small: bool = False) -> None:
    """One image, (1, H, W), in a frame."""
    axes.imshow(image[0], cmap="gray", vmin=0, vmax=BRIGHTEST)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9 if small else 11, pad=3)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)


def cells(axes: Any, numbers: Sequence[float]) -> None:
    """A row of zeros and ones, each in its cell."""
    axes.imshow(np.array([numbers]), cmap="Blues", vmin=0, vmax=2, aspect="auto")
    for place, number in enumerate(numbers):
        axes.text(place, 0, f"{number:.0f}", ha="center", va="center", fontweight="bold" if number else "normal")
    axes.set(xticks=[], yticks=[])


def save(figure: Any, path: Path) -> None:
    figure.savefig(path)
    plt.close(figure)


def of_task(name: str) -> Path:
    """The picture that a page of docs/tasks shows."""
    return ROOT / "docs" / "images" / f"task_{name}.png"


def draw_page(name: str) -> None:
    """The pictures of docs/data.md, or that of a page of docs/tasks."""
    with tempfile.TemporaryDirectory() as folder:
        if name in TASKS:
            run_all(f"docs/tasks/{name}.md", Path(folder))
            shutil.copy(Path(folder, TASKS[name]), of_task(name))
        else:
            run_all(f"docs/{name}.md", Path(folder))
            os.chdir(folder)
            draw(ROOT / "docs" / "images")


if __name__ == "__main__":
    for page in sys.argv[1:] or (*TASKS, "data"):
        draw_page(page)
