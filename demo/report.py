"""The demo's results as tables: on the terminal, and in results.md and results.json."""

import json
import os
from typing import Any, Dict, List, Tuple

from long_tail import MEASURES, METHODS, NUM_RAREST, summarize
from retrieval import RANKS
from rich.console import Console
from rich.table import Table

Rows = List[List[str]]


def retrieval_table(results: Dict[str, Any]) -> Tuple[str, Rows, str]:
    """Title, rows (the first one the heads) and a line on how the numbers were made."""
    found = results["embedding"]
    heads = [f"recall@{k}" for k in RANKS]
    rows = [["", *heads]]
    rows += [[name, *(f"{recall[head]:.4f}" for head in heads)] for name, recall in found["recall"].items()]
    losses = "; ".join(
        f"{name}: {loss['options']}, {loss['seconds']:.0f} s on a core" for name, loss in found["losses"].items()
    )
    how = (
        f"Each of the {found['queries']} test images is a query among the others; recall@k is the part that "
        f"has an image of its class among the k nearest. Mined triplets: BatchTripletLoss finds them in each batch. Random ones: "
        f"TripletDataLayer draws them. One net, {found['iterations']} batches of {found['images a batch']} images, {found['solver']}, "
        f"for both, one run each. Options of the losses: {losses}."
    )
    return f"{results['data set']['name']}: retrieval", rows, how


def long_tail_table(results: Dict[str, Any]) -> Tuple[str, Rows, str]:
    """Title, rows (the first one the heads) and a line on how the numbers were made."""
    found = results["long tail"]
    rows = [["", *MEASURES]]
    for method, name in METHODS.items():
        cells = [summarize(found["runs"][method], measure) for measure in MEASURES]
        rows.append([name, *(f"{mean:.3f} ± {spread:.3f}" for mean, spread in cells)])
    counts, settings = found["counts"], found["settings"]
    how = (
        f"Training set: {sum(counts)} images, by class {', '.join(map(str, counts))} "
        f"({counts[0] / counts[-1]:.0f}:1). Each: {found['iterations']} batches of {settings['batch size']}, "
        f"{settings['solver']}. ComputeH counts each batch ({settings['ComputeH']}), SampleWeight the set "
        f"({settings['SampleWeight']}). Mean ± sample standard deviation of the seeds "
        f"{', '.join(map(str, settings['seeds']))}, which draw the weights and the order of the images. "
        f"On {found['test images']} test images. Balanced accuracy is the mean recall of the "
        f"classes, and equals accuracy if the test classes are of one size. Of the rarest: the mean of the "
        f"{NUM_RAREST} rarest. At the training frequencies: the recalls weighted by the training set's classes."
    )
    return f"{results['data set']['name']}, long-tailed: three ways to train a classifier", rows, how


def show(console: Console, title: str, rows: Rows, how: str) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, head in enumerate(rows[0]):
        table.add_column(head, justify="right" if number else "left", no_wrap=number == 0)
    for row in rows[1:]:
        table.add_row(*row)
    console.print()
    console.print(table)
    console.print(how, style="dim", highlight=False)


def markdown(rows: Rows) -> str:
    """The rows as a table, the first one its heads."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(folder: str, results: Dict[str, Any], pictures: Dict[str, str]) -> None:
    """Write results.json and results.md."""
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    parts = [
        "# Results of `make demo`",
        f"Images: {results['data set']['name']}, {results['data set']['origin']}.",
    ]
    for title, rows, how in (retrieval_table(results), long_tail_table(results)):
        parts += [f"## {title}", markdown(rows), how]
    parts += results["remarks"]
    parts += [f"## {title}\n\n![{title}]({name})" for name, title in pictures.items()]
    parts.append(f"Made in {results['seconds']:.0f} s.")
    with open(os.path.join(folder, "results.md"), "w") as file:
        file.write("\n\n".join(parts) + "\n")
