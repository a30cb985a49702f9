"""`make results`: the published experiments again, on Fashion-MNIST with stock Caffe; the page docs/results.md.

(1) a long-tailed set trained plain, class-balanced, deferred, and with LDAM and deferred; (2) embeddings trained on
random triplets, and on triplets mined in the batch four ways; (3) the same embedding trained by every loss on embeddings.
Every training is a `caffe train` on a core of its own, two at a time.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from typing import Any, Dict

import fashion
import imbalance
import long_tail
import losses
import mining
import numpy as np
import pictures
import results_page
from databases import provide_all
from report import show
from retrieval import by_raw_pixels
from rich.progress import Progress
from runs import evaluate_all, supervise, train_all

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(ROOT, "prototxt_examples")
RATIO = 100  # of the largest class to the rarest
SEEDS = (1, 2, 3)
PICTURE = os.path.join("images", "results_long_tail.png")  # beside the page


def main() -> int:
    """Run the experiments; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="demo_output/published", help="folder of nets, logs and results.json")
    parser.add_argument(
        "--page", help="the page to write (default: docs/results.md; with --held-out or --quick, a page in OUTPUT)"
    )
    parser.add_argument("--held-out", action="store_true", help="test on held-out training images, to choose settings")
    parser.add_argument("--quick", action="store_true", help="20 iterations, two seeds, on digits, to see that it runs")
    arguments = parser.parse_args()

    def work(progress: Progress) -> Dict[str, Any]:
        dataset = fashion.digits() if arguments.quick else fashion.fashion_mnist()
        if arguments.held_out:
            dataset = fashion.held_out(dataset)
        return run(os.path.abspath(arguments.output), dataset, arguments.quick, progress)

    console, results = supervise("results", work)
    trial = arguments.quick or arguments.held_out
    page = os.path.abspath(arguments.page or os.path.join(arguments.output if trial else "docs", "results.md"))
    picture = os.path.join(os.path.dirname(page), PICTURE)
    os.makedirs(os.path.dirname(picture), exist_ok=True)
    draw(picture, results)
    with open(page, "w") as file:
        file.write(results_page.page(results, PICTURE))
    for table in results_page.tables(results):
        show(console, *table)
    console.print(f"\n{os.path.relpath(page)} is written ({results['seconds']:.0f} s)")
    return 0


def run(folder: str, dataset: fashion.DataSet, quick: bool, progress: Progress) -> Dict[str, Any]:
    """All trainings and evaluations in `folder`; returns the results, which are saved there too."""
    began = time.monotonic()
    clear(folder)
    tail_labels, counts = provide_all(folder, dataset, RATIO, progress, lambda _: None)

    seeds = SEEDS[:2] if quick else SEEDS
    classifiers = imbalance.prepare(EXAMPLES, folder, seeds, quick)
    iterations = 20 if quick else None
    embeddings = mining.prepare(EXAMPLES, folder, seeds, iterations)
    first = losses.prepare(folder, seeds[:1], list(losses.METHODS), iterations)
    train_all([each.training for each in (*embeddings, *classifiers, *first)], progress)

    bar = progress.add_task("evaluating", total=len(classifiers) + len(embeddings) + len(first))

    def done() -> None:
        progress.advance(bar)

    by_loss = evaluate_all(first, lambda each: losses.evaluate(each, folder, dataset), done)
    others = losses.prepare(folder, seeds[1:], losses.best(by_loss), iterations)
    train_all([each.training for each in others], progress)
    for method, found in evaluate_all(
        others, lambda each: losses.evaluate(each, folder, dataset), lambda: None
    ).items():
        by_loss[method] += found

    results: Dict[str, Any] = {
        "data set": dataset.name,
        "classes": dataset.classes,
        "train images": len(dataset.train_labels),
        "test images": len(dataset.test_labels),
        "cores": len(os.sched_getaffinity(0)),
        "seeds": seeds,
        "long tail": {
            "counts": counts,
            "settings": imbalance.settings(folder, classifiers),
            "runs": evaluate_all(
                classifiers, lambda each: long_tail.evaluate(each, folder, dataset, tail_labels), done
            ),
        },
        "mining": {
            "settings": mining.settings(folder, embeddings),
            "raw pixels": {name: found.recalls for name, found in by_raw_pixels(dataset).items()},
            "runs": evaluate_all(embeddings, lambda each: mining.evaluate(each, folder, dataset), done),
        },
        "losses": {"settings": losses.settings(folder, first[0]), "runs": by_loss},
    }
    results["seconds"] = round(time.monotonic() - began, 1)
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    return results


def clear(folder: str) -> None:
    """Remove what an earlier run left in the folder, except its LMDBs."""
    os.makedirs(folder, exist_ok=True)
    for name in (imbalance.EXAMPLE, mining.EXAMPLE, mining.RANDOM):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for name in ("counts.txt", "results.json"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))


def draw(path: str, results: Dict[str, Any]) -> None:
    """The picture of the page: the recall of each class."""
    found = results["long tail"]
    recalls = {
        title: np.array([run["recall"] for run in found["runs"][method]]) for method, title in imbalance.METHODS.items()
    }
    title = f"{results['data set']}, long-tailed: mean, lowest and highest of {len(results['seeds'])} seeds"
    pictures.class_recalls(path, results["classes"], found["counts"], recalls, title)


if __name__ == "__main__":
    sys.exit(main())
