"""The processes of a conversion: each does a part of a task at a time, whatever the task is."""

import contextlib
import pickle
from multiprocessing.connection import Connection, wait
from typing import Any, Dict, Iterable, Iterator, List, Tuple, cast

from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.child import Child, Order
from caffe_pylayers.processes.limits import exhausted
from caffe_pylayers.processes.statuses import ending

_ASKED_AHEAD = 4  # parts that a worker knows of, so that it need not wait for a parent that is busy


class Workers:
    """Processes, to be used in a `with`. Ctrl-C is their parent's affair."""

    def __init__(self, count: int) -> None:
        self._children: Dict[Connection, Child] = {}
        with contextlib.closing(Order("caffe_pylayers.commands.convert.workers:main")) as order:
            for _ in range(count):
                child = Child(order)
                self._children[child.connection] = child

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._children.values():
            child.process.kill()  # all at once, so that they end side by side
        for child in self._children.values():
            child.end()

    def do(self, task: Any, parts: Iterable[Any]) -> Iterator[Any]:
        """What `task.do(part)` returns for each part, in their order; DataErrors, OSErrors and MemoryErrors of it are raised here."""
        order = pickle.dumps(task)
        for connection in self._children:
            connection.send_bytes(order)
        pending = enumerate(parts)
        asked: Dict[Connection, List[Tuple[int, Any]]] = {connection: [] for connection in self._children}
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
        for connection in self._children:
            connection.send(None)

    def _answer(self, connection: Connection, mine: List[Tuple[int, Any]]) -> Tuple[int, Any]:
        number, part = mine.pop(0)
        try:
            answer = connection.recv()
        except (EOFError, ConnectionResetError):
            end = ending(self._children[connection].process.wait())
            raise DataError(
                f"a worker process ended with {end} at {part}",
                remedy="if there was not enough memory, give fewer workers",
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return number, answer


def _ask(connection: Connection, pending: Iterator[Tuple[int, Any]], mine: List[Tuple[int, Any]]) -> None:
    for number, part in pending:
        mine.append((number, part))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # noticed where its answer is waited for
            connection.send(part)
        return


def main(descriptor: int) -> None:
    """The program: a task, then its parts until None comes, then another task, until the parent is gone."""
    import cv2

    from caffe_pylayers.data.worker import keep_freed_memory

    connection = Connection(descriptor)
    cv2.setNumThreads(0)
    keep_freed_memory()
    try:
        while True:
            task = connection.recv()
            for part in iter(connection.recv, None):
                try:
                    answer = task.do(part)
                except (DataError, OSError, MemoryError) as error:
                    answer = exhausted(error) or error
                connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
