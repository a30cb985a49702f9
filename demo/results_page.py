"""docs/results.md from the results: every figure of this project on it is one of the run."""

import textwrap
from typing import Any, Dict, List, Sequence, Tuple

import imbalance
import losses
import mining
from long_tail import MEASURES, NUM_RAREST, difference, gain, summarize
from report import Rows, markdown
from retrieval import RANKS

_TAIL_NETS = "[fashion_long_tail](../prototxt_examples/fashion_long_tail)"
_MINING_NETS = (
    "[fashion_mining](../prototxt_examples/fashion_mining) and [fashion_triplet](../prototxt_examples/fashion_triplet)"
)


def page(results: Dict[str, Any], picture: str) -> str:
    """The whole page as Markdown."""
    (tail_title, tail_rows, tail_how), (mining_title, mining_rows, mining_how), by_loss = tables(results)
    seeds = results["seeds"]
    parts = [
        "# Published behaviour, repeated",
        "This page repeats experiments from the literature with the layers of this package in stock Caffe. "
        "`make results` makes the page: it trains, evaluates, and writes all figures except those called published. Nets, "
        "solvers and logs of all runs, and `results.json`, are then in `demo_output/published/`.",
        f"Images: {results['data set']}, {results['train images']} for training and {results['test images']} for "
        "tests, "
        f"28 x 28 pixels, grey, {len(results['classes'])} classes. Each training is a `caffe train` on the CPU with "
        "one "
        f"thread, two at a time on a machine of {results['cores']} cores. Figures are the mean ± the sample standard "
        f"deviation over {len(seeds)} runs, with the seeds {', '.join(map(str, seeds))} for the first weights and the "
        f"order of the images. Settings were chosen on held-out training images (as `demo/results.py --held-out` "
        "does), mostly by one run per setting, never on the test images. Everything took "
        f"{results['seconds'] / 60:.0f} minutes.",
        f"## {tail_title}",
        markdown(tail_rows),
        tail_how,
        f"![Recall of each class]({picture})",
        *_about_imbalance(results),
        f"## {mining_title}",
        markdown(mining_rows),
        mining_how,
        *_about_mining(results),
        f"## {by_loss[0]}",
        markdown(by_loss[1]),
        by_loss[2],
        *_about_losses(results),
        "## Run it again",
        "```bash\nmake results\n```",
        "A difference is called clear if it is more than twice its standard error, by the standard deviations of the "
        "runs. The same seeds give the same images in the same order. If BLAS sums in another order, figures differ in "
        "the last digits, and after many iterations a run may differ more.",
    ]
    return "\n\n".join(map(_filled, parts)) + "\n"


def _filled(part: str) -> str:
    """A paragraph in lines of 120; what has lines already, and a heading, as it is."""
    if "\n" in part or part.startswith(("#", "!")):
        return part
    return textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False)


def tables(results: Dict[str, Any]) -> List[Tuple[str, Rows, str]]:
    """Title, rows (the first one the heads) and how it was made, of each table."""
    return [_imbalance_table(results), _mining_table(results), _losses_table(results)]


def _imbalance_table(results: Dict[str, Any]) -> Tuple[str, Rows, str]:
    found = results["long tail"]
    counts, settings = found["counts"], found["settings"]
    rows = [["", *MEASURES, "seconds per run"]]
    rows += [[title, *_cells(found["runs"][name], MEASURES)] for name, title in imbalance.METHODS.items()]
    how = (
        f"The training set has {sum(counts)} images, by class {', '.join(map(str, counts))} "
        f"({counts[0] / counts[-1]:.0f}:1). One net ({_TAIL_NETS}), {settings['iterations']} batches of "
        f"{settings['batch size']}"
        f"{' images, mirrored at random' if settings['mirror'] else ''}, {settings['solver']}, for all. Plain is stock "
        "SoftmaxWithLoss. Class-balanced is `SampleWeight` "
        f"`{ {**settings['SampleWeight'], 'defer': 0} }` into `WeightedSoftmaxLoss`. Deferred is the same with "
        f"`'defer': {settings['SampleWeight']['defer']}`. LDAM + deferred has `LDAMLoss` `{settings['LDAMLoss']}` instead of `WeightedSoftmaxLoss`. "
        f"Balanced accuracy is the mean recall of the classes. Recall of the rarest is the mean over the {NUM_RAREST} rarest "
        f"classes. Accuracy at the training frequencies weights the recalls by the class sizes of the training set."
    )
    return f"{results['data set']}, long-tailed: class weights and when they start", rows, how


