"""Another Python that runs a function of this package: how it is started, what it answers on, that it ends with us.

Children are programs of their own, not forks: a process that runs Caffe has threads and locks. What they have to say goes
through a socket of their own and never through stdout, where a transform or a sitecustomize of the user may print.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from typing import Any, Mapping, Optional, Sequence

from caffe_pylayers.processes import interpreter
from caffe_pylayers.processes.streams import open_closed_streams

# sys.path comes first of all: until it is set, a file of the working directory could pass for a module.
_BOOT = """\
import sys
sys.path = [folder for folder in sys.path if folder]
import pickle
with open("/proc/self/fd/" + sys.argv[2], "rb") as order:
    sys.path = pickle.load(order)
    from caffe_pylayers.processes.boot import run
    run(order)
"""


class Order:
    """What children run: `function`, 'module:name', called with these arguments and then with the numbers of a child.

    It lies in memory that has no name, so that many children share one copy; `close` it when all are started.
    """

    def __init__(self, function: str, *arguments: Any) -> None:
        open_closed_streams()
        self.fd = os.memfd_create("caffe_pylayers order")
        with open(self.fd, "wb", closefd=False) as file:
            for part in (sys.path, function, arguments):
                pickle.dump(part, file)

    def close(self) -> None:
        os.close(self.fd)

    def start(
        self,
        *numbers: int,
        fds: Sequence[int] = (),
        name: str = "caffe_pylayers child",
        env: Optional[Mapping[str, str]] = None,
    ) -> subprocess.Popen:
        """Start a child. fds: descriptors that it inherits under their numbers. env: variables besides ours."""
        # The kernel kills the child when the thread that made it ends; outside the main thread that is too early.
        by_kernel = threading.get_native_id() == os.getpid()
        arguments = [self.fd, os.getpid(), int(by_kernel), *numbers]
        # On Ctrl-C and SIGHUP, which reach the whole process group, Caffe takes a snapshot: children must outlive them
        # from their first instruction on, and end when their parent wants it.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            return subprocess.Popen(
                [interpreter.executable(), "-c", _BOOT, name, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                pass_fds=(self.fd, *fds),
                env={**interpreter.environment(), **(env or {})},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Child:
    """A child that talks to us in objects, through `connection`: its function is called with its end of that last.

    Where it ends early, `connection` is at its end (EOFError, ConnectionResetError).
    """

    def __init__(self, order: Order, fds: Sequence[int] = (), env: Optional[Mapping[str, str]] = None) -> None:
        self.connection: Connection
        self.connection, theirs = Pipe()
        with theirs:
            self.process = order.start(theirs.fileno(), fds=(theirs.fileno(), *fds), env=env)

    def end(self) -> int:
        """Kill it; returns its exit status, which is its own if it had ended by itself."""
        self.connection.close()
        self.process.kill()
        return self.process.wait()
