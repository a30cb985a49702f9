"""How processes ended. Where a program ignores SIGCHLD, the kernel forgets that, and Python takes 0 for it."""

import contextlib
import ctypes
import signal
from typing import Iterator, Optional


def are_lost() -> bool:
    """Whether this program ignores SIGCHLD, as daemons do, or who was started by one."""
    with open("/proc/self/status") as stream:  # signal.getsignal knows only what Python itself has set
        ignored = next(int(line.split()[1], 16) for line in stream if line.startswith("SigIgn:"))
    return bool(ignored >> (signal.SIGCHLD - 1) & 1)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """While it lasts, the kernel keeps them; for a short while, since this is for the whole program."""
    if not are_lost():
        yield
        return
    set_handler = ctypes.CDLL(None).signal  # signal.signal is for the main thread alone
    set_handler(signal.SIGCHLD, ctypes.c_void_p(signal.SIG_DFL))
    try:
        yield
    finally:
        set_handler(signal.SIGCHLD, ctypes.c_void_p(signal.SIG_IGN))


def ending(status: Optional[int]) -> str:
    """How a process ended, by its exit status; None where it does not end."""
    if status is not None and status < 0:
        return f"signal {signal.Signals(-status).name}"
    if status == 0 and are_lost():
        return "nobody knows how: this program ignores SIGCHLD; its own message, if any, is above"
    return f"exit status {status}, its own message is above"
