"""What the machine, or the container, gives: cores, memory, files, folders, a GPU."""

import math
import os
import resource
import shutil
import tempfile
from typing import Iterator, Optional

from caffe_pylayers.commands.doctor.finding import ERROR, NOTE, OK, WARNING, Finding
from caffe_pylayers.processes.memory import available_bytes
from caffe_pylayers.processes.probe import ask

_GB = 1 << 30
#: What three batches of 64 photos of 3 x 256 x 256 take, the default of `prefetch: True`.
_RING = 3 * 64 * 3 * 256 * 256 * 4

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> Iterator[Finding]:
    """The cores, and whether a container's share of them is smaller than libraries believe."""
    count = len(os.sched_getaffinity(0))
    share = _cgroup_cores()
    if share is None or share >= count:
        yield Finding("cores", OK, f"{count}; each worker uses one, the net uses the others")
        return
    whole = max(1, math.floor(share))
    found = f"{count}, but this container may use {share:g}"
    if any(os.environ.get(name) for name in _THREADS):
        yield Finding("cores", OK, found)
    else:
        found += f"; but Caffe's BLAS starts {count} threads, and they wait for each other"
        yield Finding("cores", NOTE, found, f"export OPENBLAS_NUM_THREADS={whole} OMP_NUM_THREADS={whole}")


def _cgroup_cores() -> Optional[float]:
    """The processor time that the container may take, in cores; None where there is no limit."""
    text = _first_line("/sys/fs/cgroup/cpu.max")
    if text:
        quota, period = text.split()
        return None if quota == "max" else int(quota) / int(period)
    quota = _first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period = _first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def memory() -> Iterator[Finding]:
    """What is free for prefetched batches, and whether a process may have memory of the kind that they lie in."""
    free = available_bytes()
    found = (
        f"{free / _GB:.1f} GB free; three batches ahead of 64 photos of 3 x 256 x 256 take {_RING / _GB:.2f} GB; "
        f"/dev/shm is not used"
    )
    if free < 4 * _RING:
        yield Finding("memory", WARNING, found, "a smaller batch_size, or fewer batches ahead: 'prefetch': 2")
    else:
        yield Finding("memory", OK, found)
    try:
        os.close(os.memfd_create("caffe_pylayers doctor"))
    except (AttributeError, OSError) as error:
        remedy = "leave `prefetch` out, or let the container's seccomp profile allow memfd_create"
        yield Finding(
            "memfd_create", ERROR, f"is refused: {error}; workers (`prefetch`) need it to share memory", remedy
        )
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        yield Finding("ulimit -v", WARNING, "address space is limited: LMDB maps whole files", "ulimit -v unlimited")


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


def open_files() -> Iterator[Finding]:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 256:
        yield Finding(
            "ulimit -n", WARNING, f"{soft} open files: a net with some workers needs about 100", f"ulimit -n {hard}"
        )


def folders() -> Iterator[Finding]:
    """The cache folder, and the folder of temporary files."""
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "caffe_pylayers")
    existing = cache
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK):
        why = "the index of a large source in a read-only folder is made again each time"
        found, remedy = f"{cache} cannot be written: {why}", "export XDG_CACHE_HOME=/a/folder"
        yield Finding("cache folder", WARNING, found, remedy, '"cannot write to the cache folder"')
    else:
        free = shutil.disk_usage(existing).free
        level = OK if free > _GB / 4 else WARNING
        yield Finding(
            "cache folder", level, f"{cache}, {free / _GB:.1f} GB free", "" if level == OK else "free some space"
        )
    try:
        tempfile.gettempdir()
    except OSError as error:
        yield Finding("TMPDIR", ERROR, f"no folder for temporary files: {error}", "export TMPDIR=/a/folder")


def gpu() -> Iterator[Finding]:
    """The GPUs that the driver shows."""
    if shutil.which("nvidia-smi") is None:
        yield Finding("GPU", OK, "nvidia-smi shows none; everything here works without a GPU")
        return
    answer = ask(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"], 30)
    names = [line.strip() for line in answer.out.splitlines() if line.strip()]
    if answer.ok and names:
        yield Finding("GPU", OK, "; ".join(names))
    else:
        said = (answer.out.strip() or answer.failure).splitlines()[0]
        yield Finding("GPU", WARNING, f"nvidia-smi fails: {said}", "fix the driver, or train on the CPU")
