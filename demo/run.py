"""`make demo`: the main job on real images, from LMDBs to numbers and pictures in demo_output/.

(a) train and test LMDBs of encoded images; (b) an embedding trained on mined triplets and on random ones, and raw pixels; (c) a classifier on a long-tailed subset, trained three ways. (b) and (c) train at the same time, a core each.
"""

import argparse
import contextlib
import os
import shutil
import sys
import time
from typing import Any, Callable, Dict, Iterator, List

import embedding
import fashion
import long_tail
import mining
import numpy as np
import pictures
import report
from databases import provide_all
from retrieval import Retrieval
from rich.markup import escape
from rich.progress import Progress
from runs import Run, evaluate_all, supervise, train_all

import caffe_pylayers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(ROOT, "prototxt_examples")
RATIO = 100  # of the largest class to the rarest
PICTURES = {
    "retrieval.png": "Nearest images by the embeddings and by raw pixels",
    "triplets.png": "Random triplets as fed",
    "loss.png": "Losses of the embeddings",
    "recall_by_class.png": "Recall of each class, three ways to train",
}


def main() -> int:
    """Run the demo; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="demo_output", help="folder of the results (default: demo_output)")
    parser.add_argument("--digits", action="store_true", help="scikit-learn's digits in place of Fashion-MNIST")
    parser.add_argument(
        "--quick", action="store_true", help="20 to 60 iterations, two seeds, to see that it runs, not how well"
    )
    arguments = parser.parse_args()

    console, results = supervise(
        "demo", lambda progress: run(os.path.abspath(arguments.output), arguments.digits, arguments.quick, progress)
    )
    for table in (report.retrieval_table(results), report.long_tail_table(results)):
        report.show(console, *table)
    for remark in results["remarks"]:
        console.print(f"\n{remark}", markup=False)
    console.print(f"\nResults, pictures and logs: {os.path.relpath(arguments.output)}/ ({results['seconds']:.0f} s)")
    return 0


def run(folder: str, only_digits: bool, quick: bool, progress: Progress) -> Dict[str, Any]:
    """The whole demo in `folder`; returns all results, which are saved there too."""
    began = time.monotonic()

    def say(line: str) -> None:
        progress.console.print(line, soft_wrap=True)

    dataset = choose_images(only_digits, say)
    say(
        f"{dataset.name} ({dataset.origin}): {len(dataset.train_labels)} training images, "
        f"{len(dataset.test_labels)} test images"
    )
    clear(folder)
    tail_labels, counts = provide_all(folder, dataset, RATIO, progress, say)
    embeddings = embedding.prepare(EXAMPLES, folder, quick)
    seeds = long_tail.SEEDS[:2] if quick else long_tail.SEEDS
    runs = long_tail.prepare(EXAMPLES, folder, seeds, quick)
    train_all([each.training for each in (*embeddings, *runs)], progress)

    evaluation = progress.add_task("evaluating", total=1 + len(runs))
    retrievals, retrieval_results = embedding.evaluate(embeddings, folder, dataset)
    progress.advance(evaluation)
    classified = evaluate_all(
        runs,
        lambda each: long_tail.evaluate(each, folder, dataset, tail_labels),
        lambda: progress.advance(evaluation),
    )

    results: Dict[str, Any] = {
        "data set": {"name": dataset.name, "origin": dataset.origin},
        "quick": quick,
        "embedding": retrieval_results,
        "long tail": {
            "counts": counts,
            "settings": long_tail.settings(folder, seeds),
            "iterations": runs[0].training.num_iterations,
            "test images": len(dataset.test_labels),
            "runs": classified,
        },
    }
    drawing = progress.add_task("drawing", total=len(PICTURES))
    for _ in draw(folder, dataset, embeddings, retrievals, results):
        progress.advance(drawing)
    results["remarks"] = long_tail.remarks(results["long tail"], dataset.classes)
    results["seconds"] = round(time.monotonic() - began, 1)
    report.save(folder, results, PICTURES)
    return results


def choose_images(only_digits: bool, say: Callable[[str], None]) -> fashion.DataSet:
    """Fashion-MNIST, or the digits where it cannot be had."""
    if only_digits:
        return fashion.digits()
    try:
        return fashion.fashion_mnist()
    except fashion.Unavailable as problem:
        say(f"[yellow]Fashion-MNIST is not available here[/]: {escape(str(problem))}")
        say("[yellow]The demo runs on scikit-learn's bundled digits instead[/]. They show less.")
        return fashion.digits()


def clear(folder: str) -> None:
    """Remove what an earlier run left in the folder, except its LMDBs."""
    os.makedirs(folder, exist_ok=True)
    for name in (mining.EXAMPLE, mining.RANDOM, long_tail.EXAMPLE):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for name in (*PICTURES, "counts.txt", "results.json", "results.md"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))


def draw(
    folder: str,
    dataset: fashion.DataSet,
    runs: List[Run],
    retrievals: Dict[str, Retrieval],
    results: Dict[str, Any],
) -> Iterator[None]:
    """Draw the pictures; yields after each."""
    recall = results["embedding"]["recall"]
    columns = {
        f"{name}: recall@1 {recall[name]['recall@1']:.3f}": retrievals[name]
        for name in (*embedding.TITLES.values(), "raw pixels, cosine")
    }
    title = f"One test image of each class, and its five nearest among the others: {dataset.name}"
    yield pictures.retrieval_rows(os.path.join(folder, "retrieval.png"), dataset, columns, title)

    (random,) = (each for each in runs if each.method == embedding.RANDOM)
    triplets, names = embedding.triplets_as_fed(random.net, folder, dataset)
    caffe_pylayers.close()  # the worker that fed them
    yield pictures.triplet_sheet(os.path.join(folder, "triplets.png"), triplets, names)

    title = f"{dataset.name}: an embedding learns from mined and from random triplets"
    curves = {embedding.TITLES[each.method]: each.training for each in runs}
    yield pictures.loss_curves(os.path.join(folder, "loss.png"), curves, title)

    found = results["long tail"]
    recalls = {
        name: np.array([run["recall"] for run in found["runs"][method]]) for method, name in long_tail.METHODS.items()
    }
    title = f"{dataset.name}, long-tailed: mean, lowest and highest of {len(found['settings']['seeds'])} seeds"
    path = os.path.join(folder, "recall_by_class.png")
    yield pictures.class_recalls(path, dataset.classes, found["counts"], recalls, title)


if __name__ == "__main__":
    sys.exit(main())
