"""`caffe-pylayers list`: lists of the images in a folder."""

import itertools
import os
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence

import click

from caffe_pylayers.commands.console import Command, echo

if TYPE_CHECKING:
    from caffe_pylayers.commands.list.found import Image


class _Part(click.ParamType):
    """20% or 0.2."""

    name = "part"

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> Fraction:
        if isinstance(value, Fraction):
            return value
        try:
            part = Fraction(value[:-1]) / 100 if value.endswith("%") else Fraction(value)
        except (ValueError, ZeroDivisionError):
            return self.fail(f"{value!r} is not a part, as in 20% or 0.2", param, ctx)
        if not 0 < part < 1:
            return self.fail(f"{value} is not between 0% and 100%", param, ctx)
        return part


@click.command("list", cls=Command)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--output", metavar="FILE", default="train.txt", show_default=True, help="The list; other files go beside it."
)
@click.option(
    "--test", "part", type=_Part(), metavar="PART", help="Part of each class that goes to test.txt, as in 20%."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Seed of the choice for the test; 0 by default."
)
@click.option(
    "--names", metavar="FILE", help="Class names of another list, one per line: this one gets the same numbers."
)
@click.option("--pattern", help="Which files are images; by default '{class}/**', or '{name}.*' with --maps.")
@click.option(
    "--maps", metavar="FOLDER", help="Folder of label maps with the names of the images, or a pattern with {name}."
)
@click.option("--check", is_flag=True, help="Read every image, name those that cannot be read, and leave them out.")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def list(
    folder: str,
    output: str,
    part: Optional[Fraction],
    seed: int,
    names: Optional[str],
    pattern: Optional[str],
    maps: Optional[str],
    check: bool,
    force: bool,
) -> None:
    """Write the list of the images in FOLDER, where each class has a folder.

    A line has the name of an image and the number of its class, as data layers and stock ImageData read it. names.txt gets the
    name of each class, counts.txt its number of images in the list. With --maps a line has an image and its label map.

    \b
    caffe-pylayers list images --test 20%
    caffe-pylayers list images --pattern '{class}_*.jpg'
    caffe-pylayers list JPEGImages --maps SegmentationClass
    """
    from caffe_pylayers.commands.list.contents import duplicates, unreadable
    from caffe_pylayers.commands.list.found import images_of_classes, images_with_maps
    from caffe_pylayers.commands.list.lists import write_lines, write_list
    from caffe_pylayers.commands.list.split import split
    from caffe_pylayers.files.output_file import refuse_existing

    if maps and names:
        raise click.UsageError("--names is for classes, but with --maps images have maps; leave it out")
    beside = os.path.dirname(output)
    test, of_names, of_counts = (os.path.join(beside, name) for name in ("test.txt", "names.txt", "counts.txt"))
    outputs = [output, *[test] * (part is not None), *[of_names, of_counts] * (not maps and not names)]
    refuse_existing(outputs, force, [names])

    found = images_with_maps(folder, pattern, maps) if maps else images_of_classes(folder, pattern)
    if check:
        found.leave_out(unreadable(folder, found.images))
    same = duplicates(folder, found.images)
    classes = _classes(found.classes(), names)
    numbers = {name: number for number, name in enumerate(classes)}
    training, testing = split(found.images, part, seed, same) if part else (found.images, [])
    stock = write_list(output, training, numbers)
    if part:
        stock = write_list(test, testing, numbers) and stock
    counts = Counter(image.klass for image in training)
    if of_names in outputs:
        write_lines(of_names, classes)
        write_lines(of_counts, [counts[name] for name in classes])

    for line in (*_counted(counts, len(found.images), bool(maps)), *_written(outputs, len(training), len(testing))):
        echo(line)
    echo(_TO_READ.format(layer=" of ImageMapDataLayer" * bool(maps), options={"source": output, "root": folder}))
    if not maps and not stock:
        echo(
            "names have blanks, digits or quotes at their end, so commas separate the fields: stock ImageData cannot read them"
        )
    for line in (*_left_out(found.left_out), *_of_same(same)):
        echo(line, err=True)


_TO_READ = 'param_str{layer}: "{options}"'


def _classes(found: Sequence[str], names: Optional[str]) -> Sequence[str]:
    """The names of the classes in the order of their numbers: those of a file, if there is one."""
    if names is None:
        return found
    from caffe_pylayers.errors import DataError
    from caffe_pylayers.files.class_names import all_class_names

    known = all_class_names(names)
    other = next((name for name in found if name not in known), None)
    if other is not None:
        raise DataError(
            f"it has no class '{other}', but there are images of that class",
            remedy="write the list that it belongs to again from a folder with all classes",
            source=names,
        )
    return known


def _counted(counts: Dict[str, int], num_images: int, maps: bool) -> Iterator[str]:
    if maps:
        yield f"{num_images:,} images with a label map"
        return
    if len(set(counts.values())) == 1:
        yield f"{num_images:,} images of {len(counts)} classes; for training {next(iter(counts.values())):,} of each"
        return
    fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    least, largest = f"{counts[fewest]:,} ({fewest})", f"{counts[most]:,} ({most})"
    yield f"{num_images:,} images of {len(counts)} classes; for training {least} to {largest} of each"


def _written(outputs: Sequence[str], num_training: int, num_testing: int) -> Iterator[str]:
    sizes = (
        (f", {num_training:,} images", f", {num_testing:,} images") if num_testing else (f", {num_training:,} images",)
    )
    for path, size in itertools.zip_longest(outputs, sizes, fillvalue=""):
        yield f"wrote {path}{size}"


def _left_out(left_out: Dict[str, List[str]]) -> Iterator[str]:
    for why, names in left_out.items():
        others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        yield f"left out, {why}: {names[0]}{others}"


def _of_same(same: Sequence[Sequence["Image"]]) -> Iterator[str]:
    """What to say of images with the same content; those of two classes first."""
    of_two = [group for group in same if len({image.klass for image in group}) > 1]
    of_one = [group for group in same if len({image.klass for image in group}) == 1]
    for groups, what in ((of_two, "the same image in different classes"), (of_one, "the same image more than once")):
        if groups:
            others = f", and {len(groups) - 1:,} more such groups" if len(groups) > 1 else ""
            yield f"{what}: {', '.join(image.name for image in groups[0][:4])}{others}"
