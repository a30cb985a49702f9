"""Where commands write: stdout in colours and as wide as the terminal, or plain and 120 columns wide.

While a command runs, stdout belongs to its answer alone. What the user's own code prints (a transform, a layer of theirs, in
this process or in a child) goes to stderr, be it printed from C.
"""

import contextlib
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

_answers: Optional[TextIO] = None  # where a command that runs answers


#: Flags of the program `caffe`, and what stands for them here.
_FLAGS_OF_CAFFE = {
    "solver": "give the file alone, as in `caffe-pylayers {command} solver.prototxt`",
    "model": "give the file alone, as in `caffe-pylayers {command} net.prototxt`",
    "snapshot": "`caffe-pylayers train SOLVER --resume STATE` continues from a snapshot",
}


class Number(click.FloatRange):
    """A number of a range; NaN is of none."""

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> float:
        number: float = super().convert(value, param, ctx)
        return self.fail(f"{value} is not a number", param, ctx) if math.isnan(number) else number


def whole(least: int = 1) -> click.IntRange:
    """An integer that arrays, ranges and Caffe can take."""
    return click.IntRange(least, 2**31 - 1)


class Command(click.Command):
    """A command of ours; its answer goes through `out`, `echo`, `console` or `print_json`."""

    def parse_args(self, ctx: click.Context, args: List[str]) -> List[str]:
        given = [word.partition("=")[0].lstrip("-") for word in args if word.startswith("-")]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            flag = next((name for name in _FLAGS_OF_CAFFE if name in given), "")
            instead = _FLAGS_OF_CAFFE.get(flag, "").format(command=self.name)
            if not instead or not error.option_name.lstrip("-").startswith(flag[:1]):
                raise
            raise click.UsageError(f"no option --{flag}; {instead}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        with _stdout_for_answers():
            return super().invoke(ctx)


def once_called(names: Dict[str, str]) -> Dict[str, Any]:
    """The settings of a command that still takes options by names of old; names: old to new, both without dashes."""
    return {"token_normalize_func": lambda name: names.get(name, name)}


@contextlib.contextmanager
def _stdout_for_answers() -> Iterator[None]:
    """While it lasts, file descriptor 1 is stderr, and so is sys.stdout."""
    global _answers
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    _answers = stdout
    of_program = stdout is sys.__stdout__  # else a notebook or a test has put something of its own there
    if of_program:
        _answers = open(os.dup(1), "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115 (closed below)
    sys.stdout = sys.stderr
    os.dup2(2, 1)
    try:
        yield
        _answers.flush()
    except BrokenPipeError:
        silence(_answers)
        raise
    finally:
        stdout.flush()  # what somebody wrote to sys.__stdout__ meanwhile
        os.dup2(kept, 1)
        os.close(kept)
        if of_program:
            _answers.close()
        sys.stdout, _answers = stdout, None


def out() -> TextIO:
    """The stream that a command's answer is written to."""
    return _answers or sys.stdout


def silence(stream: TextIO) -> None:
    """Let what is written to it lead nowhere: whoever read it is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def give_stdout_to(program: str, arguments: "list[str]") -> None:
    """Become another program, whose answer is this command's."""
    out().flush()
    os.dup2(out().fileno(), 1)
    os.execv(program, arguments)


def echo(text: str, err: bool = False) -> None:
    """A line of the answer; err: of what is none."""
    click.echo(text, file=sys.stderr if err else out())


def console(stderr: bool = False) -> "Console":
    """A rich console on stdout, or on stderr (for progress and what is no result)."""
    from rich.console import Console  # here, for `--help` is quicker without it

    stream = sys.stderr if stderr else out()
    # Without emoji, which rich makes of `:-1:` in a row of labels.
    return Console(file=stream, highlight=False, emoji=False, width=None if stream.isatty() else 120)


def print_json(value: Any) -> None:
    """The answer for another program, on stdout."""
    echo(json.dumps(value, indent=2, allow_nan=False))
