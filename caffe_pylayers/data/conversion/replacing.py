"""What may be replaced by a conversion: what an earlier one wrote, and never what it reads."""

import json
import os
from typing import List

from caffe_pylayers.data.conversion.provenance import provenance_of
from caffe_pylayers.data.conversion.targets import Target
from caffe_pylayers.errors import ConfigError, DataError


def refuse_source(source: str, target: str) -> None:
    """Raise ConfigError where a conversion would write over what it reads."""
    if os.path.realpath(source) == os.path.realpath(target):
        raise ConfigError(f"{target}: it is the source; write to another name")


def old_pieces(target: Target, force: bool) -> List[str]:
    """The names of what is there and shall be replaced, the target itself first.

    Raises DataError where something is there without `force`, or that no conversion wrote.
    """
    pieces = [piece for piece in reversed([*target.pieces()]) if os.path.lexists(piece)]
    if not pieces and not os.path.lexists(provenance_of(target.path)):
        return []
    if pieces and not force:
        raise DataError(f"{pieces[0]} is there already; --force replaces it, or write to another name")
    ours = _written_before(target.path)
    for piece in pieces:
        if not (os.path.basename(piece) in ours or (piece == target.path and _is_plain(piece))):
            raise DataError(
                f"{piece} is there, and was not written by a conversion to {target.path}, so that --force does not replace "
                f"it; move it away, or write to another name"
            )
    others = sorted(ours - {os.path.basename(piece) for piece in pieces})  # of another format
    names = [*map(os.path.basename, pieces), *others]
    return [*names, os.path.basename(provenance_of(target.path))]


def _written_before(path: str) -> "set[str]":
    """The names of what an earlier conversion wrote."""
    try:
        with open(provenance_of(path)) as stream:
            return {name for name in json.load(stream)["files"] if name == os.path.basename(name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _is_plain(path: str) -> bool:
    """Whether it is a file, or a folder with an LMDB and nothing else."""
    return not os.path.isdir(path) or {"data.mdb"} <= {*os.listdir(path)} <= {"data.mdb", "lock.mdb"}
