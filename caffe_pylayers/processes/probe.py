"""Questions that a process of their own answers: what crashes there ends that process, and nothing else."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import List, Mapping, NamedTuple, Optional, Sequence

from caffe_pylayers.processes import boot, interpreter
from caffe_pylayers.processes.statuses import kept

#: A line of glog's: level, date, time, thread, place] text.
_LOGGED = re.compile(r"^([IWEF])\d{4,8} \S+ +\d+ (\S+)\] (.*)$", re.MULTILINE)

#: An error without a traceback: of an import that Caffe itself makes.
_BARE_ERROR = re.compile(r"^[\w.]+(?:Error|Exception)\b.*$", re.MULTILINE)

# What stands in front of a program for `python -c`: it ends when we do, were it in a call of Caffe's that waits for ever.
_BEGIN = """\
import sys
path = sys.path
sys.path = [folder for folder in path if folder]  # not the working directory, which may have a module of any name
from runpy import run_path
run_path({boot!r})["end_with"]({parent})
"""

_END = """
from caffe_pylayers.processes.boot import leave
leave()
"""

# What the code itself prints, or a sitecustomize or a module that it imports, is no answer.
_ANSWERS = """\
sys.path = path
import os
answers = os.fdopen(int(sys.argv.pop(1)), "w")
os.dup2(2, 1)
"""


#: Errors in the log of a Caffe for GPUs on a machine without one, in each process, of which nothing comes in CPU mode.
COMPLAINTS = ("Cannot create Cublas handle", "Cannot create Curand generator", "Curand not available")

#: What a Caffe for GPUs does on a machine without one, in the thread that feeds its own data layers.
NEEDS_A_GPU = "a Caffe that is built for GPUs starts its own data layers only where it finds one, in CPU mode too"


class Logged(NamedTuple):
    """A line of Caffe's log. level: I, W, E or F, with which it aborts. place: file:line of its source."""

    level: str
    place: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What a process said, and how it ended: status below 0 for a signal, None where its time was over.

    The one reading of what Caffe says before it ends a process.
    """

    status: Optional[int]
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def log(self) -> List[Logged]:
        """What Caffe has logged, but for what one that is built for GPUs says wherever there is none."""
        lines = (Logged(*line) for line in _LOGGED.findall(self.err))
        return [line for line in lines if not line.text.startswith(COMPLAINTS)]

    @property
    def fatal(self) -> Optional[Logged]:
        """What Caffe aborted with."""
        return next((line for line in self.log if line.level == "F"), None)

    @property
    def raised(self) -> str:
        """The last Python error, "KeyError: 'x'", in one line; "" where there is none."""
        before, *tracebacks = re.split("^Traceback .*$", _LOGGED.sub("", self.err), flags=re.MULTILINE)
        errors = _BARE_ERROR.findall(before)
        for told in tracebacks:
            behind = dropwhile(lambda line: not line.strip() or line.startswith(" "), told.splitlines())
            errors.append(" ".join(" ".join(behind).split()))
        # SystemError is Boost.Python's, of an import whose own error it has printed.
        return next((error for error in reversed(errors) if not error.startswith("SystemError")), "")

    @property
    def failure(self) -> str:
        """Why it failed, in one line: Caffe's last words, or the last of its words, or the signal."""
        if self.status is None:
            return "no answer in time; it was stopped"
        if self.fatal:
            return f"{self.fatal.text.strip()} ({self.fatal.place})"
        lines = [line.strip() for line in self.err.splitlines() if line.strip() and not line.startswith("    @ ")]
        last = lines[-1] if lines else "without a message"
        return f"{last} (killed by {signal.Signals(-self.status).name})" if self.status < 0 else last

    @property
    def why_caffe_gave_up(self) -> str:
        """The Python error of a layer, or all errors of Caffe's log, of which the first may name the file; else `failure`."""
        errors = [line.text for line in self.log if line.level in "EF"]
        why = (self.raised if (self.status or 0) > 0 else "; ".join(errors)) or self.failure
        return f"{why} ({NEEDS_A_GPU})" if self.needs_a_gpu else why

    @property
    def needs_a_gpu(self) -> bool:
        """Whether it ended because a data layer of Caffe's own found no GPU."""
        return self.fatal is not None and self.fatal.place.startswith("internal_thread.cpp")


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
    with kept():
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            pass_fds=fds,
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
    """Run a piece of Python, with the paths and variables that it would have by itself; `out` is what it writes to the file `answers`."""
    with tempfile.TemporaryFile() as answers:
        answer = ask(
            _python(_ANSWERS + code, str(answers.fileno()), *arguments), timeout, None, cwd, (answers.fileno(),)
        )
        answers.seek(0)
        return replace(answer, out=answers.read().decode(errors="replace"))


def ask_caffe(code: str, *arguments: str, timeout: Optional[float] = None, quiet: bool = True) -> Answer:
    """Run a piece of Python that may end in an abort of Caffe's; it ends when its last line has run. It imports from where this process does.

    quiet: Caffe logs its errors alone.
    """
    variables = {
        **interpreter.environment(),
        "GLOG_minloglevel": "2" if quiet else "0",
        "GLOG_logtostderr": "1",
        "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path),
    }
    return ask(_python(code + _END, *arguments), timeout, variables)


def _python(code: str, *arguments: str) -> List[str]:
    """The command that runs a piece of Python which ends with this process."""
    begin = _BEGIN.format(boot=boot.__file__, parent=os.getpid())
    return [interpreter.executable(), "-c", begin + code, *arguments]
