"""The blocks of a page of the docs, and how they are run."""

import re
import subprocess
from pathlib import Path
from typing import List, NamedTuple, Optional

from tests.transcripts import PROGRAMS, ROOT, compare, environment

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.(?:prototxt|py))\n")

#: Blocks that are read and not run: transcripts, changes, and what is no program.
_NOT_RUN = {"console", "diff", "text"}


class Block(NamedTuple):
    """A block to run. prints: the `text` block right behind it, which is what it prints; `...` stands for anything."""

    language: str
    text: str
    prints: str = ""


def blocks(page: str) -> List[Block]:
    """The blocks of a page that are to be run, in order."""
    found = (Block(*groups) for groups in _BLOCK.findall((ROOT / page).read_text()))
    return [block for block in found if block.language not in _NOT_RUN]


def file_of(text: str) -> Optional[str]:
    """The name of the file that a block is written to, if its first line names one, as in each prototxt."""
    name = _FILE.match(text)
    return name[1] if name else None


def run(block: Block, folder: Path, programs: Path = PROGRAMS) -> None:
    """Write a block that is a file, or run a program, in `folder`.

    programs: a folder that comes first on PATH.
    """
    name = file_of(block.text)
    if name:
        (folder / name).write_text(block.text)
        return
    assert block.language != "prototxt", f"a prototxt begins with its file's name:\n{block.text}"
    command = {"python": [str(programs / "python"), "-c", block.text], "bash": ["bash", "-euc", block.text]}
    variables = {**environment(programs), "GLOG_minloglevel": "2", "HOME": str(folder)}
    result = subprocess.run(
        command[block.language],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{block.text}\n{result.stdout}"
    if block.prints:
        compare(block.text, block.prints.rstrip(), result.stdout)


def run_all(page: str, folder: Path, programs: Path = PROGRAMS) -> List[str]:
    """Run a page, and return the names of the files that it writes out, in order."""
    for block in blocks(page):
        run(block, folder, programs)
    return [name for block in blocks(page) for name in [file_of(block.text)] if name]
