"""Files are there, and records can be read: the first and the last of each source, or all of them."""

import os
from itertools import accumulate
from typing import Callable, Iterator, List, Sequence

from tqdm import tqdm

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, of_layer
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.stock_sources import where_paths_start
from caffe_pylayers.errors import ChangedSourceError, DataError

_NAMED = 3  # records that cannot be read; the others are counted


def check_file(layer: Layer, path: str) -> Iterator[Finding]:
    """A file that a layer reads is there. path: names with dots between, as in `infogain_loss_param.source`."""
    *outer, name = path.split(".")
    message = layer.message
    for each in outer:
        message = message.message(each)
    file = message.get(name)
    if file is not None and not os.path.isfile(str(file)):
        yield error(layer, f"{name} {str(file)!r}: there is no such file", where_paths_start(), path)


def read_records(
    layer: Layer, report: Report, sizes: Sequence[int], read: Callable[[int], None], level: str, at: str
) -> Iterator[Finding]:
    """Read records of sources of these sizes; a finding for each of the first that cannot be, and one with their count.

    read: raises DataError for a record, numbered through all sources. level, at: of the findings. Raises ChangedSourceError as `read` does.
    """
    ends = list(accumulate(sizes))
    count = ends[-1]
    of_each = ({end - size, end - 1} for size, end in zip(sizes, ends))
    numbers = range(count) if report.all_data else sorted(set().union(*of_each))
    bad: List[DataError] = []
    found = 0
    quiet = None if report.all_data else True  # None: on a terminal only
    for number in tqdm(numbers, desc=f"reading {layer.name}", unit="records", disable=quiet, delay=1):
        try:
            read(number)
        except ChangedSourceError:
            raise
        except DataError as problem:
            found += 1
            if len(bad) < _NAMED:
                bad.append(problem.kept())
    report.records[layer] = len(numbers), count
    for complaint in bad:
        yield of_layer(layer, level, complaint.found, complaint.remedy or "fix it", at)
    if found > len(bad):
        yield of_layer(
            layer,
            level,
            f"{found} of {count} records cannot be used, of which these are the first {len(bad)}",
            bad[0].remedy,
            at,
        )