def _mining_table(results: Dict[str, Any]) -> Tuple[str, Rows, str]:
    found = results["mining"]
    settings = found["settings"]
    heads = [f"recall@{k}" for k in RANKS]
    rows = [["", *heads, "seconds per run"]]
    rows += [[name, *(f"{recall[head]:.3f}" for head in heads), ""] for name, recall in found["raw pixels"].items()]
    rows += [[title, *_cells(found["runs"][name], heads)] for name, title in mining.METHODS.items()]
    num_images = settings["classes"] * settings["samples"]
    losses = "; ".join(f"{mining.METHODS[name]} `{options}`" for name, options in settings["losses"].items())
    how = (
        f"Each of the {results['test images']} test images is a query among the others. Recall@k is the part of the queries that "
        "have an image of their class among the k nearest. The embedding is 64 numbers, divided by their norm (`L2Normalize`). One "
        f"net ({_MINING_NETS}), {settings['iterations']} batches of {num_images} images, {settings['solver']}, for all. "
        f"Random triplets come from `TripletDataLayer`, {num_images // 3} per batch, into `TripletLoss`. The others are mined by "
        f"`BatchTripletLoss` in batches of {settings['samples']} images of each of {settings['classes']} classes "
        f"(`ImageDataLayer`, `type: 'PK'`). Options of the loss: {losses}."
    )
    return f"{results['data set']}: triplets, random and mined", rows, how


def _losses_table(results: Dict[str, Any]) -> Tuple[str, Rows, str]:
    found, settings = results["losses"]["runs"], results["losses"]["settings"]
    rows = [["", *losses.MEASURES, *(f"{measure} elsewhere" for measure in losses.MEASURES), "seconds per run"]]
    for name, method in losses.METHODS.items():
        elsewhere = ["", ""] if method.elsewhere is None else [f"{value:.3f}" for value in method.elsewhere]
        *cells, seconds = _cells(found[name], losses.MEASURES)
        rows.append([method.title, *cells, *elsewhere, seconds])
    how = (
        f"The net, the data and the solver of the table above: {settings['iterations']} batches of {settings['images a batch']} images, "
        f"{settings['solver']}. Only the layers behind the embedding differ. Their options are the defaults, but for those in the table. "
        f"Figures without ± are of one run, with the seed {results['seeds'][0]}. The {losses.NUM_BEST} that were best by MAP@R were trained with the other seeds too. "
        "MAP@R counts all images of the query's class, each by the precision at its place, so that it says more of an embedding than recall@1. "
        "`LabelSpecificAdd` and `CosinAddm` are not trained apart: with the same margin and scale their scores are those of cosface and arcface. "
        "Elsewhere are the figures that losses of another library gave on the same images by the same protocol, one seed."
    )
    return f"{results['data set']}: the same embedding by every loss", rows, how


def _about_losses(results: Dict[str, Any]) -> List[str]:
    found = results["losses"]["runs"]
    titles = {name: method.title for name, method in losses.METHODS.items()}
    best = losses.best(found)
    apart = [
        (method.title, summarize(found[name], measure)[0] - value, measure)
        for name, method in losses.METHODS.items()
        for measure, value in zip(losses.MEASURES, method.elsewhere or ())
    ]
    farthest = {
        measure: max((each for each in apart if each[2] == measure), key=lambda each: abs(each[1]))
        for measure in losses.MEASURES
    }
    return [
        f"Here, by MAP@R, the best are {', '.join(f'{titles[name]} ({summarize(found[name], losses.MEASURES[1])[0]:.3f})' for name in best)}. "
        f"From the figures elsewhere, "
        + ", and ".join(
            f"{measure} is farthest for {title}, by {more:+.3f}" for measure, (title, more, _) in farthest.items()
        )
        + ". Differences of recall@1 below 0.005 are none: seeds differ by as much.",
    ]


