"""The ring against batches made in this process; then each of its promises, broken on purpose."""

import logging
import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace

import numpy as np
import psutil
import pytest

import caffe_pylayers
from caffe_pylayers.data import ring as ring_module
from caffe_pylayers.data.feeder import InProcess
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.ring import Ring
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.data.user_transform import UserTransform
from caffe_pylayers.errors import ConfigError, DataError
from tests.data import gates
from tests.data.plans import plan_of
from tests.layers.runs import has_ended
from tests.refusals import refused

SHAPE = Transforms((24, 20), crop_size=(16, 16), mirror=True, random=True)


def listed(photos):
    return open_source("CSV", photos.csv, root=str(photos.folder))


def in_order(source, batch_size=8):
    return plan_of("ImageDataLayer", source, batch_size=batch_size)


@pytest.fixture
def rings():
    """Make rings that are closed when the test ends, and leave no process behind."""
    made = []

    def make(recipe, plan, slots=3, workers=1, timeout=60.0):
        made.append(Ring(recipe, plan, slots, workers, timeout))
        return made[-1]

    yield make
    for ring in made:
        ring.close()
    assert psutil.Process().children() == []


def batches(feeder, numbers):
    taken = []
    for number in numbers:
        with feeder.take(number) as (images, _):
            taken.append(images.copy())
    return np.stack(taken)


@pytest.mark.parametrize("source_type, workers", [("CSV", 1), ("CSV", 2), ("CSV", 3), ("LMDB", 2), ("LMDB", 8)])
def test_any_number_of_workers_makes_the_same_batches(photos, rings, source_type, workers):
    source = listed(photos) if source_type == "CSV" else open_source("LMDB", photos.lmdb)
    recipe = Recipe.of(source, SHAPE)
    plan = plan_of("TripletDataLayer", source, batch_size=8, seed=3)
    np.testing.assert_array_equal(
        batches(rings(recipe, plan, max(3, workers), workers), range(20)), batches(InProcess(recipe, plan), range(20))
    )


def test_batches_may_be_asked_for_in_any_order_a_far_one_first(photos, rings):
    recipe = Recipe.of(listed(photos), SHAPE)
    plan = in_order(recipe.source)
    numbers = [10_000_000, 10_000_001, 5, 6, 0, 0]
    np.testing.assert_array_equal(batches(rings(recipe, plan), numbers), batches(InProcess(recipe, plan), numbers))


def test_float_slots_for_a_mean(photos, rings):
    mean = np.random.default_rng(0).uniform(0, 255, (3, 24, 20)).astype(np.float32)
    recipe = Recipe.of(listed(photos), Transforms((24, 20), (16, 16), True, random=True, mean=mean, scale=0.1))
    plan = in_order(recipe.source)
    taken = batches(rings(recipe, plan), range(4))
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken, batches(InProcess(recipe, plan), range(4)))


FAILING = """\
def grows(image, rng):
    return image.astype(float) if image.sum() == {third} else image

def fails(image, rng):
    return image if image.sum() != {third} else image[1000, 0]
"""


def test_a_transform_that_fails_later_is_told_alike_by_workers(photos, rings, tmp_path, monkeypatch):
    third = SHAPE.load(listed(photos), 3).sum()
    (tmp_path / "transforms_of_a_user.py").write_text(FAILING.format(third=third))
    monkeypatch.syspath_prepend(tmp_path)
    for name, words in [("grows", "float64"), ("fails", "transforms_of_a_user.py:5")]:
        recipe = Recipe.of(listed(photos), replace(SHAPE, transform=UserTransform(f"transforms_of_a_user:{name}")))
        told = []
        for feeder in (rings(recipe, in_order(recipe.source)), InProcess(recipe, in_order(recipe.source))):
            with refused(ConfigError, words, record=3, option="transform") as caught:
                batches(feeder, [0])
            told.append(caught.value.parts)
        assert told[0] == told[1]


GATED = replace(SHAPE, transform=UserTransform("tests.data.gates:wait"))


