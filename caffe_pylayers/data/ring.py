"""The ring: slots in shared memory, filled ahead by worker processes, taken in order by the net.

A slot is handed over only by its worker's message of (number of the batch, slot, generation). A worker that dies, or is silent
for too long, is killed and replaced, and what it had to do is done again from the start: since a batch is a pure
function of its number, nothing can be lost, repeated or torn. Threads would not do: Caffe never releases the GIL.
"""

import contextlib
import logging
import os
import select
import socket
import subprocess
from collections import Counter, deque
from dataclasses import replace
from typing import Callable, Deque, Dict, Iterator, List, Optional, Sequence, Tuple

from caffe_pylayers.data.cut_short import CutShort
from caffe_pylayers.data.feeder import Feeder, Reject
from caffe_pylayers.data.recipe import Batch, Recipe, Taken
from caffe_pylayers.data.slots import DONE, NO_PLACE, Layout, Memory, unpack_complaints
from caffe_pylayers.errors import DataError, PartedError
from caffe_pylayers.processes.child import Order
from caffe_pylayers.processes.statuses import ending

logger = logging.getLogger("caffe_pylayers")

_MAX_FAILURES = 2  # workers lost inside the same batch, before it is the batch's fault
_MAX_STILLBORN = 5  # workers lost in a row before they read anything, before it is the installation's


