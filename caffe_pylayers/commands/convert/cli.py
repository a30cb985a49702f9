"""`caffe-pylayers convert`: a source in another format."""

import os
import re
from typing import Any, Dict, Optional, Tuple

import click

from caffe_pylayers.commands.console import Command, echo, once_called, print_json, whole
from caffe_pylayers.commands.source_options import datasets_flag, one_or_several
from caffe_pylayers.data.formats import FORMATS, guessed_format
from caffe_pylayers.errors import ConfigError

_FORMAT = click.Choice(FORMATS, case_sensitive=False)


@click.command(cls=Command, context_settings=once_called({"from": "source-type", "to": "target-type"}))
@click.argument("source")
@click.argument("target")
@click.option("--source-type", type=_FORMAT, help="Type of SOURCE; by default from its name or contents.")
@click.option("--target-type", type=_FORMAT, help="Type of TARGET; by default from its name.")
@click.option("--root", help="CSV: folder to put before the file names in SOURCE.")
@click.option("--header", is_flag=True, default=None, help="CSV: the first line of SOURCE names its columns.")
@click.option(
    "--missing",
    type=click.Choice(["error", "skip"]),
    help="CSV: what to do with lines whose file does not exist; error by default.",
)
@datasets_flag
@click.option(
    "--labels",
    multiple=True,
    callback=one_or_several,
    help="Labels: a column of a CSV (repeatable), a data set of HDF5, or from elsewhere: an LMDB (by key), a .npy or text file.",
)
@click.option(
    "--label-format",
    type=click.Choice(["indices", "indicator", "sign", "values"]),
    help="What a row of labels holds: label numbers (the default), or for each label 0 or 1 (-1: not known), or -1 or 1, or any "
    "numbers, nan for a missing one (values).",
)
@click.option(
    "--label-order",
    type=click.Choice(["key"]),
    help="LMDB whose keys are numbers without leading zeros: rows of labels and weights are in the order of the numbers.",
)
@click.option("--sample-weights", help="Weights: a column of a CSV, a data set of HDF5, an LMDB, .npy or text file.")
@click.option("--resize", metavar="N|HxW", help="Size in pixels, bilinear by OpenCV, as the data layers resize.")
@click.option("--gray", is_flag=True, help="Write images with one channel.")
@click.option(
    "--color",
    type=click.Choice(["any"]),
    help="any: keep the channels and the bits of the files, as 16-bit PNG or pixels; by default three channels of 8 bits.",
)
@click.option(
    "--encode",
    metavar="jpg:Q|png|raw",
    help="How images are written; raw: pixels. By default images are copied unchanged. Images that --resize or "
    "--gray changes become raw in LMDB and HDF5, and png in CSV and BCF.",
)
@click.option(
    "--max-pixels",
    type=whole(),
    default=1 << 28,
    show_default=True,
    help="The largest image that is decoded: height times width.",
)
@click.option(
    "--decode",
    type=click.Choice(["exact", "lenient"]),
    default="exact",
    show_default=True,
    help="A JPEG that is cut short cannot be read (exact), or is read as far as it goes, and counted (lenient).",
)
@click.option("--shuffle", is_flag=True, help="Write records in a random order, the same each time.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the random order; 0 by default.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What to do with records that cannot be read: stop, or leave them out and report them.",
)
@click.option("--workers", type=whole(), help="Number of processes; by default one per core.")
@click.option("--force", is_flag=True, help="Replace what an earlier conversion wrote to TARGET.")
@click.option("--json", "as_json", is_flag=True, help="Print the provenance as JSON.")
def convert(
    source: str,
    target: str,
    source_type: Optional[str],
    target_type: Optional[str],
    resize: Optional[str],
    gray: bool,
    color: Optional[str],
    encode: Optional[str],
    max_pixels: int,
    decode: str,
    shuffle: bool,
    seed: Optional[int],
    on_error: str,
    workers: Optional[int],
    force: bool,
    as_json: bool,
    **origin: Any,
) -> None:
    """Write a source in another format: CSV, LMDB, BCF or HDF5, with images resized or encoded again on request.

    All that is written is read back and compared. TARGET appears when it is complete. If a run was interrupted or killed,
    give the same command again to continue it: its finished part is kept in TARGET.partial.

    \b
    caffe-pylayers convert train.txt train_lmdb --root images/ --resize 256 --encode jpg:95 --shuffle
    caffe-pylayers convert train_lmdb train.h5 --encode raw
    """
    if seed is not None and not shuffle:
        raise ConfigError("--seed has no effect without --shuffle", remedy="leave it out")
    source_type = source_type or guessed_format(source, "--source-type")
    target_type = target_type or guessed_format(target, "--target-type")
    size = _size(resize)

    from caffe_pylayers.commands import source_options
    from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin
    from caffe_pylayers.commands.convert.convert import convert as convert_source
    from caffe_pylayers.data.worker import keep_freed_memory

    keep_freed_memory()
    given = {name: value for name, value in origin.items() if value is not None}
    source_options.checked(source_type, source, given)
    conversion = Conversion(
        Origin(source_type, source, **given),
        target.rstrip("/"),
        Images(target_type, size, gray, encode, max_pixels, decode == "lenient", color),
        shuffle,
        seed or 0,
        on_error == "skip",
    )
    with source_options.flags_in_errors():
        entry = convert_source(conversion, workers or len(os.sched_getaffinity(0)), force, _say)
    if as_json:
        print_json(entry)
    else:
        _print(entry, source)


def _say(line: str) -> None:
    echo(line, err=True)


def _size(text: Optional[str]) -> Optional[Tuple[int, int]]:
    """(height, width) of 256 or 240x320."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text)
    if not match:
        raise ConfigError(f"--resize {text}: pixels are given as N, or as HEIGHTxWIDTH, for example 256 or 240x320")
    return int(match[1]), int(match[2] or match[1])


def _print(entry: Dict[str, Any], source: str) -> None:
    """What was made, what to know of it, and how a layer reads it."""
    from caffe_pylayers.commands.source_options import as_flags

    options, images = entry["layer_options"], entry["images"]
    size = "" if images["resize"] is None else " of {} x {}".format(*images["resize"])
    how = {"kept": "images unchanged", "raw": f"pixels{size}"}.get(images["encode"], f"{images['encode']}{size}")
    size_of_files = sum(file["bytes"] for file in entry["files"].values())
    room = f"{size_of_files / 1e6:.1f} MB" if size_of_files >= 1e6 else f"{size_of_files / 1e3:.1f} kB"
    echo(f"{entry['target']}: {options['source_type']}, {entry['records']} records, {room}, {how}")
    echo(f"from {source} ({entry['source']['source_type']}); read back and compared: all equal")
    if entry["skipped"]:
        echo(f"left out, because they cannot be read: {entry['skipped']}")
        for complaint in entry["complaints"][:10]:
            echo(f"  {as_flags(complaint)}")
    for note in entry["notes"]:
        echo(f"note: {note}")
    echo(f'a layer reads it with\n  param_str: "{options}"')
