"""`caffe-pylayers balance`: how often each class occurs, and the class weights that follow; or where values lie."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple, Union

import click
from click.core import ParameterSource

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.commands.console import Command, Number, console, echo, once_called, print_json, whole
from caffe_pylayers.commands.source_options import datasets_flag, one_or_several
from caffe_pylayers.data.formats import FORMATS, guessed_format

if TYPE_CHECKING:
    from caffe_pylayers.commands.balance.label_counts import LabelCounts
    from caffe_pylayers.commands.balance.value_columns import ValueColumns

_TYPES = (*FORMATS, "NET")
_RULES = ("max_count", "balanced", "inverse_sqrt", "median_frequency", "effective_number")
_FOR_NETS = ("layer", "phase", "stage", "top", "batches")
_FOR_SOURCES = ("root", "header", "datasets", "maps", "labels", "label_format", "label_order", "missing")

_FOR_CLASSES = ("rules", "beta", "smoothing", "write_h", "write_weights", "ignore_label")
_NOT_FOR_VALUES = (*_FOR_CLASSES, "n_classes", "scale", "classes", "per", "write_counts")

_choice = click.Choice


@click.command(cls=Command, context_settings=once_called({"type": "source-type"}))
@click.argument("target")
@click.option(
    "--source-type",
    type=_choice(_TYPES, case_sensitive=False),
    help="Type of TARGET; by default from its name or contents.",
)
@click.option("--root", help="CSV: folder to put before the file names.")
@click.option("--header", is_flag=True, default=None, help="CSV: the first line names the columns.")
@click.option(
    "--maps",
    is_flag=True,
    default=None,
    help="Count the pixels of label maps: the second name on each line of a CSV, an LMDB of maps, the data set label of HDF5.",
)
@click.option("--missing", type=_choice(["skip"]), help="CSV: skip lines whose file does not exist.")
@datasets_flag
@click.option(
    "--labels",
    multiple=True,
    callback=one_or_several,
    help="Labels from another file, or columns of a CSV (repeatable), as option 'labels' of the data layers.",
)
@click.option(
    "--label-format",
    type=_choice(["indices", "indicator", "sign", "values"]),
    help="What a row of labels holds: label numbers, 0 and 1, or -1 and 1, or any numbers (values).",
)
@click.option(
    "--label-order",
    type=_choice(["key"]),
    help="LMDB whose keys are numbers without leading zeros: rows of labels are in the order of the numbers.",
)
@click.option("--layer", help="Net: the data layer, if it has several.")
@click.option("--phase", type=_choice(["TRAIN", "TEST"]), help="Net: its phase; TRAIN by default.")
@click.option("--stage", multiple=True, help="Net: a stage; repeatable.")
@click.option("--top", help="Net: run it and count the labels in this blob (also label maps).")
@click.option("--batches", type=whole(), help="How many batches --top counts; 100 by default.")
@click.option(
    "--n-classes",
    type=click.IntRange(1, LARGEST_LABEL),
    help="Number of classes K; by default the largest label plus 1.",
)
@click.option(
    "--per",
    type=_choice(["class", "label"]),
    help="What is counted if records have several labels: classes, or the positives and negatives of each label, "
    "for SampleWeight with `per: label`.",
)
@click.option("--ignore-label", type=whole(-(2**31)), help="A label that is not counted.")
@click.option("--rule", "rules", multiple=True, type=_choice(_RULES), help="Rule of the weights; all by default.")
@click.option(
    "--beta",
    type=Number(0, 1, True, True),
    default=0.999,
    show_default=True,
    help="Beta of rule effective_number.",
)
@click.option(
    "--scale",
    type=_choice(["mean_one", "sum_one", "none"]),
    default="mean_one",
    show_default=True,
    help="Scale of the weights.",
)
@click.option("--smoothing", type=Number(0, 1, max_open=True), default=0.0, help="Label smoothing e in H.")
@click.option("--classes", help="Text file with one class name per line.")
@click.option(
    "--write-h", metavar="FILE", help="Write H, .binaryproto for stock InfogainLoss or .npy; with one --rule."
)
@click.option("--write-weights", metavar="FILE", help="Write the weights, .npy or text; with one --rule.")
@click.option("--write-counts", metavar="FILE", help="Write the counts, .npy or text, for the option `counts`.")
@click.option("--plot", metavar="FILE", help="Draw the counts into a PNG.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def balance(
    target: str,
    source_type: Optional[str],
    n_classes: Optional[int],
    per: Optional[str],
    ignore_label: Optional[int],
    rules: Tuple[str, ...],
    beta: float,
    scale: str,
    smoothing: float,
    classes: Optional[str],
    write_h: Optional[str],
    write_weights: Optional[str],
    write_counts: Optional[str],
    plot: Optional[str],
    force: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Count the labels of each class, and show the class weights by each rule.

    TARGET is a source of images (CSV, LMDB, BCF, HDF5; only its labels are read), or a net or solver, and then
    the source of its data layer is counted. Of labels that are any numbers (values) it shows where they lie. H = diag(w) ((1-e) I + e/K 11') makes stock InfogainLoss the softmax loss with weights w.

    \b
    caffe-pylayers balance train_lmdb
    caffe-pylayers balance train_lmdb --rule balanced --write-h H.binaryproto
    caffe-pylayers balance train.csv --label-format indicator --per label --write-counts counts.txt
    caffe-pylayers balance pairs.txt --maps --root VOC2012 --ignore-label 255 --write-counts counts.txt
    """
    from caffe_pylayers.commands.balance import weight_files
    from caffe_pylayers.commands.balance.chart import draw_counts
    from caffe_pylayers.commands.balance.label_counts import LabelCounts
    from caffe_pylayers.commands.balance.table import print_table, print_targets
    from caffe_pylayers.commands.layer_files import files_read
    from caffe_pylayers.commands.net_or_solver import net_in
    from caffe_pylayers.files.class_names import read_class_names
    from caffe_pylayers.files.output_file import output_file, refuse_existing

    if where["label_format"] == "values":
        _refuse_flags_of_classes("the labels are values")
    if per == "label":
        _refuse_of_classes()
    of_one_rule = [path for path in (write_h, write_weights) if path]
    if of_one_rule and len(rules) != 1:
        raise click.UsageError(
            f"{of_one_rule[0]} writes the weights of one rule; choose it with --rule: {', '.join(_RULES)}"
        )
    outputs = [path for path in (*of_one_rule, write_counts, plot) if path]
    inputs = [target, classes, *([where["labels"]] if isinstance(where["labels"], str) else [])]
    kind = source_type or _kind_of(target)
    if force and any(map(os.path.exists, outputs)) and kind == "NET":
        inputs += files_read(layer for layer in net_in(target)[0].layers if not layer.bottoms)
    refuse_existing(outputs, force, inputs)
    if write_h:
        weight_files.check_matrix(write_h, n_classes or 1)
    counts = _counted(target, kind, n_classes, ignore_label, where)
    if not isinstance(counts, LabelCounts):
        _show_values(counts, plot, as_json)
        return
    _check_per(per, counts, write_counts)
    names = read_class_names(classes, len(counts.counts))
    of_classes = rules or _fitting_rules(counts)
    weights = {rule: counts.weights(rule, beta, scale) for rule in of_classes if per != "label"}
    told: List[str] = []
    if write_h:
        weight_files.write_matrix(write_h, weights[rules[0]], smoothing)
        told.append(_INFOGAIN.format(path=write_h, size=len(counts.counts)))
    if write_weights:
        weight_files.write_weights(write_weights, weights[rules[0]])
        told.append(_WEIGHTS.format(path=write_weights))
    if write_counts:
        write, what = (
            (weight_files.write_target_counts, _TARGETS) if per == "label" else (weight_files.write_counts, _COUNTS)
        )
        write(write_counts, counts)
        told.append(what.format(path=write_counts, size=len(counts.counts), scale=scale))
    if plot:
        with output_file(plot) as partial:
            draw_counts(partial, counts, names, counts.of)
        told.append(f"wrote {plot}")
    if as_json:
        print_json(_as_json(counts, weights))
    elif per == "label":
        print_targets(console(), counts, names)
    else:
        print_table(console(), counts, names, weights, scale)
    for line in told:
        echo(line, err=as_json)


