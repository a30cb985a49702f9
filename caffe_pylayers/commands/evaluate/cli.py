"""`caffe-pylayers evaluate`: the table of figures."""

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple

import click
from click.core import ParameterSource

from caffe_pylayers.commands.console import Command, console, print_json, whole

if TYPE_CHECKING:
    from caffe_pylayers.commands.evaluate.embedded import Embedded
    from caffe_pylayers.evaluation import Evaluation

#: Figures by name, and sentences about them.
Found = Tuple[Dict[str, Any], List[str]]


def _places(context: click.Context, parameter: click.Parameter, text: Optional[str]) -> Optional[List[int]]:
    """The numbers of "1,2,4,8"."""
    if text is None:
        return None
    try:
        places = sorted({int(word) for word in text.split(",")})
    except ValueError:
        places = [0]
    if not 1 <= places[0] <= places[-1] < 2**31:
        raise click.BadParameter(f"{text!r} is not a list of integers from 1, as in 1,2,4,8")
    return places


#: Options that need another one.
_ONLY_FOR = {
    "gallery_labels": "gallery",
    "gallery_cameras": "gallery",
    "names": "pairs",
    "folds": "pairs",
    "rows": "picture",
    "classes": "picture",
}


def _refuse_useless(context: click.Context) -> None:
    """Raise UsageError for options that would have no effect, and for two that exclude each other."""
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    for name, needed in _ONLY_FOR.items():
        if name in given and needed not in given:
            raise click.UsageError(f"--{name.replace('_', '-')} is only for --{needed}")
    for name in ("cameras", "gallery", "at", "junk"):
        if name in given and "pairs" in given:
            raise click.UsageError(f"give --pairs or --{name}, but not both")
    save = context.params["save"]
    if save and not save.endswith(".npz"):
        raise click.UsageError(
            f"--save writes an .npz, but the name is {save}: give {save.rpartition('.')[0] or save}.npz"
        )
    if context.params["net"].endswith((".npy", ".npz")):
        for name in ("weights", "blob", "layer", "stage", "mirror", "gpu"):
            if name in given and not context.params.get("gallery"):
                word = "WEIGHTS" if name == "weights" else f"--{name}"
                raise click.UsageError(f"{word} is only for a net, but {context.params['net']} has features")


