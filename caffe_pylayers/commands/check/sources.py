"""The data of this package's data layers: the source is there, its first and last record can be used, it has labels."""

from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.python_layers import check_files, options_of, ours, schema_of
from caffe_pylayers.commands.check.report import Labels, Report
from caffe_pylayers.config.bottoms_and_tops import tops_of
from caffe_pylayers.config.data import DataLayerOptions
from caffe_pylayers.errors import ConfigError, DataError


def is_data_layer(layer: Layer) -> bool:
    """Whether it is a data layer of this package."""
    schema = schema_of(layer)
    return schema is not None and issubclass(schema, DataLayerOptions)


def check_source(layer: Layer, report: Report) -> Iterator[Finding]:
    """What is wrong with the data of a data layer; the labels of its top of labels go into the report."""
    options = options_of(layer)
    if options is None or not is_data_layer(layer) or any(check_files(layer, report)):
        return
    try:
        tops_of(ours(layer), options, len(layer.tops))
    except ConfigError:  # python_layers has found it
        return
    try:
        findings, labels = _read(layer, options, layer in report.trained_layers)
    except (ConfigError, DataError) as problem:
        yield error(layer, problem.found, problem.remedy or _MEND, "python_param.param_str")
        return
    yield from findings
    if labels is not None:
        report.labels[layer] = labels


def _read(layer: Layer, options: Any, training: bool) -> Tuple[List[Finding], Optional[Labels]]:
    from caffe_pylayers.data import samplers
    from caffe_pylayers.data.sources import source_of

    source = source_of(options)
    findings = list(_check_annotations(layer, options, source))
    fed: Any = slice(None)  # records
    if not findings:
        sampler = samplers.sampler_of(source, options, training=training, ranks=1)
        fed = sampler.records if isinstance(sampler, samplers.Labelled) else fed
    findings += _check_images(layer, options, source)
    labels = None
    if getattr(options, "multilabel", False):
        if source.unknown is not None:
            labels = Labels(-1, 1, source.describe(int(source.unknown.any(1).argmax())), targets=True)
    elif source.labels is not None:
        given = source.labels[fed]
        most = np.unravel_index(int(source.labels.argmax()), source.labels.shape)
        labels = Labels(int(given.min()), int(given.max()), source.describe(int(most[0])))
    return findings, labels


def _check_annotations(layer: Layer, options: Any, source: Any) -> Iterator[Finding]:
    tops = tops_of(ours(layer), options, len(layer.tops))
    where = source.described
    if {"label", "label_p"} & set(tops) and source.labels is None:
        yield error(
            layer,
            f"{where} has no labels, but the layer has a top for them",
            ("write a label after each file name, " if source.kind == "CSV" else "")
            + "give labels with option 'labels', or leave the top out",
            "top",
            tops.index("label"),
        )
    if "sample_weight" in tops and source.sample_weights is None:
        yield error(
            layer,
            f"{where} has no sample weights, but the layer has a top for them",
            "give them with option 'sample_weights', or leave the top out",
            "top",
            tops.index("sample_weight"),
        )
    if getattr(options, "sample_weights", None) is not None and "sample_weight" not in tops:
        yield warning(
            layer,
            "'sample_weights' has no effect: the layer has no third top for them",
            'add `top: "sample_weight"`, and give it to a loss',
            "python_param.param_str",
        )
    if getattr(options, "multilabel", False) and options.label_dim and source.labels is not None:
        most = int(source.labels.max())
        if most >= options.label_dim:
            yield error(
                layer,
                f"{where} has label {most}, but 'label_dim' is {options.label_dim}: labels are 0 to {options.label_dim - 1}",
                f"set 'label_dim': {most + 1}, or leave it out",
                "python_param.param_str",
            )


def _check_images(layer: Layer, options: Any, source: Any) -> Iterator[Finding]:
    """The first and the last record, made into images as the layer makes them."""
    from caffe_pylayers.data.axes import axes_doubt, stored_axes
    from caffe_pylayers.data.recipe import Recipe
    from caffe_pylayers.data.transforms import Transforms

    transforms = Transforms.of(options)
    tolerant = options.on_error != "stop"
    recipe = Recipe.of(source, transforms, tolerant)
    out = np.empty((1, *recipe.shape), recipe.dtype)
    complaints = recipe.fill(np.array([len(source) - 1]), np.zeros(1, np.uint64), out, tolerant=tolerant)
    for complaint in complaints.values():
        yield warning(layer, complaint.found, complaint.remedy or _MEND, "python_param.param_str")
    stored = stored_axes(source)
    doubt = axes_doubt(*stored) if stored else None
    if doubt:
        yield warning(layer, f"{source.describe(0)}: {doubt.problem}", doubt.remedy, "python_param.param_str")


_MEND = "fix the source, or the options that name it"