class Gate:
    """An image at which whoever makes it waits, until the test lets it go on."""

    def __init__(self, folder, photos, record, monkeypatch):
        monkeypatch.setenv(gates.FOLDER, str(folder))
        self.path = folder / gates.name_of(GATED.load(listed(photos), record))
        os.mkfifo(self.path)

    def hold(self):
        """Wait for whoever makes the image, and keep it waiting until the result is closed."""
        return os.open(self.path, os.O_WRONLY)

    def open_for_good(self):
        """From now on nobody waits there for long."""

        def let_pass():
            for _ in range(2):
                os.close(self.hold())

        threading.Thread(target=let_pass, daemon=True).start()


def wait_for_death(worker):
    """Not `worker.wait()`: that would take the exit status, which is the ring's."""
    wait_until(lambda: has_ended(worker))


def wait_until(what):
    deadline = time.monotonic() + 200
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


FIRST, MIDDLE, LAST = 8, 12, 15  # records at the first, a middle and the last place of batch 1


def lose_one(gate, how=signal.SIGKILL):
    """Let the only worker be lost at a gate, which is open then."""
    pipe = gate.hold()
    (worker,) = psutil.Process().children()
    worker.send_signal(how)
    wait_for_death(worker)  # by the signal, or by the ring's own hand
    os.close(pipe)
    gate.open_for_good()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=lambda how: how.name)
@pytest.mark.parametrize("record", [FIRST, MIDDLE, LAST])
def test_a_worker_lost_inside_a_fill_is_replaced(photos, tmp_path, rings, caplog, monkeypatch, how, record):
    """Whichever image of the batch it was at, the stream does not change."""
    gate = Gate(tmp_path, photos, record, monkeypatch)
    recipe = Recipe.of(listed(photos), GATED)
    plan = in_order(recipe.source)
    timeout = 2.5 if how == signal.SIGSTOP else 60  # on a busy machine another worker takes a second to start
    ring = rings(recipe, plan, 2, 1, timeout)

    thread = threading.Thread(target=lose_one, args=(gate, how))
    thread.start()
    taken = batches(ring, range(3))
    thread.join()
    reference = Recipe.of(listed(photos), SHAPE)
    np.testing.assert_array_equal(taken, batches(InProcess(reference, plan), range(3)))
    (report,) = [entry.getMessage() for entry in caplog.records]
    what = (
        f"gave no sign of life for {timeout:g} s and was killed"
        if how == signal.SIGSTOP
        else f"died (signal {how.name})"
    )
    assert what in report
    assert f"record {record} ('photo {record}.jpg'); another takes over" in report


def test_labels_are_given_anew_where_a_worker_is_lost(photos, tmp_path, rings, caplog, monkeypatch):
    """What it had made of those before that record is forgotten: labels that are counted up are so once."""
    gate = Gate(tmp_path, photos, MIDDLE, monkeypatch)
    recipe = Recipe.of(listed(photos), replace(SHAPE, transform=UserTransform("tests.data.gates:count_up")))
    plan = in_order(recipe.source)
    thread = threading.Thread(target=lose_one, args=(gate,))
    thread.start()
    labels, ring = [], rings(recipe, plan, 2, 1)
    for number in range(3):
        with ring.take(number) as (_, batch):
            labels.append(batch.labels[0, :, 0].copy())
    thread.join()
    assert "another takes over" in caplog.text
    np.testing.assert_array_equal(np.concatenate(labels), recipe.source.labels[np.arange(24) % len(photos.names)] + 1)


def test_a_slow_worker_is_not_taken_for_a_stuck_one(photos, tmp_path, rings, caplog, monkeypatch):
    """It is silent for less than the timeout at each image, but for more at the whole batch."""
    at_each = [Gate(tmp_path, photos, record, monkeypatch) for record in (FIRST, MIDDLE)]
    recipe = Recipe.of(listed(photos), GATED)

    def drip():
        for gate in at_each:
            pipe = gate.hold()
            time.sleep(1.2)
            os.close(pipe)

    threading.Thread(target=drip, daemon=True).start()
    assert len(batches(rings(recipe, in_order(recipe.source), 1, 1, timeout=2.0), range(2))) == 2
    assert caplog.records == []


