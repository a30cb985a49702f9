"""The command line, `caffe-pylayers`: one file a command, each a thin layer over functions of the package.

Exit status: 0; 1 where a command found something; 2 where it could not do what it was asked, with one line on stderr
that says why. Results go to stdout, progress and messages to stderr; colours only to a terminal.
"""

import codecs
import importlib
import io
import os
import sys
from typing import Any, List, NoReturn, Optional, Sequence

import click

import caffe_pylayers
from caffe_pylayers.commands.console import silence
from caffe_pylayers.errors import ConfigError, DataError, did_you_mean, in_words, unknown
from caffe_pylayers.processes.limits import NO_ROOM, cannot_write, exhausted
from caffe_pylayers.processes.streams import open_closed_streams

#: The commands: each is a function of its own name in a module of its own name, imported when it is asked for.
COMMANDS = (
    "check",
    "describe",
    "doctor",
    "list",
    "convert",
    "balance",
    "preview",
    "bench",
    "train",
    "log",
    "evaluate",
    "export",
    "migrate",
    "deploy",
)


class _Commands(click.Group):
    """The commands, in the order of :data:`COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> List[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            guess, known = did_you_mean(cmd_name, COMMANDS), f"Commands: {', '.join(COMMANDS)}"
            ctx.fail(in_words(*unknown(f"no command {cmd_name!r}", guess, known)))
        command: click.Command = getattr(importlib.import_module(f"caffe_pylayers.commands.{cmd_name}.cli"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(caffe_pylayers.__version__, prog_name="caffe-pylayers")
def commands() -> None:
    """Tools for nets with caffe_pylayers layers: find what is wrong with a net, its data or its Caffe before training.

    \b
    caffe-pylayers check train_val.prototxt
    """


def main(arguments: Optional[Sequence[str]] = None) -> NoReturn:
    """Run the command that `arguments` (the program's own by default) name, and exit with its status."""
    open_closed_streams()
    if arguments is None:
        _begin_in_utf8()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # for names that its encoding has no letters for
    sys.exit(_status(arguments))


def _begin_in_utf8() -> None:
    """Begin again in Python's UTF-8 mode where Python keeps to ASCII: it could not even open a file of another name."""
    if codecs.lookup(sys.getfilesystemencoding()).name == "ascii" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "caffe_pylayers", *sys.argv[1:]])


#: What click raises where help stands for the arguments that are missing; up to 8.1 it raises nothing.
_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


def _status(arguments: Optional[Sequence[str]]) -> int:
    try:
        status = commands.main(arguments, prog_name="caffe-pylayers", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except _NO_ARGUMENTS as error:
        error.show()
        return 2
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        name = context.command_path if context else "caffe-pylayers"
        return _failed(f"{name}: {error.format_message()}")
    except (click.Abort, KeyboardInterrupt):
        print("caffe-pylayers: interrupted", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit):  # whoever read our output has seen enough, as in `| head`; click exits on it
        silence(sys.stdout)
        return 0
    except (ConfigError, DataError) as error:
        return _failed(str(exhausted(error) or error))
    except ImportError as error:  # a package that is missing, or does not fit this Python
        return _failed(f"{type(error).__name__}: {error}; `caffe-pylayers doctor` says what to do")
    except (OSError, MemoryError) as error:
        used_up = exhausted(error)
        if used_up or isinstance(error, MemoryError):
            return _failed(str(used_up))
        if error.errno in NO_ROOM:
            return _failed(str(cannot_write(error, error.filename or "an output")))
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _failed(why: str) -> int:
    """Say why nothing came of it, in red on a terminal; returns the exit status."""
    click.secho(why if why.startswith("caffe-pylayers") else f"caffe-pylayers: {why}", fg="red", err=True)
    return 2
