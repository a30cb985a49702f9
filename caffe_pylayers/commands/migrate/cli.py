"""`caffe-pylayers migrate`: a net of a fork, or of an older Caffe, for stock Caffe and the layers of this package."""

import difflib
import os
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

import click

from caffe_pylayers.commands.console import Command, console, echo, out

if TYPE_CHECKING:
    from caffe_pylayers.commands.migrate.migrate import Migration

_WEIGHTS = (".caffemodel", ".caffemodel.h5")


@click.command(cls=Command)
@click.argument("net", metavar="NET_OR_SOLVER")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="The new net; of a solver, the folder of the new solver and its nets; with --weights also the new .caffemodel.",
)
@click.option("--weights", metavar="FILE", help="A .caffemodel of the net: it may tell of which fork a layer is.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def migrate(net: str, outputs: Tuple[str, ...], weights: Optional[str], dry_run: bool, force: bool) -> int:
    """Write a net of a fork so that stock Caffe runs it with the layers of caffe_pylayers.

    A solver is written with its nets. Nets of older Caffes are brought into today's form. What is not moved stays as it is, with its
    comments. Without -o the new net is printed. Layers for which there is nothing, or that may be one thing or another, stay as they are and are
    listed; then the exit status is 1.

    \b
    caffe-pylayers migrate train_val.prototxt --dry-run
    caffe-pylayers migrate train_val.prototxt -o new.prototxt
    caffe-pylayers migrate solver.prototxt -o moved
    caffe-pylayers migrate deploy.prototxt --weights fork.caffemodel -o new.prototxt -o new.caffemodel
    """
    from caffe_pylayers.caffe_files import nets, prototxt
    from caffe_pylayers.commands.migrate.migrate import migrate as moved

    new_net, new_weights = _outputs(outputs, weights)
    is_solver = nets.is_solver(prototxt.read(net))
    if is_solver and not (new_net or dry_run):
        raise click.UsageError("a solver is written with its nets: name a folder for them with -o, or give --dry-run")
    folder = (new_net if is_solver else os.path.dirname(new_net)) if new_net else ""
    migrations = moved(net, weights, folder or "")
    if dry_run:
        for each in migrations:
            _show_changes(each)
    elif new_net is None and new_weights is None:
        out().write(migrations[0].new)
    if outputs and not dry_run:
        if is_solver and folder:
            _make(folder)
        files = _files(migrations, new_net, folder if is_solver else None) if new_net else {}
        _write(files, weights, new_weights, migrations, force)
    else:
        lists = ", ".join(name for each in migrations for name in each.lists)
        if lists:
            echo(f"its layers read {lists}, which is written with -o", err=True)
    return _show_left(migrations)


def _outputs(outputs: Sequence[str], weights: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """The net, or the folder of a solver, and the weights that are written."""
    of_weights = [path for path in outputs if path.endswith(_WEIGHTS)]
    others = [path for path in outputs if path not in of_weights]
    if len(of_weights) > 1 or len(others) > 1:
        raise click.UsageError("-o names one net or folder, and one .caffemodel")
    if of_weights and weights is None:
        raise click.UsageError(f"-o {of_weights[0]} writes new weights: name those of the fork with --weights")
    if of_weights and not of_weights[0].endswith(_WEIGHTS[0]):
        raise click.UsageError(f"{of_weights[0]}: only a .caffemodel is written, not HDF5")
    return next(iter(others), None), next(iter(of_weights), None)


def _files(migrations: Sequence["Migration"], new_net: str, folder: Optional[str]) -> Dict[str, str]:
    """The files to write: a net, or a solver and those of its nets that have changed; and lists. folder: of a solver's."""
    from caffe_pylayers.commands.migrate.migrate import place_in
    from caffe_pylayers.errors import ConfigError

    first, *others = migrations
    files = {new_net if folder is None else place_in(folder, first.path): first.new}
    of_place: Dict[str, str] = {}
    for each in others:
        if each.new != each.old:
            place = place_in(folder or "", each.path)
            if place in files and not os.path.samefile(of_place.get(place, first.path), each.path):
                raise ConfigError(f"two files of the solver are called {os.path.basename(place)}", remedy="rename one")
            files[place], of_place[place] = each.new, each.path
    lists = {name: text for each in migrations for name, text in each.lists.items()}
    return {**files, **{name: text for name, text in lists.items() if not _has(name, text)}}


def _has(path: str, text: str) -> bool:
    """Whether a file has this text already: a list that the net of another phase reads too."""
    from caffe_pylayers import regular_file
    from caffe_pylayers.caffe_files.edits import as_bytes

    return os.path.isfile(path) and regular_file.read_bytes(path) == as_bytes(text)


def _make(folder: str) -> None:
    """Make a folder if there is none; its own folder must be there."""
    if not os.path.lexists(folder) and os.path.isdir(os.path.dirname(os.path.abspath(folder))):
        os.mkdir(folder)


def _write(
    files: Dict[str, str],
    weights: Optional[str],
    new_weights: Optional[str],
    migrations: List["Migration"],
    force: bool,
) -> None:
    from caffe_pylayers.caffe_files.edits import as_bytes
    from caffe_pylayers.caffe_files.weights import write_weights
    from caffe_pylayers.commands.migrate.trained import moved_weights
    from caffe_pylayers.files.output_file import output_file, refuse_existing

    outputs = [*files, *([new_weights] if new_weights else [])]
    refuse_existing(outputs, force, [*(each.path for each in migrations), weights])
    for path, text in files.items():
        with output_file(path) as partial, open(partial, "wb") as file:
            file.write(as_bytes(text))
        echo(f"wrote {path}")
    if weights and new_weights:
        with output_file(new_weights) as partial:
            write_weights(partial, moved_weights(weights, migrations))
        echo(f"wrote {new_weights}")


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _show_changes(migration: "Migration") -> None:
    """Print the difference of the old and the new text."""
    terminal = console()
    old, new = (text.splitlines() for text in (migration.old, migration.new))
    for line in difflib.unified_diff(old, new, migration.path, f"{migration.path} (new)", lineterm=""):
        terminal.print(line, style=_COLOURS.get(line[:1], ""), markup=False, soft_wrap=True)


def _show_left(migrations: Sequence["Migration"]) -> int:
    """Print what could not be moved, behind the answer; returns the exit status."""
    out().flush()
    left = [finding for each in migrations for finding in each.left]
    terminal = console(stderr=True)
    for finding in left:
        terminal.print(finding.place, style="bold", end=": ", markup=False, soft_wrap=True)
        terminal.print(f"not moved: {finding.text}", markup=False, soft_wrap=True)
        if finding.remedy:
            terminal.print(f"    {finding.remedy}", markup=False, soft_wrap=True)
    return int(bool(left))