def test_a_record_that_takes_workers_down_twice_is_named(photos, tmp_path, rings, caplog, monkeypatch):
    gate = Gate(tmp_path, photos, MIDDLE, monkeypatch)
    recipe = Recipe.of(listed(photos), GATED)
    plan = in_order(recipe.source)
    ring = rings(recipe, plan)

    def murder():
        for _ in range(2):
            pipe = gate.hold()
            (worker,) = psutil.Process().children()
            worker.kill()
            wait_for_death(worker)
            os.close(pipe)

    thread = threading.Thread(target=murder)
    thread.start()
    assert len(batches(ring, [0])) == 1  # what comes before it is not its fault
    with refused(DataError, "2 workers", "SIGKILL", "photo 12.jpg"):
        batches(ring, [1])
    thread.join()
    assert psutil.Process().children() == []


def test_what_a_worker_handed_over_before_it_died_counts(photos, tmp_path, rings, caplog, monkeypatch):
    """It dies with messages that it has not read, which the kernel tells before it gives out those that it had sent."""
    gate = Gate(tmp_path, photos, MIDDLE, monkeypatch)
    recipe = Recipe.of(listed(photos), GATED)
    plan = in_order(recipe.source)
    poll, deaths = select.poll, []

    def poll_after_a_death():
        """The parent listens for the first time when batch 0 has come, batch 1 is at the gate and batch 2 is not read."""
        if not deaths:
            pipe = gate.hold()
            deaths.extend(psutil.Process().children())
            deaths[0].kill()
            wait_for_death(deaths[0])
            gate.path.unlink()
            os.close(pipe)
        return poll()

    monkeypatch.setattr("caffe_pylayers.data.ring.select.poll", poll_after_a_death)
    taken = batches(rings(recipe, plan), range(3))
    np.testing.assert_array_equal(taken, batches(InProcess(recipe, plan), range(3)))
    assert [record.message.partition("record ")[2] for record in caplog.records] == [
        "12 ('photo 12.jpg'); another takes over"
    ]


CLOSES_DESCRIPTORS = """
import os, sys
def closing(image, rng):
    if sys.argv[1:2] == ["caffe_pylayers worker"] and os.path.exists("armed"):
        os.closerange(3, 64)
    return image
"""


