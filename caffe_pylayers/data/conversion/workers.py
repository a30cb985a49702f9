"""The processes of a conversion: each does a part of a task at a time, whatever the task is.

They are programs of their own, as those of the data layers are (see `caffe_pylayers.data.ring`), and end with their parent.
"""

import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Dict, Iterable, Iterator, List, Tuple, cast

from caffe_pylayers import interpreter
from caffe_pylayers.errors import DataError

_BOOT = """\
import sys
sys.path = [folder for folder in sys.path if folder]
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
sys.path = connection.recv()
from caffe_pylayers.data.conversion.workers import main
main(connection, *map(int, sys.argv[2:]))
"""

_ASKED_AHEAD = 4  # parts that a worker knows of, so that it need not wait for a parent that is busy
_PR_SET_PDEATHSIG = 1


class Workers:
    """Processes, to be used in a `with`. Ctrl-C is their parent's affair."""

    def __init__(self, count: int) -> None:
        self._processes: Dict[Connection, subprocess.Popen] = {}
        for _ in range(count):
            ours, theirs = Pipe()
            with theirs:
                self._processes[ours] = _start(theirs)
            ours.send(sys.path)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for connection, process in self._processes.items():
            connection.close()
            process.kill()
        for process in self._processes.values():
            process.wait()

    def do(self, task: Any, parts: Iterable[Any]) -> Iterator[Any]:
        """What `task.do(part)` returns for each part, in their order; DataErrors and OSErrors of it are raised here."""
        order = pickle.dumps(task)
        for connection in self._processes:
            connection.send_bytes(order)
        pending = enumerate(parts)
        asked: Dict[Connection, List[Tuple[int, Any]]] = {connection: [] for connection in self._processes}
        for _ in range(_ASKED_AHEAD):
            for connection, mine in asked.items():
                _ask(connection, pending, mine)
        answers: Dict[int, Any] = {}
        next_part = 0
        while any(asked.values()):
            for ready in wait([connection for connection, mine in asked.items() if mine]):
                connection = cast(Connection, ready)
                part, answer = self._answer(connection, asked[connection])
                _ask(connection, pending, asked[connection])
                answers[part] = answer
            while next_part in answers:
                yield answers.pop(next_part)
                next_part += 1
        for connection in self._processes:
            connection.send(None)

    def _answer(self, connection: Connection, mine: List[Tuple[int, Any]]) -> Tuple[int, Any]:
        number, part = mine.pop(0)
        try:
            answer = connection.recv()
        except (EOFError, ConnectionResetError):
            status = self._processes[connection].wait()
            end = f"with signal {-status}" if status < 0 else f"with status {status}"
            raise DataError(
                f"a worker process ended {end} at {part}; if it was for want of memory, give fewer workers"
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return number, answer


def _start(connection: Connection) -> subprocess.Popen:
    # The kernel kills the child when the thread that made it ends; outside the main thread that is too early.
    die_with_parent = threading.get_native_id() == os.getpid()
    arguments = [connection.fileno(), os.getpid(), int(die_with_parent)]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            [interpreter.executable(), "-c", _BOOT, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            pass_fds=(connection.fileno(),),
            env=interpreter.environment(),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _ask(connection: Connection, pending: Iterator[Tuple[int, Any]], mine: List[Tuple[int, Any]]) -> None:
    for number, part in pending:
        mine.append((number, part))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # noticed where its answer is waited for
            connection.send(part)
        return


def main(connection: Connection, parent: int, die_with_parent: int) -> None:
    """The program: a task, then its parts until None comes, then another task, until the parent is gone."""
    if die_with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    import cv2

    from caffe_pylayers.data.worker import keep_freed_memory

    cv2.setNumThreads(0)
    keep_freed_memory()
    try:
        while True:
            task = connection.recv()
            for part in iter(connection.recv, None):
                try:
                    answer = task.do(part)
                except (DataError, OSError) as error:
                    answer = error
                connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
