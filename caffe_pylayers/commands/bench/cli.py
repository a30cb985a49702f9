"""`caffe-pylayers bench`: the table of figures, and what to change."""

import contextlib
import textwrap
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple

import click

from caffe_pylayers.commands.console import Command, Number, console, print_json, whole

if TYPE_CHECKING:
    from caffe_pylayers.commands.bench.figures import Figures
    from caffe_pylayers.commands.bench.measuring import Progress


def _counts(context: click.Context, parameter: click.Parameter, text: Optional[str]) -> Optional[List[int]]:
    """The numbers of "0,1,2"."""
    if text is None:
        return None
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        counts = [-1]
    if counts[0] < 0 or counts[-1] > 256:
        raise click.BadParameter(f"{text!r} is not a list of integers from 0 to 256, as in 0,1,2")
    return counts


@click.command(cls=Command)
@click.argument("net", required=False)
@click.option("--layer", help="The data layer, if the net has several.")
@click.option(
    "--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True, help="Phase of the net."
)
@click.option("--stage", multiple=True, help="A stage of the net; repeatable.")
@click.option("--layer-type", help="A data layer instead of a net, by its name, such as TripletDataLayer.")
@click.option("--options", help="The param_str of that data layer.")
@click.option(
    "--workers",
    callback=_counts,
    help="Numbers of workers to try, as in 0,1,2 (0: inside forward); by default up to the number of cores.",
)
@click.option(
    "--seconds",
    type=Number(0.1, 600),
    default=5.0,
    show_default=True,
    help="How long to measure each number of workers, about.",
)
@click.option("--gpu", type=whole(0), help="Run the net on this GPU; on the CPU by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench(
    net: Optional[str],
    layer: Optional[str],
    phase: str,
    stage: Tuple[str, ...],
    layer_type: Optional[str],
    options: Optional[str],
    workers: Optional[List[int]],
    seconds: float,
    gpu: Optional[int],
    as_json: bool,
) -> None:
    """Measure how fast data come and how fast the net takes them, and say what to change.

    NET is a net or a solver (then it is the net that the solver trains or tests). Without a net, --layer-type and --options describe a data layer by itself.
    Let nothing else run at the same time.

    \b
    caffe-pylayers bench train_val.prototxt
    caffe-pylayers bench --layer-type ImageDataLayer \\
        --options "{'source': 'list.csv', 'batch_size': 64, 'resize': 256}" --workers 0,1,2,4
    """
    if (net is None) == (layer_type is None):
        raise click.UsageError("give a net or solver, or --layer-type with --options, but not both")
    if layer_type is None and options is not None:
        raise click.UsageError("--options is only for --layer-type; a net has its own options")
    if layer_type is not None and (layer is not None or stage or gpu is not None):
        raise click.UsageError("--layer, --stage and --gpu are only for a net, not for --layer-type")

    from caffe_pylayers.commands.bench.advice import advice
    from caffe_pylayers.commands.bench.bench import bench_layer, bench_net
    from caffe_pylayers.commands.bench.figures import as_json as figures_as_json

    with _progress() as progress:
        if layer_type is not None:
            from caffe_pylayers.commands.layer_net import layer_of

            figures = bench_layer(layer_of(layer_type, options or ""), phase, workers, seconds, progress)
        else:
            from caffe_pylayers.commands.net_or_solver import net_in

            figures = bench_net(*net_in(str(net), phase, stage), layer, workers, seconds, progress, gpu)
    advised = advice(figures)
    if as_json:
        print_json(figures_as_json(figures, advised))
    else:
        _show(figures, advised)


@contextlib.contextmanager
def _progress() -> Iterator["Progress"]:
    """A line that says what is measured now, on a terminal."""
    from tqdm import tqdm

    with tqdm(desc="bench", bar_format="{desc} {elapsed}", disable=None, leave=False) as line:
        yield lambda what: line.set_description_str(f"measuring: {what}")


def _show(figures: "Figures", advice: List[str]) -> None:
    from rich.table import Table

    terminal = console()
    terminal.print(
        f"{figures.layer} ({figures.type}): {figures.batch_size} samples, {figures.images} images, "
        f"{figures.megabytes:.1f} MB per batch; {figures.cores} cores; set-up {figures.setup:.1f} s"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("workers", "samples/s", "ms per batch", "first batch, s"):
        table.add_column(heading, justify="right")
    whole = figures.net is not None
    if whole:
        table.add_column("whole net, ms per step", justify="right")
        table.add_column("waiting for data, ms", justify="right")
    for feeding in figures.feeding:
        cells = [
            f"{feeding.workers}{' *' if feeding.workers == figures.workers else '  '}" if figures.ours else "its own",
            f"{feeding.rate:.0f}",
            f"{1000 * figures.batch_size / feeding.rate:.1f}",
            f"{feeding.first:.2f}",
        ]
        if feeding.step is not None and feeding.waiting is not None:
            cells += [f"{feeding.step:.1f}", f"{feeding.waiting:.1f}"]
        table.add_row(*cells)
    terminal.print(table)
    for line in _below(figures):
        terminal.print(line)
    terminal.print("advice:", style="bold")
    for sentence in advice:
        for line in textwrap.wrap(f"- {sentence}", terminal.width, subsequent_indent="  ", break_on_hyphens=False):
            terminal.print(line, markup=False)


def _below(figures: "Figures") -> Iterator[str]:
    if figures.load > figures.cores / 2:
        yield f"the machine was already busy (load {figures.load:.1f}): the figures are rough; measure again when it is idle"
    if figures.cache:
        shares = ", ".join(f"{feeding.cached or 0:.0%}" for feeding in figures.feeding)
        yield f"the {figures.cache}; in the last round {shares} of the images came from it"
    if figures.ours:
        yield "* the number in the options"
    if figures.net is not None:
        rate = 1000 * figures.batch_size / figures.net
        yield f"the net on a constant batch: {figures.net:.1f} ms per step, so it takes {rate:.0f} samples/s"
    if figures.limit is not None:
        processes = f"{figures.limit_processes} process{'' if figures.limit_processes == 1 else 'es'}"
        yield f"the limit: {figures.limit:.0f} samples/s, from {processes} making images only"
    if figures.delivery is not None and figures.memcpy is not None:
        yield f"a batch that is ready: {figures.delivery:.2f} ms in forward(); a plain copy of it: {figures.memcpy:.2f} ms"
    stages = figures.stages
    if stages is not None:
        parts = {
            "reading": stages.read, "decoding": stages.decode, "resizing": stages.resize, "transform": stages.transform,
            "mean, scale, planes": stages.write,
        }  # fmt: skip
        told = ", ".join(f"{name} {part / stages.total:.0%}" for name, part in parts.items() if part)
        yield f"per image: {stages.total:.0f} us of one core: {told}"