@click.command(cls=Command)
@click.argument("net")
@click.argument("weights", required=False)
@click.option("--blob", metavar="NAME", help="The blob with the features, a row per image.")
@click.option("--layer", help="The data layer, if the net has several.")
@click.option("--stage", multiple=True, help="A stage of the net; repeatable.")
@click.option("--mirror", is_flag=True, help="Add the feature of the mirrored image to that of each image.")
@click.option("--gpu", type=whole(0), help="Run the net on this GPU; on the CPU by default.")
@click.option(
    "--labels", metavar="FILE", help="An integer per record, .npy or text; by default of the data layer or the .npz."
)
@click.option(
    "--gallery",
    metavar="NET",
    help="Look for the records in those of this net, with the same weights and blob, or of this .npz.",
)
@click.option("--gallery-labels", metavar="FILE", help="The labels of the gallery.")
@click.option(
    "--metric",
    type=click.Choice(["cosine", "euclidean"]),
    default="cosine",
    show_default=True,
    help="What is near.",
)
@click.option("--at", callback=_places, help="k of recall@k, 1,2,4,8 by default; ranks of the CMC, 1,5,10 by default.")
@click.option(
    "--pairs",
    metavar="FILE",
    help="Verification: two names per line, and 1 (same class) or 0, or none for the labels; or a list of LFW's form.",
)
@click.option(
    "--names",
    type=click.Choice(["number", "key"]),
    default="number",
    show_default=True,
    help="What the names in --pairs are: numbers of records from 0, or file names and keys.",
)
@click.option("--folds", type=whole(2), help="Folds of the pairs; by default 10, or the sets of a list of LFW's form.")
@click.option("--cameras", metavar="FILE", help="Re-identification: the camera of each record, an integer.")
@click.option("--gallery-cameras", metavar="FILE", help="The cameras of the gallery.")
@click.option(
    "--junk",
    multiple=True,
    type=click.IntRange(-(2**31), 2**31 - 1),
    help="An identity that is left out of the gallery; repeatable.",
)
@click.option(
    "--picture", metavar="FILE", help="Draw the nearest neighbours of some records, or with --pairs the ROC, as PNG."
)
@click.option(
    "--rows", type=click.IntRange(1, 100), default=8, show_default=True, help="Records in the picture, up to 100."
)
@click.option("--classes", metavar="FILE", help="Text file with one class name per line, for the picture.")
@click.option("--save", metavar="FILE", help="Write the features as .npz, to be read again in place of the net.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def evaluate(
    context: click.Context,
    net: str,
    weights: Optional[str],
    blob: Optional[str],
    layer: Optional[str],
    stage: Tuple[str, ...],
    mirror: bool,
    gpu: Optional[int],
    labels: Optional[str],
    gallery: Optional[str],
    gallery_labels: Optional[str],
    metric: str,
    at: Optional[List[int]],
    pairs: Optional[str],
    names: str,
    folds: Optional[int],
    cameras: Optional[str],
    gallery_cameras: Optional[str],
    junk: Tuple[int, ...],
    picture: Optional[str],
    rows: int,
    classes: Optional[str],
    save: Optional[str],
    force: bool,
    as_json: bool,
) -> None:
    """Measure an embedding: retrieval by class, verification of pairs, or re-identification across cameras.

    NET is a net or a solver with a data layer of this package in TEST, which is read once from the first record to the last, in its order; WEIGHTS
    is a .caffemodel. NET may also be a file of features (.npz with `features`, `labels`, `cameras`, `names`, or .npy) without weights.

    \b
    caffe-pylayers evaluate train_val.prototxt embedding_iter_3000.caffemodel --blob embedding
    caffe-pylayers evaluate features.npz --pairs pairs.csv --picture roc.png
    caffe-pylayers evaluate query.npz --gallery gallery.npz
    """
    _refuse_useless(context)

    from caffe_pylayers.commands.evaluate.evaluate import embedded_by
    from caffe_pylayers.commands.evaluate.feature_files import SUFFIXES, write_features
    from caffe_pylayers.commands.evaluate.pictures import is_picture
    from caffe_pylayers.evaluation import Evaluation
    from caffe_pylayers.files.output_file import refuse_existing

    inputs = (net, weights, gallery, labels, gallery_labels, cameras, gallery_cameras, pairs, classes)
    refuse_existing([path for path in (picture,) if path and not is_picture(path)], force, inputs)
    refuse_existing([save] if save else [], force, (*inputs, picture))
    queries = embedded_by(net, weights, blob, layer, stage, mirror, gpu, labels, cameras)
    if save:
        write_features(save, queries)
    found_in = queries
    if gallery is not None:
        if not gallery.endswith(SUFFIXES) and (weights is None or blob is None):
            raise click.UsageError(f"--gallery {gallery} is a net: give its WEIGHTS behind {net}, and --blob")
        by_net = (None, None, None, (), False) if gallery.endswith(SUFFIXES) else (weights, blob, layer, stage, mirror)
        found_in = embedded_by(gallery, *by_net, gpu, gallery_labels, gallery_cameras)
    if picture and pairs is None:
        queries.require_images()
        found_in.require_images()
    reidentifies = queries.records.cameras is not None or found_in.records.cameras is not None
    if junk and not reidentifies:
        raise click.UsageError("--junk is only for re-identification, which needs --cameras")
    with _progress(len(queries.records)) as progress:
        evaluation = Evaluation(
            queries.records, metric=metric, gallery=None if gallery is None else found_in.records, progress=progress
        )
        if pairs is not None:
            figures, notes = _verified(evaluation, queries, pairs, names, folds, picture)
        elif reidentifies:
            figures, notes = _reidentified(evaluation, at or [1, 5, 10], junk)
        else:
            figures, notes = _retrieved(evaluation, at or [1, 2, 4, 8])
    if picture and pairs is None:
        from caffe_pylayers.commands.evaluate.pictures import draw_neighbours
        from caffe_pylayers.files.class_names import all_class_names

        draw_neighbours(picture, evaluation, queries, found_in, rows, classes and all_class_names(classes))
    if evaluation.zeros:
        notes.append(f"{evaluation.zeros} features are vectors of zeros: their cosine counts as 0")
    notes = [*dict.fromkeys([*queries.notes, *found_in.notes]), *notes]
    written = [path for path in (save, picture) if path]
    if as_json:
        print_json({**figures, "metric": metric, "notes": notes, "written": written})
    else:
        _show(figures, notes, written)


