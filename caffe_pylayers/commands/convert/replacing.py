"""What may be replaced by a conversion: what an earlier one wrote and nobody changed since, and never what it reads."""

import json
import os
from typing import Any, Dict, Iterable, Iterator, List, Tuple

from caffe_pylayers import regular_file
from caffe_pylayers.commands.convert.provenance import described, provenance_of
from caffe_pylayers.commands.convert.targets import Target
from caffe_pylayers.errors import ConfigError, DataError


def refuse_source(sources: Iterable[str], target: Target, old: Iterable[str]) -> None:
    """Raise ConfigError where a conversion would write over what it reads, or beside it into an LMDB.

    sources: all files that it reads. old: names in the target's folder that it would replace.
    """
    folder = os.path.dirname(target.path)
    # By what they are, for a file may have several names.
    replaced = {
        identity: piece
        for piece in [*target.pieces(), *(os.path.join(folder, name) for name in old)]
        for identity in _identities(piece)
    }
    inside = os.path.exists(os.path.join(folder, "data.mdb"))
    for source in sources:
        status = os.stat(source)
        piece = replaced.get((status.st_dev, status.st_ino))
        if piece is not None:
            what = "it is the source" if piece == target.path == source else f"a conversion reads it, as {source}"
            raise ConfigError(what, remedy="write to another name", source=piece)
        if inside and os.path.samefile(os.path.dirname(os.path.abspath(source)), folder):
            raise ConfigError(
                "it would be inside the source, an LMDB", remedy="write to another folder", source=target.path
            )


def _identities(path: str) -> Iterator[Tuple[int, int]]:
    """Of a file or folder, and of all that is in it: device and inode."""
    names = [path]
    for folder, folders, files in os.walk(path):
        names += [os.path.join(folder, name) for name in (*folders, *files)]
    for name in names:
        for status in (os.stat, os.lstat):
            try:
                found = status(name)
            except OSError:  # not there, or a link to nowhere
                continue
            yield found.st_dev, found.st_ino


def old_pieces(target: Target, force: bool) -> List[str]:
    """The names of what is there and shall be replaced, the target itself first.

    Raises DataError where something is there without `force`, or that no conversion wrote, or that has changed since.
    """
    pieces = [piece for piece in reversed([*target.pieces()]) if os.path.lexists(piece)]
    provenance = provenance_of(target.path)
    if not pieces and not os.path.lexists(provenance):
        return []
    ours = _written_before(target.path)
    if not force:
        remedy = "--force replaces it" if {*map(os.path.basename, pieces)} <= {*ours} and ours else "move it away"
        raise DataError(f"{[*pieces, provenance][0]} is there already", remedy=f"{remedy}, or write to another name")
    folder = os.path.dirname(target.path)
    # What an earlier conversion wrote there in another format goes too.
    names = list(dict.fromkeys([*map(os.path.basename, pieces), *sorted(ours)]))
    for name in names:
        piece = os.path.join(folder, name)
        if name not in ours:
            raise DataError(
                f"{piece} is there, but was not written by a "
                f"conversion{'' if piece == target.path else f' to {target.path}'}, so --force does not replace it",
                remedy="move it away, or write to another name",
            )
        for other in _put_into(piece):
            raise DataError(
                f"{other} was not written by a conversion, and --force replaces all of {piece}",
                remedy="move it away, or write to another name",
            )
        # By what the record has: those of earlier versions had no checksum of a folder.
        if os.path.lexists(piece) and not ours[name].items() <= _described(piece).items():
            raise DataError(
                f"{piece} has changed since a conversion wrote it, so --force does not replace it",
                remedy="move it away, or write to another name",
            )
    if os.path.lexists(provenance) and not ours:
        raise DataError(f"{provenance} is there, but is not the record of a conversion", remedy="move it away")
    return [*names, os.path.basename(provenance)]


def _put_into(piece: str) -> List[str]:
    """What others put into the folder of an LMDB; whoever reads one has a lock file there."""
    if not os.path.exists(os.path.join(piece, "data.mdb")):
        return []
    return [os.path.join(piece, name) for name in sorted(os.listdir(piece)) if name not in ("data.mdb", "lock.mdb")]


def _described(piece: str) -> Dict[str, Any]:
    try:
        return {} if os.path.islink(piece) else described(piece)
    except OSError:  # a pipe, for example
        return {}


def _written_before(path: str) -> Dict[str, Any]:
    """What an earlier conversion wrote: name -> bytes and checksum."""
    try:
        files = json.loads(regular_file.read_bytes(provenance_of(path)))["files"]
        return {name: file for name, file in files.items() if name == os.path.basename(name) and file["bytes"] >= 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
