"""Runs that are fed from a source with a cache, made as layers make them, and processes for them."""

import ctypes
import os
import traceback
from pathlib import Path

import cv2
import numpy as np

from caffe_pylayers import config
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data import samplers
from caffe_pylayers.data.cache.cache import Cache
from caffe_pylayers.data.feeder import InProcess
from caffe_pylayers.data.maps import maps_of
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.ring import Ring
from caffe_pylayers.data.sources import sources_of
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.transforms import Transforms

NUM_RECORDS, EPOCH = 40, 8  # batches of 5
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def image(number):
    return np.random.default_rng(number).integers(0, 256, (40, 30, 3), np.uint8)


def write_source(path, version, count=NUM_RECORDS):
    write_lmdb(str(path), (datum(record + 1000 * version) for record in range(count)))


def datum(number):
    return Datum(cv2.imencode(".png", image(number))[1].tobytes(), number % 3, encoded=True)


def feeder_of(path, layer="ImageDataLayer", workers=0, **values):
    """What a layer is fed by, made as it makes it."""
    own = {} if "sources" in values else {"source_type": "LMDB", "source": str(path)}
    values = {**own, "batch_size": 5, "resize": [24, 20], **values}
    options = config.validate(layer, {"crop_size": 16, "mirror": True, **values})
    sources = sources_of(options)
    transforms, maps = Transforms.of(options, training=True), maps_of(options, sources[1:])
    cache = Cache.of(options, sources, transforms, maps, 1, "the layer")
    recipe = Recipe.of(sources[0], transforms, maps=maps, cache=cache)
    plan = samplers.sampler_of(sources[0], options, training=True, ranks=1).batch
    return Ring(recipe, plan, max(3, workers), workers, 60.0) if workers else InProcess(recipe, plan)


def batches(feeder, numbers=range(2 * EPOCH)):
    """The bytes of some batches, and how many of their images came from the cache."""
    found, cached = [], 0
    for number in numbers:
        with feeder.take(number) as (images, batch):
            found.append(images.tobytes() + (b"" if batch.maps is None else batch.maps.tobytes()))
            cached += batch.cached
    return found, cached


def fed(path, **values):
    """What two epochs of a run are, which then ends."""
    feeder = feeder_of(path, **values)
    try:
        return batches(feeder)
    finally:
        feeder.close()


def file_of(path):
    """The file beside a source."""
    (found,) = path.parent.glob(f"{path.name}.caffe_pylayers-*.cache")
    return found


ALL, LATER = 2 * NUM_RECORDS, NUM_RECORDS  # what comes from the cache in two epochs if it was there before, and if not


def in_fork(function):
    """Start a process that runs it, in a session of its own; the result tells when it is over."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def end_of(pid):
    return (
        os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if hasattr(os, "waitstatus_to_exitcode")
        else os.waitpid(pid, 0)[1]
    )


def mounted(place, kind, flags, options=None):
    """Mount something for this process alone. Returns whether the system lets one."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS):
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
    place = os.fsencode(place)
    return not (
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or libc.mount(place, place, kind, flags, options)
    )


def as_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def plenty():
    return 1 << 40


def on_a_read_only_disk(folder):
    """Make this process one that cannot write there, not even as root, or, where the system lets nobody mount, as `as_nobody`."""
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY
    place = os.fsencode(folder)
    if not mounted(folder, None, MS_BIND) or libc.mount(place, place, None, flags, None):
        as_nobody()
