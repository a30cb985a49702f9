"""Longer than `make test` allows: `make soak`."""

import hashlib
import os
import random
import signal
import threading
from pathlib import Path

import psutil
import pytest

from caffe_pylayers.data.feeder import InProcess
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.ring import Ring
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.transforms import Transforms
from tests.data.plans import plan_of

NUM_BATCHES = 20_000
NUM_SLOTS = 4


@pytest.mark.soak
def test_workers_killed_at_random_do_not_change_the_stream(photos):
    """20,000 batches, a worker killed or stopped about every second: the stream is that of no disturbance; nothing is left.

    Never two at one batch, which is an error: the next goes when all batches that were asked for then have been taken.
    """
    source = open_source("LMDB", photos.lmdb)
    recipe = Recipe.of(source, Transforms((24, 20), (16, 16), mirror=True, random=True))
    plan = plan_of("TripletDataLayer", source, batch_size=8, seed=1)
    ring, undisturbed = Ring(recipe, plan, NUM_SLOTS, 2, timeout=2.0), InProcess(recipe, plan)
    process = psutil.Process()
    shared = set(Path("/dev/shm").iterdir())
    over = threading.Event()
    lost = []
    taken = asked = 0  # batches

    def kill_at_random():
        nonlocal asked
        dice = random.Random(0)
        while not over.wait(1):
            workers = process.children()
            if workers and taken > asked:
                asked = taken + NUM_SLOTS
                lost.append(dice.choice(workers).pid)
                os.kill(lost[-1], dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP]))

    thread = threading.Thread(target=kill_at_random)
    thread.start()
    memory = []
    try:
        for number in range(NUM_BATCHES):
            with ring.take(number) as (ours, _), undisturbed.take(number) as (theirs, _):
                assert hashlib.sha1(ours).digest() == hashlib.sha1(theirs).digest(), f"batch {number}"
            taken = number
            if number % 1000 == 0:
                memory.append(process.memory_info().rss)
    finally:
        over.set()
        thread.join()
        ring.close()
    print(f"{len(lost)} workers lost; resident memory {[size >> 20 for size in memory]} MB")
    assert len(lost) > 10
    assert memory[-1] < memory[2] + (16 << 20)
    assert process.children() == []
    assert set(Path("/dev/shm").iterdir()) == shared
