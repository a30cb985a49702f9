"""What is wrong with a net or solver, its data and its weights, before it is trained."""

from typing import List, Optional, Sequence

from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.check.findings import Finding


def check(
    path: str,
    *,
    weights: Optional[str] = None,
    data: bool = True,
    build: bool = True,
    stages: Sequence[str] = (),
    all_data: bool = False,
) -> List[Finding]:
    """What is wrong with a net, or with a solver and its nets, by line; empty where nothing is.

    weights: a .caffemodel that is to be loaded. data: read sources: all labels, and the first and the last
    record; all_data: all records. build: have Caffe set up
    the net, if nothing is wrong so far and Caffe is there. stages: of the net, where its layers' rules ask for some.
    Raises ConfigError or DataError where a file cannot be read at all.
    """
    return check_files([path], weights=weights, data=data, build=build, stages=stages, all_data=all_data).findings