class _Worker:
    """A process, the socket to it, and what it has been asked for, oldest first."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.generation = 0
        self.asked: Deque[Tuple[int, int]] = deque()  # (number of a batch, slot)
        self.beat = -1  # its heartbeat when last looked at, and for how many seconds of waiting it has not changed
        self.silence = 0.0
        self.process: Optional[subprocess.Popen] = None
        self.channel: Optional[socket.socket] = None

    def start(self, order: Order, inherited: Sequence[int], generation: int) -> None:
        self.generation = generation
        self.beat, self.silence = -1, 0.0
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = order.start(
                self.number, theirs.fileno(), fds=(theirs.fileno(), *inherited), name="caffe_pylayers worker"
            )

    def ask(self, number: int, slot: int) -> None:
        assert self.channel is not None
        # A worker that is gone is noticed where its messages are received. No SIGPIPE for whom embeds us.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.channel.send(DONE.pack(number, slot, self.generation), socket.MSG_NOSIGNAL)

    def stop(self, patience: float) -> Optional[int]:
        """End it: by end-of-file on its socket, after `patience` seconds by SIGKILL. None if even that did not."""
        assert self.channel is not None and self.process is not None
        self.channel.close()
        for wait in (patience, 5.0):
            try:
                return self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return None


class Ring(Feeder):
    """Batches made ahead by `num_workers` processes in `num_slots` slots.

    timeout: seconds without a sign of life after which a worker that is waited for is replaced. Processes and memory come
    with the first `take` and go with `stop`; a `take` after that starts them again. Numbers usually follow each other; any
    other number makes it start again there. A record that takes the workers down twice is a DataError of its batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        plan: Callable[[int], Batch],
        num_slots: int,
        num_workers: int,
        timeout: float,
        reject: Optional[Reject] = None,
        cut_short: Optional[CutShort] = None,
    ) -> None:
        super().__init__(recipe, plan, reject, cut_short)
        self._num_slots = num_slots
        self._num_workers = num_workers
        self._timeout = timeout
        self._pid = -1  # of the process that has it open
        self._next_taken = -1

    @contextlib.contextmanager
    def _made(self, number: int) -> Iterator[Taken]:
        try:
            if self._pid != os.getpid() or number != self._next_taken:  # stopped, inherited by a fork, or a restore
                self.stop()
                self._open(number)
            slot = self._wait(number)
            filled, batch = self.memory.slots[slot], self._plans[slot]
            self._cut_short.add(filled.records[filled.cut_short].tolist())
            if self._recipe.form.largest:
                filled.room.fit(filled.room.sizes[0])
            yield replace(batch, cached=int(filled.cached[0])).made(filled.room)
            self._free.append(slot)
            self._next_taken = number + 1
            self._schedule()
        except BaseException:
            # Whatever this interrupted, the next take starts from a clean state.
            self.stop()
            raise

    def stop(self) -> None:
        if self._pid != os.getpid():
            return
        self._pid = -1
        for worker in self._workers:
            if worker.channel is not None:
                worker.channel.close()  # all at once, so that they end side by side
        for worker in self._workers:
            if worker.process is not None:
                worker.stop(patience=0.2)
        self._order.close()
        self.memory.close()
        del self.memory, self._workers

    def _open(self, number: int) -> None:
        batch = self._plan(number)
        layout = Layout(self._num_slots, self._num_workers, batch.records.size, self._recipe.form)
        self.memory = Memory(layout)
        try:
            self._order = Order("caffe_pylayers.data.worker:main", self._recipe, self.memory, self._reject is not None)
        except BaseException:
            self.memory.close()
            del self.memory
            raise
        self._workers = [_Worker(number) for number in range(self._num_workers)]
        self._pid = os.getpid()
        self._plans: List[Batch] = [batch] * self._num_slots
        self._free = deque(range(self._num_slots))
        self._done: Dict[
            int, Tuple[int, Optional[PartedError]]
        ] = {}  # number of a batch -> its slot, and the complaint about it
        self._failures: Counter = Counter()  # number of a batch -> workers that it took down
        self._stillborn = 0  # workers lost in a row before they read anything
        self._generation = 0
        self._next_taken = self._next_asked = number
        for worker in self._workers:
            self._start(worker)
        self._schedule()

    def _start(self, worker: _Worker) -> None:
        self._generation += 1
        self.memory.beats[worker.number] = 0, -1
        worker.start(self._order, (self.memory.fd, *self._recipe.fds), self._generation)

    def _schedule(self) -> None:
        """Ask for as many batches as there are free slots."""
        while self._free:
            slot = self._free.popleft()
            number = self._next_asked
            self._next_asked += 1
            self._ask(min(self._workers, key=lambda worker: len(worker.asked)), number, slot)

    def _ask(self, worker: _Worker, number: int, slot: int) -> None:
        """Plan batch `number`, and ask a worker for it."""
        try:
            self._plans[slot] = plan = self._plan(number)
        except DataError as error:  # no record is left that could stand in; told when the batch is due
            self._done[number] = slot, error.kept()
            return
        filled = self.memory.slots[slot]
        filled.records[:] = plan.records.ravel()
        filled.keys[:] = plan.keys.ravel()
        if filled.given_labels is not None:
            filled.given_labels[:] = self._recipe.labels_of(filled.records)
        worker.asked.append((number, slot))
        worker.ask(number, slot)

    def _wait(self, number: int) -> int:
        """The slot with batch `number`, once a worker has handed it over."""
        interval = min(1.0, self._timeout / 4)
        while number not in self._done:
            self._schedule()
            poll = select.poll()
            by_fd = {}
            for worker in self._workers:
                assert worker.channel is not None
                poll.register(worker.channel, select.POLLIN)
                by_fd[worker.channel.fileno()] = worker
            events = poll.poll(1000 * interval)
            for fd, _ in events:
                self._receive(by_fd[fd])
            if not events:
                # Counted in intervals, not by the clock: after a Ctrl-Z and fg nobody has been silent.
                for worker in self._workers:
                    self._listen(worker, interval)
        slot, complaint = self._done.pop(number)
        if complaint:
            raise complaint
        return slot

    def _receive(self, worker: _Worker) -> None:
        assert worker.channel is not None and worker.process is not None
        try:
            message = worker.channel.recv(1 << 16)
        except ConnectionResetError:  # it died with messages unread; what it had sent comes after this, then the end
            message = worker.channel.recv(1 << 16)
        if not message:
            status = worker.stop(patience=5.0)
            self._replace(worker, f"died ({ending(status)})")
            return
        number, slot, generation = DONE.unpack_from(message)
        if generation != worker.generation or not worker.asked or worker.asked[0] != (number, slot):
            return  # of an earlier life
        worker.asked.popleft()
        self._stillborn = 0
        complaints = unpack_complaints(message[DONE.size :])
        if complaints and NO_PLACE not in complaints:
            assert self._reject is not None
            records = self.memory.slots[slot].records
            self._reject({int(records[place]): complaint for place, complaint in complaints.items()})
            self._ask(worker, number, slot)
        else:
            self._done[number] = slot, complaints.get(NO_PLACE)

    def _listen(self, worker: _Worker, interval: float) -> None:
        beat = int(self.memory.beats[worker.number, 0])
        worker.silence = worker.silence + interval if worker.asked and beat == worker.beat else 0.0
        worker.beat = beat
        if worker.silence >= self._timeout:
            assert worker.process is not None
            worker.process.kill()
            if worker.stop(patience=5.0) is None:
                raise DataError(
                    f"worker {worker.process.pid} cannot be killed{self._at(worker)}",
                    remedy="is a disk or network share stuck?",
                )
            self._replace(worker, f"gave no sign of life for {self._timeout:g} s and was killed")

    def _replace(self, worker: _Worker, what: str) -> None:
        """Start another worker in the place of one that is gone, and let it do again what that one had left."""
        assert worker.process is not None
        begun = int(self.memory.beats[worker.number, 0])
        at = self._at(worker)
        logger.warning("worker %d %s%s; another takes over", worker.process.pid, what, at)
        if not begun:
            self._stillborn += 1
            if self._stillborn == _MAX_STILLBORN:
                raise DataError(f"{_MAX_STILLBORN} workers in a row ended before they read anything; the last {what}")
        elif worker.asked:  # wherever it was: one that dies when it hands a batch over does so each time
            number, slot = worker.asked[0]
            self._failures[number] += 1
            if self._failures[number] == _MAX_FAILURES:
                worker.asked.popleft()
                problem = f"{_MAX_FAILURES} workers failed at one batch; the last {what}{at}"
                self._done[number] = slot, DataError(problem)
        self._start(worker)
        for number, slot in worker.asked:
            worker.ask(number, slot)

    def _at(self, worker: _Worker) -> str:
        """The record or the batch that it was at, for messages."""
        if not worker.asked:
            return " between two batches"
        number, slot = worker.asked[0]
        place = int(self.memory.beats[worker.number, 1])
        if place < 0:
            return f" while it took or handed over batch {number}"
        return f" at {self._recipe.source.describe(self.memory.slots[slot].records[place])}"
