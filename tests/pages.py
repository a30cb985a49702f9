"""The blocks of a page of the docs, and how they are run."""

import os
import re
import subprocess
from pathlib import Path
from typing import List, Optional, Tuple

from tests.transcripts import PROGRAMS, ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.(?:prototxt|py))\n")

#: Blocks that are read and not run: transcripts, changes, and what is no program.
_NOT_RUN = {"console", "diff", "text"}


def blocks(page: str) -> List[Tuple[str, str]]:
    """Language and text of the blocks of a page that are to be run, in order."""
    found = _BLOCK.findall((ROOT / page).read_text())
    return [(language, text) for language, text in found if language not in _NOT_RUN]


def file_of(text: str) -> Optional[str]:
    """The name of the file that a block is written to, if its first line names one, as in each prototxt."""
    name = _FILE.match(text)
    return name[1] if name else None


def run(language: str, text: str, folder: Path, programs: Path = PROGRAMS) -> None:
    """Write a block that is a file, or run a program, in `folder`.

    programs: a folder that comes first on PATH.
    """
    name = file_of(text)
    if name:
        (folder / name).write_text(text)
        return
    assert language != "prototxt", f"a prototxt begins with its file's name:\n{text}"
    command = {"python": [str(programs / "python"), "-c", text], "bash": ["bash", "-euc", text]}[language]
    path = f"{programs}:{PROGRAMS}:{os.environ['PATH']}"
    environment = {"PATH": path, "GLOG_minloglevel": "2", "HOME": str(folder)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"


def run_all(page: str, folder: Path, programs: Path = PROGRAMS) -> List[str]:
    """Run a page, and return the names of the files that it writes out, in order."""
    for language, text in blocks(page):
        run(language, text, folder, programs)
    return [name for _, text in blocks(page) for name in [file_of(text)] if name]
