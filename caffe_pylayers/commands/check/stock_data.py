"""The data of Caffe's own data layers: the source is there, its records can be used, the mean fits them."""

import contextlib
from typing import Iterator

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands import stock_sources
from caffe_pylayers.commands.check.findings import Finding, error, warning
from caffe_pylayers.commands.check.images import Images
from caffe_pylayers.commands.check.looking import check_file, read_records
from caffe_pylayers.commands.check.numbers import Numbers, Top
from caffe_pylayers.commands.check.records import StockRecords
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.errors import DataError


def is_data_layer(layer: Layer) -> bool:
    """Whether it is one of Caffe's own data layers with a source."""
    return layer.type in stock_sources.PARAMS


def check_matrix(layer: Layer, _: Report) -> Iterator[Finding]:
    """The file of the matrix H is there."""
    yield from check_file(layer, "infogain_loss_param.source")


def check_source(layer: Layer, report: Report) -> Iterator[Finding]:
    """What is wrong with the data of a layer; the numbers of its tops that are labels go into the report."""
    name = stock_sources.PARAMS.get(layer.type)
    if name is None:
        return
    if not stock_sources.source_of(layer):
        yield error(layer, f"{name} has no source", f'add `source: "..."` to {name}', name)
        return
    yield from _check_transform_fields(layer, name)
    if not stock_sources.batch_size(layer):
        problem = "batch_size is 0 or not given"
        yield error(layer, problem, f"add `batch_size: 64`, say, to {name}", f"{name}.batch_size")
    from caffe_pylayers.commands.check.stock_records import records_of

    images = Images(layer)
    try:
        records = records_of(layer)
        if records is None:
            report.skipped.append(f"the LevelDB of layer {layer.name!r}, which only Caffe can read")
        else:
            with contextlib.closing(records):
                yield from _read(layer, records, images, report)
    except DataError as problem:
        yield error(layer, problem.found, problem.remedy or "fix it", f"{name}.source")
    yield from images.doubts(f"{name}.source")
    yield from images.check_transform()


def _read(layer: Layer, records: StockRecords, images: Images, report: Report) -> Iterator[Finding]:
    """Read its records and its labels."""
    at = f"{stock_sources.PARAMS[layer.type]}.source"
    wanted = report.wanted(layer)

    def read(number: int) -> None:
        picture = records.picture(number, values=Top(layer, 0) in wanted)
        if picture is not None:
            images.take(picture, number, records)

    yield from read_records(layer, report, [len(records)], read, records.level, at)
    for top in wanted:
        of_images = images.numbers if top == Top(layer, 0) else None
        report.labels[top] = of_images or Numbers.of(top, records.numbers(top.number), records.where)
    if records.without_label and Top(layer, 1) in wanted:
        first, count = records.where(records.without_label[0]), len(records.without_label)
        problem = f"{first}: it has no label, and Caffe takes 0 silently ({count} of {len(records)} records have none)"
        yield warning(layer, problem, "write the LMDB again with labels, as convert_imageset does", at)


def _check_transform_fields(layer: Layer, param: str) -> Iterator[Finding]:
    """In nets of today Caffe reads these in transform_param alone."""
    for field in layer.message.message(param).fields:
        if field.name in ("scale", "mean_file", "crop_size", "mirror"):
            yield warning(
                layer,
                f"{field.name} in {param} has no effect",
                f"move it: `transform_param {{ {field.name}: ... }}`",
                f"{param}.{field.name}",
            )
