"""Every process that a test starts, and all below it, ends with the test run: even where this is killed, and they are in
sessions of their own, have environments of their own, or have lost their parents.

They are told by a limit that every process inherits and that nothing else uses: the soft RLIMIT_RTTIME, which is for real-time
scheduling. A process of pytest sets its own to a number that no other has. The reaper waits until that process is gone, by a
lock that the kernel takes from it then, and kills whoever has the number. pytest is not its parent: tests count their children.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from typing import List

import psutil

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def watch_this_process() -> None:
    """Start a reaper for this process."""
    inherited, most = resource.getrlimit(resource.RLIMIT_RTTIME)
    if inherited != resource.RLIM_INFINITY or "MAKELEVEL" in os.environ:  # below another process of pytest, or make
        end_with_parent()
    mark = time.time_ns()
    resource.setrlimit(resource.RLIMIT_RTTIME, (mark, most))
    lock = os.memfd_create("lock")  # never closed
    fcntl.lockf(lock, fcntl.LOCK_EX)  # children do not inherit it
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, __file__, str(mark)], stdin=lock, stdout=quiet, stderr=quiet, check=True)


def marked(mark: int) -> List[psutil.Process]:
    """The processes that have this mark, but for the one that asks."""
    found = []
    for process in psutil.process_iter():
        try:
            has_mark = process.rlimit(psutil.RLIMIT_RTTIME)[0] == mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue  # it has ended, or is another user's
        if has_mark and process.pid != os.getpid():
            found.append(process)
    return found


def reap(mark: int) -> None:
    """Wait for the end of the process that has the lock, then kill all that have the mark."""
    if os.fork():
        return
    os.setsid()
    fcntl.lockf(sys.stdin, fcntl.LOCK_EX)
    while marked(mark):
        for process in marked(mark):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


if __name__ == "__main__":
    reap(int(sys.argv[1]))
