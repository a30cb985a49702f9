"""The other side of `caffe_pylayers.processes.child`: how a child begins, and how it ends."""

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from importlib import import_module
from typing import BinaryIO, Callable

_PR_SET_PDEATHSIG = 1
_LOOKS_EVERY = 1.0  # seconds


def run(order: BinaryIO) -> None:
    """Do what the order says. The arguments of the program: its descriptor, the parent, how to end, more numbers."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as a parent may leave it, it loses the statuses of forks
    parent, by_kernel, *numbers = map(int, sys.argv[3:])
    end_with(parent, bool(by_kernel))
    module, name = pickle.load(order).split(":")
    function = getattr(import_module(module), name)
    function(*pickle.load(order), *numbers)
    leave()


def leave() -> None:
    """End with status 0, but without taking apart what was imported: that takes a fifth of a short life, and serves nobody."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it is gone; it is closed
            stream.flush()
    os._exit(0)


def end_with(parent: int, by_kernel: bool = True) -> None:
    """From now on this process ends when its parent does, however that ends, and whoever else has our sockets.

    by_kernel: at once, and where it is stopped too; for who is started by the main thread of the parent, since the kernel
    means the thread. Otherwise within a second.
    """
    if by_kernel:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def fork(function: Callable[[], None]) -> int:
    """Call a function in a fork of this process, which ends with it; returns its number, for `status_of`.

    It has at once what this process has imported, and gives its memory back. Only for children of ours, without threads.
    """
    parent, child = os.getpid(), os.fork()
    if child:
        return child
    try:
        end_with(parent)
        function()
        os._exit(0)
    finally:
        os._exit(1)


def status_of(child: int) -> int:
    """Wait for the end of a fork: its exit status, or below 0 the signal that ended it."""
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY)
    os._exit(1)
