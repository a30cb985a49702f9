"""The demo's pictures: loss curve, triplets as fed, retrieval rows, recall by class."""

from typing import Any, Dict, Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from fashion import DataSet
from retrieval import Retrieval
from stock_caffe import Training

# Blue and vermilion of Okabe and Ito stay apart for the colour-blind, and every frame has a mark as well.
RIGHT, WRONG, QUERY = "#009E73", "#D55E00", "#555555"
METHOD_COLOURS = ("#999999", "#0072B2", "#E69F00", "#CC79A7")
SMOOTH = 10

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})


def loss_curves(path: str, trainings: Dict[str, Training], title: str) -> None:
    """Losses, and what part of a batch's triplets is active, as `caffe train` logged them."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.5, 5.2), sharex=True, constrained_layout=True)
    for (name, training), colour in zip(trainings.items(), METHOD_COLOURS[1:]):
        iterations, losses = np.array(training.curve).T
        active = training.outputs[1]
        above.plot(iterations, losses, color=colour, label=name)
        below.plot(iterations[: len(active)], active, color=colour, alpha=0.3)
        if len(active) >= 2 * SMOOTH:
            smooth = np.convolve(active, np.ones(SMOOTH) / SMOOTH, mode="valid")
            below.plot(iterations[SMOOTH - 1 : len(active)], smooth, color=colour)
    above.set(title=title, ylabel="loss, mean of 20 batches", ylim=(0, None))
    above.legend(frameon=False)
    below.set(
        xlabel="iteration",
        ylabel="part of the triplets that is active,\nin a batch, and mean of 10 logged",
        ylim=(0, 1),
        xlim=(0, iterations[-1]),
    )
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.align_ylabels()
    _save(figure, path)


def triplet_sheet(path: str, triplets: Sequence[np.ndarray], names: Sequence[Sequence[str]], count: int = 10) -> None:
    """The first triplets of a batch, one per column: three arrays uint8 (B, H, W), and the classes of each."""
    figure, rows = plt.subplots(3, count, figsize=(1.05 * count + 0.9, 4.4), constrained_layout=True)
    for row, images, classes, title, colour in zip(
        rows, triplets, names, ("anchor", "positive", "negative"), (QUERY, RIGHT, WRONG)
    ):
        for axes, image, name in zip(row, images, classes):
            _show(axes, image, colour, 2)
            axes.set_title(name, fontsize=9, pad=3)
        row[0].set_ylabel(title, color=colour, fontsize=11, fontweight="bold")
    figure.suptitle("Triplets as TripletDataLayer feeds them, one per column", fontsize=12)
    _save(figure, path)


def retrieval_rows(path: str, dataset: DataSet, columns: Dict[str, Retrieval], title: str, seed: int = 0) -> None:
    """One random query of each class, and its five nearest by each of several retrievals side by side."""
    random = np.random.default_rng(seed)
    labels = dataset.test_labels
    queries = [int(random.choice(np.flatnonzero(labels == c))) for c in range(len(dataset.classes))]
    blocks = list(columns.items())
    depth = blocks[0][1].nearest.shape[1]
    widths = [1.0] + ([0.25] + [1.0] * depth) * len(blocks)
    figure = plt.figure(figsize=(0.78 * sum(widths) + 1.0, 0.88 * len(queries) + 1.0))
    grid = figure.add_gridspec(
        len(queries),
        len(widths),
        width_ratios=widths,
        left=0.085,
        right=0.99,
        bottom=0.01,
        top=0.935,
        wspace=0.12,
        hspace=0.14,
    )
    for row, query in enumerate(queries):
        axes = figure.add_subplot(grid[row, 0])
        _show(axes, dataset.test_images[query], QUERY, 1)
        axes.set_ylabel(dataset.classes[labels[query]], rotation=0, ha="right", va="center", fontsize=10)
        if row == 0:
            axes.set_title("query", fontsize=10, color=QUERY)
        for block, (name, retrieval) in enumerate(blocks):
            for rank in range(depth):
                place = 2 + block * (depth + 1) + rank
                axes = figure.add_subplot(grid[row, place])
                right = retrieval.right[query, rank]
                _show(axes, dataset.test_images[retrieval.nearest[query, rank]], RIGHT if right else WRONG, 2.2)
                _mark(axes, right)
                if row == 0 and rank == depth // 2:
                    axes.set_title(name, fontsize=10)
    figure.suptitle(title, fontsize=12, y=0.985)
    _save(figure, path, dpi=90)


def class_recalls(
    path: str, classes: Sequence[str], counts: Sequence[int], methods: Dict[str, np.ndarray], title: str
) -> None:
    """Bars of each class's recall by method: the mean of its seeds, whiskers from the lowest to the highest.

    methods: name -> (seeds, classes).
    """
    figure, axes = plt.subplots(figsize=(9.5, 4.4), constrained_layout=True)
    places = np.arange(len(classes))
    width = 0.8 / len(methods)
    for number, (name, recalls) in enumerate(methods.items()):
        mean = recalls.mean(axis=0)
        axes.bar(
            places + (number - (len(methods) - 1) / 2) * width,
            mean,
            width,
            yerr=np.maximum(0, [mean - recalls.min(axis=0), recalls.max(axis=0) - mean]),  # except for rounding
            label=name,
            color=METHOD_COLOURS[number],
            error_kw={"elinewidth": 1, "capsize": 2},
        )
    axes.set_xticks(places)
    axes.set_xticklabels([f"{name}\n{count}" for name, count in zip(classes, counts)])
    axes.set(title=title, xlabel="class, and how many training images it has", ylabel="recall on the test images")
    axes.set_ylim(0, 1)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(methods), frameon=False)
    _save(figure, path)


def _show(axes: Any, image: np.ndarray, colour: str, width: float) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def _mark(axes: Any, right: bool) -> None:
    """A tick or a cross in the corner, drawn on a disc so that it can be read on any image."""
    axes.text(
        0.86,
        0.86,
        "\N{CHECK MARK}" if right else "\N{MULTIPLICATION X}",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=8,
        color="white",
        family="DejaVu Sans",
        bbox={"boxstyle": "circle,pad=0.15", "facecolor": RIGHT if right else WRONG, "edgecolor": "none"},
    )


def _save(figure: Any, path: str, dpi: int = 120) -> None:
    figure.savefig(path, dpi=dpi)
    plt.close(figure)
