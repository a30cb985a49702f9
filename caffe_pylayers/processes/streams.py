"""The standard streams of a process, which a daemon's are often closed.

Where one is closed, the next file, socket or memory that anybody opens gets its number: the log of Caffe is then written
into a batch, or a child's stdin takes the place of it. So a closed one leads nowhere instead, before this package opens
anything.
"""

import os
import sys


def open_closed_streams() -> None:
    """Open /dev/null in the place of each standard stream that is closed, for C and for Python.

    It costs about a microsecond where none is, and is called before anything is opened that stays open.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free, which is this one. Children inherit it, as any standard stream.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Then Python's, which found it closed when it started: each has a descriptor of its own, and all three numbers are taken.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 (it stays open)
