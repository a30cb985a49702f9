"""`caffe-pylayers log`."""

from typing import Optional, Tuple

import click

from caffe_pylayers.commands.console import Command, console, echo, whole


@click.command(cls=Command)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option(
    "--csv", "table", metavar="FILE", help="Write all numbers as CSV, with the columns of the log of `train`."
)
@click.option("--plot", metavar="PNG", help="Draw losses, outputs of tests and learning rate, all runs in one picture.")
@click.option("--tensorboard", metavar="DIR", help="Write all numbers for TensorBoard, into a new folder.")
@click.option("--rows", type=whole(0), default=20, show_default=True, help="Rows that are shown of each run.")
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def log(
    logs: Tuple[str, ...], table: Optional[str], plot: Optional[str], tensorboard: Optional[str], rows: int, force: bool
) -> int:
    """Show what logs of Caffe tell: a table, and where a run was slow, became NaN, failed or ended.

    \b
    caffe-pylayers log train.log
    caffe-pylayers log first.log resumed.log --plot both.png --csv both.csv
    caffe-pylayers log small_lr.log large_lr.log --rows 0

    LOG is what `caffe train` writes to stderr or, with GLOG_log_dir, to a file; what `caffe-pylayers train` shows; or its CSV.
    Files of any version of Caffe are read, and incomplete ones. A run that was resumed from a snapshot of another LOG is one
    run with it. The status is 1 if a loss became infinite or NaN, or a run failed.
    """
    from caffe_pylayers.commands.log.events import refuse_used, write_events
    from caffe_pylayers.commands.log.findings import findings
    from caffe_pylayers.commands.log.log import log as read
    from caffe_pylayers.commands.log.table import heading, rows_table, runs_table, write_csv
    from caffe_pylayers.errors import readable
    from caffe_pylayers.files.output_file import refuse_existing

    refuse_existing([path for path in (table, plot) if path], force, logs)
    if tensorboard:
        refuse_used(tensorboard)
    runs = read(logs)
    screen = console()
    if len(runs) > 1:
        screen.print(runs_table(runs))
    status = 0
    for number, run in enumerate(runs):
        echo(("\n" if number or len(runs) > 1 else "") + heading(run))
        for finding in findings(run):
            echo(readable(str(finding)))
            status = max(status, int(finding.is_fault))
        if rows and run.rows:
            shown, left_out = rows_table(run, rows)
            screen.print(shown)
            if left_out:
                echo(readable(f"not shown: {', '.join(left_out)}; --csv has them"))
    if table:
        write_csv(runs, table)
    if plot:
        from caffe_pylayers.commands.log.picture import draw

        draw(runs, plot)
    if tensorboard:
        write_events(runs, tensorboard)
    return status