def _retrieved(evaluation: "Evaluation", at: List[int]) -> Found:
    found = evaluation.retrieval(at)
    figures = {f"recall@{k}": part for k, part in found.recall.items()}
    figures.update({"MAP@R": found.map_at_r, "R-precision": found.r_precision})
    return {**figures, "queries": found.queries}, _left_out(found, "another record of their class")


def _reidentified(evaluation: "Evaluation", at: List[int], junk: Tuple[int, ...]) -> Found:
    found = evaluation.reidentification(at, junk)
    figures = {f"rank-{rank}": part for rank, part in found.cmc.items()}
    notes = _left_out(found, "their identity in another camera")
    if found.junk:
        notes.append(f"{found.junk} records of the gallery are junk, and are left out")
    return {**figures, "mAP": found.mean_ap, "queries": found.queries}, notes


def _left_out(found: Any, what: str) -> List[str]:
    notes = []
    if found.alone:
        notes.append(f"{found.alone} records are no queries: the gallery does not have {what}")
    if found.unlabelled:
        notes.append(f"{found.unlabelled} records are no queries: they have no label")
    if found.classes == 1:
        notes.append("the gallery has one class alone: with any features all figures are 1")
    return notes


def _verified(
    evaluation: "Evaluation", embedded: "Embedded", path: str, names: str, folds: Optional[int], picture: Optional[str]
) -> Found:
    places, same, sets = embedded.pairs(path, names)
    found = evaluation.verification(places, same, folds or (sets if sets and sets > 1 else 10), path)
    if picture:
        from caffe_pylayers.commands.evaluate.pictures import draw_roc

        draw_roc(picture, found, f"{path}: {found.pairs} pairs")
    figures = {
        "accuracy": found.accuracy,
        "deviation": found.deviation,
        f"threshold ({evaluation.unit})": found.threshold,
    }
    figures.update({"EER": found.eer, "AUC": found.auc})
    figures.update({f"TAR at FAR {far:g}": tar for far, tar in found.tar.items()})
    different = found.pairs - found.same
    notes = [
        f"{far:g} of {different} different pairs is less than one pair: this TAR is that without a false one"
        for far in found.tar
        if far * different < 1
    ]
    return {**figures, "pairs": found.pairs, "same": found.same, "folds": found.folds}, notes


@contextlib.contextmanager
def _progress(queries: int) -> Iterator[Callable[[int], None]]:
    from tqdm import tqdm

    with tqdm(total=queries, desc="evaluating", unit="query", disable=None, leave=False) as bar:

        def reach(query: int) -> None:
            bar.update(query + 1 - bar.n)

        yield reach


def _show(figures: Dict[str, Any], notes: List[str], written: List[str]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:.4f}" if isinstance(figure, float) else str(figure))
    terminal = console()
    terminal.print(table)
    for line in (*notes, *(f"wrote {path}" for path in written)):
        terminal.print(line, soft_wrap=True, markup=False)
