"""What data layers are fed by: batches made in this process, or by the workers of a ring."""

import atexit
import contextlib
import os
import threading
import weakref
from dataclasses import replace
from typing import Callable, ContextManager, Iterator, Mapping, Optional

from caffe_pylayers.data.cut_short import CutShort
from caffe_pylayers.data.recipe import Batch, Recipe, Taken, Tally
from caffe_pylayers.data.room import Room
from caffe_pylayers.errors import PartedError
from caffe_pylayers.processes import limits
from caffe_pylayers.processes.streams import open_closed_streams

Reject = Callable[[Mapping[int, PartedError]], None]


class Feeder:
    """Batches by their numbers, for one thread at a time.

    plan: number -> Batch, called in this process. reject: told of records that cannot be read (record -> complaint),
    whereupon `plan` puts others in their places; None where such a record is an error. cut_short: told of records of which
    only a part could be read, when their batch is taken.
    """

    def __init__(
        self,
        recipe: Recipe,
        plan: Callable[[int], Batch],
        reject: Optional[Reject] = None,
        cut_short: Optional[CutShort] = None,
    ) -> None:
        self._cut_short = cut_short or CutShort(recipe.source)
        self._recipe = recipe
        self._plan = plan
        self._reject = reject
        self._turn = _Turn()
        _feeders.add(self)

    @contextlib.contextmanager
    def take(self, number: int) -> Iterator[Taken]:
        """Batch `number`: its images (arity, B, C, H, W), valid inside the `with`, and its plan.

        Raises DataError for a record that cannot be read, RuntimeError where another thread takes a batch meanwhile.
        """
        with self._turn:
            open_closed_streams()
            with limits.told(), self._made(number) as taken:
                yield taken

    def stop(self) -> None:
        """End what works on batches and give their memory back; the next `take` begins again."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop, and give back all that the source holds. RuntimeError where another thread takes a batch meanwhile."""
        self._turn.refuse_others()
        self._end()

    def _end(self) -> None:
        self.stop()
        self._recipe.close()
        self._cut_short.tell()

    def _made(self, number: int) -> ContextManager[Taken]:
        raise NotImplementedError


class InProcess(Feeder):
    """Batches made by this process when they are asked for: what a data layer uses without prefetch."""

    _room: Optional[Room] = None

    @contextlib.contextmanager
    def _made(self, number: int) -> Iterator[Taken]:
        batch = self._plan(number)
        if self._room is None:
            self._room = self._recipe.room(batch.records.size)
        room = self._room
        while True:
            tally = Tally()
            tolerant = self._reject is not None
            records, keys = batch.records.ravel(), batch.keys.ravel()
            complaints = self._recipe.fill(records, keys, room, tolerant=tolerant, tally=tally)
            if not complaints:
                break
            assert self._reject is not None
            self._reject({int(records[place]): complaint for place, complaint in complaints.items()})
            batch = self._plan(number)
        self._cut_short.add(tally.cut_short)
        yield replace(batch, cached=tally.cached).made(room)

    def stop(self) -> None:
        self._room = None


class _Turn:
    """Who takes a batch now: one thread, for slots and blobs are there once, and a second would wait for ever or mix them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taker = os.getpid(), 0  # the process and the thread that have it

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            if self._taker[0] == os.getpid():
                raise RuntimeError(_SEVERAL_THREADS)
            self._lock = threading.Lock()  # of a thread that this fork does not have
            self._lock.acquire()
        self._taker = os.getpid(), threading.get_ident()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def refuse_others(self) -> None:
        pid, thread = self._taker
        if self._lock.locked() and pid == os.getpid() and thread != threading.get_ident():
            raise RuntimeError(_SEVERAL_THREADS)


_SEVERAL_THREADS = (
    "one data layer is used by several threads at once, so their batches would mix: a Caffe net is for one thread at a "
    "time; give each thread its own net, or put a threading.Lock around forward, step and close"
)

_feeders: "weakref.WeakSet[Feeder]" = weakref.WeakSet()


def close_all() -> None:
    """Close every feeder of this process."""
    for feeder in list(_feeders):
        feeder.close()


@atexit.register
def _end_all() -> None:
    """At the end of the program, whoever takes a batch: a daemon thread, which ends too."""
    for feeder in list(_feeders):
        feeder._end()
