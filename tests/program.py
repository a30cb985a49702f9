"""`caffe-pylayers` and Python, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

from tests import transcripts

PROGRAM = Path(sys.prefix) / "bin" / "caffe-pylayers"


def run(*arguments, cwd=None, **environment):
    return subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=cwd,
        env={**transcripts.environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def modules_after(code: str) -> set:
    """The top-level and own modules that are loaded after some code has run."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())