def test_a_worker_that_dies_handing_over_twice_is_an_error(photos, tmp_path, rings, caplog, monkeypatch):
    """A transform that closes the worker's socket, as libraries do that make a daemon of their process."""
    (tmp_path / "descriptors.py").write_text(CLOSES_DESCRIPTORS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    recipe = Recipe.of(listed(photos), Transforms((24, 20), transform=UserTransform("descriptors:closing")))
    ring = rings(recipe, in_order(recipe.source), 2, 1)
    batches(ring, range(2))
    (tmp_path / "armed").touch()
    with pytest.raises(
        DataError,
        match=r"2 workers failed at one batch; the last died \(exit status 1, .*\) while it took or handed over batch [2-4]",
    ):
        batches(ring, range(2, 10))
    assert len(caplog.records) == 2


def test_a_bad_record_is_told_at_its_batch_and_not_before(photos, tmp_path, rings):
    shutil.copytree(photos.folder, tmp_path / "photos")
    (tmp_path / "photos" / photos.names[MIDDLE]).write_bytes(b"no image")
    recipe = Recipe.of(open_source("CSV", photos.csv, root=str(tmp_path / "photos")), SHAPE)
    plan = in_order(recipe.source)
    for feeder in (rings(recipe, plan, 3, 2), InProcess(recipe, plan)):
        assert len(batches(feeder, [0])) == 1
        with refused(DataError, "not an image", source="photo 12.jpg", record=12):
            batches(feeder, [1])
        assert len(batches(feeder, [2])) == 1  # for whoever catches the error and goes on
    assert len(psutil.Process().children()) == 2


def test_an_error_of_ours_in_a_worker_arrives_with_its_traceback(photos, rings):
    recipe = Recipe.of(listed(photos), SHAPE)
    broken = replace(recipe, form=replace(recipe.form, shape=(3, 16, 99)))
    with refused(DataError, "but the first record", remedy="different sizes"):
        batches(rings(broken, in_order(recipe.source)), [0])


def test_closing_is_safe_at_any_time(photos, rings):
    recipe = Recipe.of(listed(photos), SHAPE)
    plan = in_order(recipe.source)
    ring = rings(recipe, plan, 4, 2)
    ring.close()
    expected = batches(InProcess(recipe, plan), range(4))
    taken = []
    for number in range(4):
        taken.append(batches(ring, [number])[0])
        assert len(psutil.Process().children()) == 2
        caffe_pylayers.close()
        assert psutil.Process().children() == []
    np.testing.assert_array_equal(taken, expected)


def test_closing_does_not_wait_for_a_stuck_worker(photos, tmp_path, rings, monkeypatch):
    gate = Gate(tmp_path, photos, FIRST, monkeypatch)
    recipe = Recipe.of(listed(photos), GATED)
    ring = rings(recipe, in_order(recipe.source))
    batches(ring, [0])
    pipe = gate.hold()
    (worker,) = psutil.Process().children()
    worker.suspend()
    ring.close()
    assert not psutil.pid_exists(worker.pid)
    os.close(pipe)


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def files_of(thread):
    """The files of the functions that a thread is in."""
    return [frame.f_code.co_filename for frame, _ in traceback.walk_stack(sys._current_frames()[thread])]


def test_an_interrupt_while_waiting_loses_nothing(photos, tmp_path, rings, interruptible, monkeypatch):
    gate = Gate(tmp_path, photos, MIDDLE, monkeypatch)
    recipe = Recipe.of(listed(photos), GATED)
    plan = in_order(recipe.source)
    ring = rings(recipe, plan)
    waiting = threading.get_ident()

    def interrupt():
        pipe = gate.hold()
        (worker,) = psutil.Process().children()
        wait_until(lambda: ring_module.__file__ in files_of(waiting))
        os.kill(os.getpid(), signal.SIGINT)
        wait_for_death(worker)
        os.close(pipe)
        gate.open_for_good()

    batches(ring, [0])
    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        batches(ring, [1])
    thread.join()
    reference = Recipe.of(listed(photos), SHAPE)
    np.testing.assert_array_equal(batches(ring, [1, 2]), batches(InProcess(reference, plan), [1, 2]))


def test_workers_ignore_ctrl_c(photos, rings, caplog):
    recipe = Recipe.of(listed(photos), SHAPE)
    ring = rings(recipe, in_order(recipe.source), 3, 2)
    batches(ring, [0])
    before = {child.pid for child in psutil.Process().children()}
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
    batches(ring, range(1, 9))
    assert {child.pid for child in psutil.Process().children()} == before
    assert caplog.records == []


def test_a_fork_starts_workers_of_its_own(photos, rings):
    recipe = Recipe.of(listed(photos), SHAPE)
    plan = in_order(recipe.source)
    ring = rings(recipe, plan)
    batches(ring, [0])
    child = os.fork()
    if child == 0:
        same = (batches(ring, [1, 2]) == batches(InProcess(recipe, plan), [1, 2])).all()
        ring.close()
        os._exit(0 if same else 1)
    np.testing.assert_array_equal(batches(ring, [1, 2]), batches(InProcess(recipe, plan), [1, 2]))
    assert os.waitpid(child, 0)[1] == 0


def test_a_thread_that_ends_does_not_take_its_workers(photos, rings, caplog):
    recipe = Recipe.of(listed(photos), SHAPE)
    ring = rings(recipe, in_order(recipe.source))
    thread = threading.Thread(target=batches, args=(ring, [0]))
    thread.start()
    thread.join()
    (worker,) = psutil.Process().children()
    batches(ring, range(1, 6))
    assert psutil.Process().children() == [worker]
    assert caplog.records == []


def test_memory_that_cannot_be_had_is_told(photos, rings):
    recipe = Recipe.of(listed(photos), Transforms((4000, 4000)))
    plan = in_order(recipe.source, 2000)
    with refused(DataError, "100000 batches of 96000 MB", remedy="`prefetch`"):
        batches(rings(recipe, plan, slots=100000), [0])


@pytest.fixture(autouse=True)
def warnings_only(caplog):
    caplog.set_level(logging.WARNING, "caffe_pylayers")


def test_workers_that_cannot_start_are_given_up(photos, rings, monkeypatch):
    recipe = Recipe.of(listed(photos), SHAPE)
    ring = rings(recipe, in_order(recipe.source))
    monkeypatch.setattr("sys.path", [])  # no numpy, no cv2: as an embedded Python that is set up wrongly
    with refused(DataError, "5 workers", "exit status 1"):
        batches(ring, [0])
