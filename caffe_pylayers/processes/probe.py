"""Questions that a process of their own answers: what crashes there ends that process, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from typing import Mapping, Optional, Sequence

#: A line of glog's: level, date, time, thread, place] text. F is what Caffe aborts with.
_FATAL = re.compile(r"^F\d{4,8} \S+ +\d+ (?P<place>\S+)\] (?P<text>.*)$", re.MULTILINE)


#: In front of a program for `python -c`: it ends when whoever started it does, were it in a call of Caffe's that waits for ever.
ENDS_WITH_US = """\
import sys
here = sys.path.pop(0)  # the working directory, which may have a ctypes.py
import ctypes
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
sys.path.insert(0, here)
"""

# What the code itself prints, or a sitecustomize or a module that it imports, is no answer.
_ANSWERS = """\
import os, sys
answers = os.fdopen(int(sys.argv.pop(1)), "w")
os.dup2(2, 1)
"""


@dataclass(frozen=True)
class Answer:
    """What a process said, and how it ended: status below 0 for a signal, None where its time was over."""

    status: Optional[int]
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def failure(self) -> str:
        """Why it failed, in one line: Caffe's last words, or those of the Python error, or the signal."""
        if self.status is None:
            return "no answer in time; it was ended"
        fatal = _FATAL.search(self.err)
        if fatal:
            return f"{fatal['text'].strip()} ({fatal['place']})"
        lines = [line.strip() for line in self.err.splitlines() if line.strip() and not line.startswith("    @ ")]
        last = lines[-1] if lines else "without a word"
        return f"{last} (killed by {signal.Signals(-self.status).name})" if self.status < 0 else last


def ask(
    command: Sequence[str],
    timeout: Optional[float] = 60.0,
    env: Optional[Mapping[str, str]] = None,
    cwd: Optional[str] = None,
    fds: Sequence[int] = (),
) -> Answer:
    """Run a program and return what it prints. fds: descriptors that it inherits. timeout: seconds, then it is killed; None waits for ever.

    Raises OSError where there is no such program.
    """
    process = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd, pass_fds=fds,
    )  # fmt: skip
    status: Optional[int] = None
    try:
        out, err = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Answer(status, out.decode(errors="replace"), err.decode(errors="replace"))


def ask_python(code: str, *arguments: str, timeout: Optional[float] = 60.0, cwd: Optional[str] = None) -> Answer:
    """Run a piece of Python, in this very interpreter's program; `out` is what it writes to the file `answers`."""
    with tempfile.TemporaryFile() as answers:
        command = [sys.executable, "-c", ENDS_WITH_US + _ANSWERS + code, str(answers.fileno()), *arguments]
        answer = ask(command, timeout, dict(os.environ), cwd, (answers.fileno(),))
        answers.seek(0)
        return replace(answer, out=answers.read().decode(errors="replace"))