_INFOGAIN = """\
wrote {path}, H of {size} x {size} for stock InfogainLoss:
  layer {{
    name: "loss"  type: "InfogainLoss"  bottom: "scores"  bottom: "label"  top: "loss"
    infogain_loss_param {{ source: "{path}" }}
  }}"""

_WEIGHTS = (
    "wrote {path}, a weight per class, for the options `class_weights` of WeightedSoftmaxLoss, `weights` of SampleWeight and\n"
    "ComputeH, and `alpha` of FocalLoss; of WeightedSoftmaxLoss, say:\n"
    "  param_str: \"{{'class_weights': '{path}'}}\""
)

_COUNTS = (
    "wrote {path}, for the option `counts` of ComputeH, SampleWeight and LDAMLoss; for ComputeH, for example:\n"
    "  param_str: \"{{'n_classes': {size}, 'counts': '{path}', 'scale': '{scale}'}}\""
)

_TARGETS = (
    "wrote {path}, positives and negatives of each label, for the option `counts` of SampleWeight:\n"
    "  param_str: \"{{'n_classes': {size}, 'per': 'label', 'rule': 'balanced', 'counts': '{path}', 'scale': '{scale}'}}\""
)

_NO_SETS = (
    "{of} has no rows of targets; name a CSV, LMDB, BCF or HDF5 source, or a net with MultiLabelDataLayer, not a blob or a net "
    "with a stock data layer"
)


