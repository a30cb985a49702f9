"""Questions that a process of their own answers: what crashes there ends that process, and nothing else."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

#: A line of glog's: level, date, time, thread, place] text. F is what Caffe aborts with.
_FATAL = re.compile(r"^F\d{4,8} \S+ +\d+ (?P<place>\S+)\] (?P<text>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a process printed, and how it ended: status below 0 for a signal, None where its time was over."""

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
) -> Answer:
    """Run a program and return what it says. timeout: seconds, then it is killed; None waits for ever.

    Raises OSError where there is no such program.
    """
    process = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=cwd
    )
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
    """Run a piece of Python, in this very interpreter's program."""
    return ask([sys.executable, "-c", code, *arguments], timeout, dict(os.environ), cwd)
