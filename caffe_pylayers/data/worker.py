"""The worker process: fills slots until its parent is gone.

It is a child of `caffe_pylayers.processes.child`, and knows no Caffe.
"""

import contextlib
import ctypes
import os
import socket
import sys
import traceback
from typing import Mapping

import cv2
import numpy as np

from caffe_pylayers.data.recipe import Recipe, Tally
from caffe_pylayers.data.slots import DONE, NO_PLACE, Memory, pack_complaints
from caffe_pylayers.errors import DataError, PartedError
from caffe_pylayers.processes.limits import exhausted

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def main(recipe: Recipe, memory: Memory, tolerant: bool, number: int, socket_fd: int) -> None:
    """Fill what the parent asks for.

    number: this worker's row of heartbeats in the shared memory. tolerant: go on behind records that cannot be read.
    """
    keep_freed_memory()
    yield_to_the_net()
    cv2.setNumThreads(0)
    channel = socket.socket(fileno=socket_fd)
    beats = memory.beats[number]

    def begin(place: int) -> None:
        beats[:] = beats[0] + 1, place

    while True:
        try:
            order = channel.recv(DONE.size)
        except ConnectionResetError:  # the parent is gone, and left a message of ours unread
            return
        if not order:
            return
        _, index, _ = DONE.unpack(order)
        slot = memory.slots[index]
        complaints: Mapping[int, PartedError]
        tally = Tally()
        try:
            complaints = recipe.fill(slot.records, slot.keys, slot.room, begin, tolerant, tally, slot.given_labels)
            slot.cut_short[:] = np.isin(slot.records, list(tally.cut_short)) if tally.cut_short else False
            slot.cached[0] = tally.cached
        except PartedError as error:
            complaints = {NO_PLACE: exhausted(error) or error}
        except Exception as error:
            record = recipe.source.describe(slot.records[max(0, beats[1])])
            complaints = {NO_PLACE: exhausted(error) or DataError(traceback.format_exc(), source=record)}
        beats[1] = -1
        try:
            channel.send(order + pack_complaints(complaints))
        except (BrokenPipeError, ConnectionResetError):
            return


def yield_to_the_net() -> None:
    """Let a worker that wakes not push aside whoever runs: it is the net that woke it, and then waits for its core.

    Its share of the processor stays the same. Without it the end of a forward took up to 2 ms on a busy machine.
    """
    with contextlib.suppress(OSError):  # where a sandbox forbids it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def keep_freed_memory() -> None:
    """Let glibc keep the memory of each decoded image instead of giving it back to the kernel page by page.

    Otherwise every decode pays hundreds of page faults, which takes a third of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 128 << 20)