def _refuse_of_classes() -> None:
    """Raise click.UsageError for an option that has no effect with --per label."""
    given = _given(_FOR_CLASSES)
    if given:
        raise click.UsageError(f"{given[0]} is for classes; with --per label leave it out")


def _given(names: Sequence[str]) -> List[str]:
    """The flags of those options that were given."""
    context = click.get_current_context()
    return [
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]


def _check_per(per: Optional[str], counts: "LabelCounts", write_counts: Optional[str]) -> None:
    """Raise click.UsageError where there is nothing per label to count, or it is open what a file of counts must have."""
    if per == "label" and counts.negatives is None:
        raise click.UsageError(f"--per label: {counts.doubt or _NO_SETS.format(of=counts.of)}")
    if write_counts and per is None and counts.several and counts.negatives is not None:
        raise click.UsageError(
            "each record has several labels: --per label counts the positives and negatives of each, for SampleWeight with "
            "`per: label`; --per class counts class numbers"
        )


def _refuse_flags_of_classes(why: str) -> None:
    """Raise click.UsageError for the flags that were given and are about classes."""
    given = _given(_NOT_FOR_VALUES)
    if given:
        raise click.UsageError(f"{why} (any numbers), which have no classes; leave {' and '.join(given)} out")


def _show_values(values: "ValueColumns", plot: Optional[str], as_json: bool) -> None:
    from caffe_pylayers.commands.balance.chart import draw_values
    from caffe_pylayers.commands.balance.table import print_values
    from caffe_pylayers.files.output_file import output_file

    _refuse_flags_of_classes(f"the labels of {values.of} are values")
    if plot:
        with output_file(plot) as partial:
            draw_values(partial, values)
    if as_json:
        print_json(
            {
                "of": values.of,
                "records": values.num_records,
                "batch_size": values.epoch and values.epoch.batch_size,
                "batches_per_epoch": values.epoch and values.epoch.batches,
                "values": [column.as_json() for column in values.columns],
            }
        )
    else:
        print_values(console(), values)
    if plot:
        echo(f"wrote {plot}", err=as_json)


