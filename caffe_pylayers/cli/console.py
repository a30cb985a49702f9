"""Where commands write: stdout in colours and as wide as the terminal, or plain and 120 columns wide."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> "Console":
    """A rich console on stdout, or on stderr (for progress and what is no result)."""
    from rich.console import Console  # here, for `--help` is quicker without it

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else 120)


def print_json(value: Any) -> None:
    """The answer for another program, on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))
