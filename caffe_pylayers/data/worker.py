"""The worker process: fills slots until its parent is gone.

It is started as a program of its own (not forked: a process that runs Caffe has threads and locks), knows no Caffe,
and ends at once when its parent does, however the parent ended.
"""

import ctypes
import os
import signal
import socket
import sys
import traceback

import cv2

from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.slots import DONE, Memory
from caffe_pylayers.errors import DataError

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def main(recipe: Recipe, memory: Memory, number: int, socket_fd: int, parent: int, die_with_parent: bool) -> None:
    """Fill what the parent asks for. number: this worker's row of heartbeats in the shared memory."""
    if die_with_parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    keep_freed_memory()
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
        try:
            recipe.fill(slot.records, slot.keys, slot.images, begin)
            complaint = ""
        except DataError as error:
            complaint = str(error)
        except Exception:
            complaint = f"{recipe.source.describe(slot.records[max(0, beats[1])])}: {traceback.format_exc()}"
        beats[1] = -1
        try:
            channel.send(order + complaint.encode(errors="replace")[:60000])
        except (BrokenPipeError, ConnectionResetError):
            return


def keep_freed_memory() -> None:
    """Let glibc keep the memory of each decoded image instead of giving it back to the kernel page by page.

    Otherwise every decode pays hundreds of page faults, which takes a third of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and sys.platform == "linux":
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 128 << 20)