def _about_imbalance(results: Dict[str, Any]) -> List[str]:
    found, methods = results["long tail"]["runs"], imbalance.METHODS
    names = list(methods)
    steps = [
        f"{methods[after]} against {methods[before]}: {gain(found[after], found[before], 'balanced accuracy')}"
        for before, after in zip(names, names[1:])
    ]
    means = [summarize(found[name], "balanced accuracy")[0] for name in names]
    published = "which is the published order" if means == sorted(means) else "which is not the published order"
    whole = gain(found[names[-1]], found[names[0]], "balanced accuracy")
    measure = "accuracy at the training frequencies"
    prices = [f"{methods[name]}: {gain(found[name], found[names[0]], measure)}" for name in names[1:]]
    return [
        "Published (Cao et al. 2019, LDAM): on iNaturalist 2018 a top-1 error of 42.86 plain, 38.88 class-balanced "
        "(with the focal loss), 36.27 plain + deferred, 32.00 LDAM + deferred; on CIFAR-10, long-tailed 100:1, 29.64 plain, "
        "27.63 class-balanced, 22.97 LDAM + deferred.",
        f"Here, from worst to best: {_order(found, methods, 'balanced accuracy')}, {published}. "
        f"{_verdict(found, methods, 'balanced accuracy')}",
        f"Step by step in the published order: {'; '.join(steps)}. All steps together, {methods[names[-1]]} against "
        f"{methods[names[0]]}: {whole}. The cost if the classes are as frequent as in training, against "
        f"{methods[names[0]]}: {'; '.join(prices)}.",
        "The learning rate is the one with the best mean over the four methods on held-out images. Plain alone was a little "
        "better there with a third of it, so the gains over plain are a little too large.",
    ]


def _about_mining(results: Dict[str, Any]) -> List[str]:
    found, methods = results["mining"]["runs"], mining.METHODS
    against = [f"{title}: {gain(found[name], found['random'], 'recall@1')}" for name, title in methods.items()][1:]
    pixels = max(recall["recall@1"] for recall in results["mining"]["raw pixels"].values())
    return [
        "Published (Wu et al. 2017, recall@1 on CUB-200): margin loss with distance-weighted mining 63.4, triplet loss with "
        "semi-hard mining 61.4. We know no table for Fashion-MNIST.",
        f"Here, from worst to best: raw pixels ({pixels:.3f}), {_order(found, methods, 'recall@1')}. "
        f"{_verdict(found, methods, 'recall@1')} Against random triplets on as many images: {'; '.join(against)}.",
        "When the settings were chosen, random triplets were a little better in larger batches, by far less than mining "
        "gains. Here all methods have batches of one size.",
        "Hard mining needs care. When the settings were chosen, with three times as many images per class in a batch all "
        "embeddings became nearly equal, and the loss stayed within a few hundredths of its margin.",
    ]


def _verdict(found: Dict[str, List[Dict[str, Any]]], methods: Dict[str, str], measure: str) -> str:
    """Which methods are clearly better than the first one, and which are clearly worse."""
    first, *others = methods
    apart: Dict[str, List[str]] = {"better": [], "worse": []}
    for name in others:
        more, error = difference(found[name], found[first], measure)
        if abs(more) > 2 * error:
            apart["better" if more > 0 else "worse"].append(methods[name])
    better, worse = (", ".join(names) or "none" for names in apart.values())
    return f"Clearly better than {methods[first]}: {better}; clearly worse: {worse}."


def _cells(runs: List[Dict[str, Any]], measures: Sequence[str]) -> List[str]:
    """Mean and spread of the measures, and the mean time."""
    pairs = [summarize(runs, measure) for measure in measures]
    spreads = [f" ± {spread:.3f}" if len(runs) > 1 else "" for _, spread in pairs]
    return [
        *(f"{mean:.3f}{spread}" for (mean, _), spread in zip(pairs, spreads)),
        f"{summarize(runs, 'seconds')[0]:.0f}",
    ]


def _order(found: Dict[str, List[Dict[str, Any]]], methods: Dict[str, str], measure: str) -> str:
    """The methods from worst to best, by the mean."""
    means = {name: summarize(found[name], measure)[0] for name in methods}
    return ", ".join(f"{methods[name]} ({means[name]:.3f})" for name in sorted(methods, key=lambda name: means[name]))