def _kind_of(target: str) -> str:
    """What a path is: a net by its name, a source by what is there."""
    if not os.path.exists(target):
        raise click.ClickException(f"there is no {target} in {os.getcwd()}; give a source of images, or a net")
    return "NET" if target.lower().endswith((".prototxt", ".pbtxt", ".pt")) else guessed_format(target, "--source-type")


def _counted(
    target: str, kind: str, num_classes: Optional[int], ignore_label: Optional[int], where: Dict[str, Any]
) -> "Union[LabelCounts, ValueColumns]":
    """Count the labels of a net or a source, or say where its values lie. Raises click.UsageError for an option of the other."""
    given = {name: value for name, value in where.items() if value not in (None, ())}
    idle = [name for name in given if name in (_FOR_SOURCES if kind == "NET" else _FOR_NETS)]
    if idle:
        why = (
            "is not for a net: its data layer sets it"
            if kind == "NET"
            else f"is only for nets, not for a source ({kind})"
        )
        raise click.UsageError(f"--{idle[0].replace('_', '-')} {why}; leave it out")
    if kind != "NET":
        from caffe_pylayers.commands import source_options
        from caffe_pylayers.commands.balance.label_counts import LabelCounts, of_maps, of_source
        from caffe_pylayers.data.sources import source_of, sources_of

        if given.pop("maps", False):
            of_labels = [name for name in ("labels", "label_format", "label_order") if name in given]
            if of_labels:
                raise click.UsageError(f"--{of_labels[0].replace('_', '-')} is not for maps; leave it out")
            lmdb = {"maps": target} if kind == "LMDB" else {}
            options = source_options.checked(kind, target, {**lmdb, **given}, "ImageMapDataLayer")
            with source_options.flags_in_errors():
                return of_maps(options, sources_of(options, images=False), num_classes, ignore_label)
        options = source_options.checked(kind, target, given)
        with source_options.flags_in_errors():
            counts = of_source(source_of(options, images=False), num_classes, ignore_label)
        return (
            replace(counts, doubt=source_options.as_flags(counts.doubt)) if isinstance(counts, LabelCounts) else counts
        )
    from tqdm import tqdm

    from caffe_pylayers.caffe_files.nets import TRAIN
    from caffe_pylayers.commands.balance import net_labels
    from caffe_pylayers.commands.net_or_solver import net_in

    net, state = net_in(target, given.get("phase", TRAIN), given.get("stage", ()))
    if "top" not in given:
        if "batches" in given:
            raise click.UsageError("--batches is for --top; without it every record of the source is counted once")
        return net_labels.of_net(net, state, given.get("layer"), num_classes, ignore_label)
    if "layer" in given:
        raise click.UsageError(
            "--layer and --top are both given; leave --layer out: --top counts a blob, no matter which layer makes it"
        )
    batches = tqdm(range(given.get("batches", 100)), desc="counting", unit="batch", disable=None)
    return net_labels.of_blob(net, state, given["top"], batches, num_classes, ignore_label)


def _fitting_rules(counts: "LabelCounts") -> Sequence[str]:
    """All rules but the one that is 1 for all classes where records have one label each."""
    return [rule for rule in _RULES if rule != "median_frequency" or counts.several]


def _as_json(counts: "LabelCounts", weights: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "of": counts.of,
        "records": counts.num_records,
        "labels": int(counts.counts.sum()),
        "ignored": counts.num_ignored,
        "doubt": counts.doubt,
        "batch_size": counts.epoch and counts.epoch.batch_size,
        "batches_per_epoch": counts.epoch and counts.epoch.batches,
        "counts": counts.counts.tolist(),
        "negatives": None if counts.negatives is None else counts.negatives.tolist(),
        "in_images": counts.in_images.tolist(),
        "absent": counts.absent,
        "labels_a_record": {str(n): int(records) for n, records in enumerate(counts.a_record) if records},
        "weights": {rule: values.tolist() for rule, values in weights.items()},
        "factor_on_mean_loss": {rule: counts.mean_weight(values) for rule, values in weights.items()},
    }
