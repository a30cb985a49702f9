"""`caffe-pylayers doctor`: the table of what was found."""

import shutil
import textwrap
from dataclasses import asdict
from typing import List

import click

from caffe_pylayers.commands.console import Command, echo, out, print_json


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> int:
    """Look at Caffe, its Python, the packages and the machine, and say what to fix and how.

    Exit status: 0, or 1 if there is a warning or an error.

    \b
    caffe-pylayers doctor
    caffe-pylayers doctor --json > doctor.json    (to show to somebody)
    """
    from caffe_pylayers import __version__
    from caffe_pylayers.commands.doctor.doctor import ERROR, WARNING, Finding, examine

    findings: List[Finding] = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            _show(finding.level, finding.subject, finding.found, finding.remedy, finding.see)
    ill = [finding for finding in findings if finding.level in (ERROR, WARNING)]
    if as_json:
        print_json({"caffe_pylayers": __version__, "ill": len(ill), "findings": [asdict(each) for each in findings]})
    else:
        count = f"{len(ill)} thing{'' if len(ill) == 1 else 's'} to fix" if ill else "all is well"
        echo(click.style(count, fg="red" if ill else "green", bold=True))
    return 1 if ill else 0


_COLORS = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}
_INDENT = 9 + 18


def _show(level: str, subject: str, found: str, remedy: str, see: str) -> None:
    """A line for the finding, and below it what to do; without rich, which may be what is broken."""
    width = shutil.get_terminal_size((120, 24)).columns if out().isatty() else 120
    first, *others = textwrap.wrap(found, max(40, width - _INDENT), break_long_words=False, break_on_hyphens=False)
    echo(f"{click.style(f'{level:<9}', fg=_COLORS[level])}{subject:<18}{first}")
    for line in others:
        echo(" " * _INDENT + line)
    for word, text in (("->", remedy), ("docs/troubleshooting.md:", see)):
        if text:  # in one line, however long: it is there to be copied
            echo(" " * _INDENT + click.style(f"{word} {text}", fg="cyan"))
    out().flush()
