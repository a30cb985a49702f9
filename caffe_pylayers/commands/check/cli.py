"""`caffe-pylayers check`: what is wrong with nets and solvers, before they are trained."""

from typing import Optional, Tuple

import click

from caffe_pylayers.commands.console import Command, console, print_json


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="NET_OR_SOLVER...")
@click.option("--weights", metavar="FILE", help="A .caffemodel to be loaded: check which layers its weights fit.")
@click.option("--no-data", is_flag=True, help="Do not check the data: read no source and look for no file.")
@click.option("--all-data", is_flag=True, help="Read every record of every source, not only the first and the last.")
@click.option(
    "--no-build", is_flag=True, help="Do not set up the nets in Caffe, and do not import the modules that they name."
)
@click.option("--stage", "stages", multiple=True, metavar="STAGE", help="A stage that the net is in; repeatable.")
@click.option("--strict", is_flag=True, help="Exit with status 1 also for warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def check(
    files: Tuple[str, ...],
    weights: Optional[str],
    no_data: bool,
    all_data: bool,
    no_build: bool,
    stages: Tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> int:
    """Find what is wrong with nets and solvers, their data and weights.

    A solver is checked with its nets. Nets that load the same weights (train, test, deploy) are best given together.
    All labels are read, and the first and the last record of each source. The last line begins with what was not looked at.
    Without --no-build this imports the Python modules that the nets name, also from the working directory. So it runs
    their code. The exit status is 1 if there is an error: Caffe would stop, or lose the training.

    \b
    caffe-pylayers check train_val.prototxt
    caffe-pylayers check train_val.prototxt --all-data
    caffe-pylayers check solver.prototxt deploy.prototxt --weights net_iter_1000.caffemodel
    """
    if no_data and all_data:
        raise click.UsageError("--no-data and --all-data are both given: leave one out")
    from dataclasses import asdict

    from caffe_pylayers.commands.check.checking import check_files

    report = check_files(files, weights=weights, data=not no_data, build=not no_build, stages=stages, all_data=all_data)
    if as_json:
        findings = [asdict(finding) for finding in report.findings]
        records = {"records_read": report.records_read, "records": report.records_there}
        print_json({"findings": findings, "summary": report.summary, "skipped": report.skipped, **records})
    else:
        terminal = console()
        colours = {"error": "bold red", "warning": "yellow", "note": "cyan"}
        for finding in report.findings:
            terminal.print(finding.place, style="bold", end=": ", markup=False, soft_wrap=True)
            terminal.print(finding.level, style=colours[finding.level], end=": ", markup=False, soft_wrap=True)
            terminal.print(finding.text, markup=False, soft_wrap=True)
            if finding.remedy:
                terminal.print(f"    {finding.remedy}", markup=False, soft_wrap=True)
        terminal.print(report.summary, markup=False, soft_wrap=True)
    levels = {"error", "warning"} if strict else {"error"}
    return int(any(finding.level in levels for finding in report.findings))
