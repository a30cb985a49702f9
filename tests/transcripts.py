"""Transcripts in the docs, run as they stand: `$ ` is a command, what follows is what it prints.

`...` stands for anything, within a line or for whole lines. A command that ends with another status than 0 is followed
by a line `[exit 1]` in the transcript. Each is run by bash in one folder, one after the other.
"""

import difflib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

from caffe_pylayers.processes.gpu import no_gpu
from caffe_pylayers.processes.probe import COMPLAINTS

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.prefix) / "bin"

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_TRANSCRIPT = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command of a transcript, and the lines that it should print."""

    command: str
    expected: str


def sections(page: str) -> Dict[str, List[Command]]:
    """The commands of a page by the heading (##) that they stand under, in order."""
    parts = _SECTION.split((ROOT / page).read_text())
    return {
        heading: [command for text in _TRANSCRIPT.findall(body) for command in commands(text)]
        for heading, body in zip(parts[1::2], parts[2::2])
    }


def commands(transcript: str) -> List[Command]:
    """The commands of a transcript; one goes on behind a backslash, and in lines that begin with `> ` as a shell shows them."""
    found = []
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        first, *rest = part.splitlines()
        command = [first]
        while rest and (command[-1].endswith("\\") or re.match(">( |$)", rest[0])):
            command.append(re.sub("^>( |$)", "", rest.pop(0)))
        found.append(Command("\n".join(command), "\n".join(rest).rstrip()))
    return found


def run(command: Command, folder: Path, programs: Path = PROGRAMS, timeout: float = 300) -> None:
    """Run it in a folder and compare what it prints. Raises AssertionError with both. programs: a folder that comes first on PATH."""
    result = subprocess.run(
        ["bash", "-c", command.command],
        cwd=folder,
        env=environment(programs),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    printed = result.stdout
    if result.returncode:
        printed = f"{printed.rstrip()}\n[exit {result.returncode}]"
    compare(f"$ {command.command}", command.expected, printed)


def compare(command: str, expected: str, printed: str) -> None:
    """Raise AssertionError, with both texts, where something else was printed than is expected."""
    printed = "\n".join(line.rstrip() for line in without_complaints(printed).splitlines()).strip("\n")
    if not matches(expected, printed):
        difference = difflib.unified_diff(
            expected.splitlines(), printed.splitlines(), "in the docs", "printed now", lineterm=""
        )
        raise AssertionError(f"{command}\n" + "\n".join(difference))


_COMPLAINTS = re.compile(
    rf"^(WARNING: Logging before InitGoogleLogging.*|E\d+ .* common\.cpp:\d+\] ({'|'.join(COMPLAINTS)}).*)\n",
    re.MULTILINE,
)


def without_complaints(printed: str) -> str:
    return _COMPLAINTS.sub("", printed) if no_gpu() else printed


def matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what is expected."""
    pattern = re.escape(expected).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def environment(programs: Path = PROGRAMS) -> Dict[str, str]:
    """As that of a user who has .venv on PATH, behind `programs`; no terminal, so no colours and 120 columns."""
    path = f"{programs}:{PROGRAMS}:{os.environ['PATH']}"
    kept = {
        name: os.environ[name]
        for name in ("HOME", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "LANG", "OPENBLAS_CORETYPE")
        if name in os.environ
    }
    return {**kept, "PATH": path, "OPENBLAS_NUM_THREADS": "1"}
