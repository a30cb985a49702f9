"""How much memory there is to take: of the machine, and of the control groups (cgroups) that this process is in.

A container, a service or a batch job has a limit of its own, of which /proc/meminfo knows nothing.
"""

import contextlib
import os
import re
from typing import Iterator, NamedTuple, Tuple


class _Files(NamedTuple):
    """Where a version of cgroups says what: files of a group's folder, and the line of memory.stat with what it can give back."""

    limit: str
    usage: str
    reclaimable: str


_VERSIONS = {
    "cgroup2": _Files("memory.max", "memory.current", "inactive_file"),
    "cgroup": _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def available_bytes(proc: str = "/proc") -> int:
    """Bytes that are free. Asked beforehand, since the kernel promises any amount and then kills whoever uses it."""
    with open(f"{proc}/meminfo") as stream:
        of_machine = next(int(line.split()[1]) << 10 for line in stream if line.startswith("MemAvailable"))
    return max(0, min([of_machine, *_of_cgroups(proc)]))


def _of_cgroups(proc: str) -> Iterator[int]:
    """The bytes that each group leaves free: that of this process, and all around it."""
    for files, folder, top in _groups(proc):
        while True:
            with contextlib.suppress(OSError, ValueError, StopIteration):  # no limit: "max", or no such file
                yield _number(folder, files.limit) - _number(folder, files.usage) + _reclaimable(folder, files)
            if folder == top:
                break
            folder = os.path.dirname(folder)


def _groups(proc: str) -> Iterator[Tuple[_Files, str, str]]:
    """For each version: its files, the folder of this process's group, and the outermost one that can be seen."""
    with open(f"{proc}/self/cgroup") as stream:
        lines = [line.rstrip("\n").split(":", 2) for line in stream]
    paths = {
        "cgroup2" if number == "0" else "cgroup": path
        for number, controllers, path in lines
        if _counts_memory(controllers)
    }
    with open(f"{proc}/self/mountinfo") as stream:
        for line in stream:
            mount, _, kind = line.rstrip("\n").partition(" - ")
            version, _, options = kind.split(" ", 2)
            if version not in paths or (version == "cgroup" and "memory" not in options.split(",")):
                continue
            root, top = map(_unescaped, mount.split()[3:5])
            inside = os.path.relpath(paths[version], root)
            # A group outside of what is mounted here: that of the mount is the nearest.
            yield _VERSIONS[version], top if inside.startswith("..") else os.path.normpath(f"{top}/{inside}"), top


def _counts_memory(controllers: str) -> bool:
    """Of a line of /proc/self/cgroup; that of version 2 names none."""
    return not controllers or "memory" in controllers.split(",")


def _unescaped(path: str) -> str:
    """A path of mountinfo, which writes blanks as `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _number(folder: str, name: str) -> int:
    with open(os.path.join(folder, name)) as stream:
        return int(stream.read())


def _reclaimable(folder: str, files: _Files) -> int:
    """Bytes of files in the page cache, which a group gives back before it is killed."""
    with open(os.path.join(folder, "memory.stat")) as stream:
        return next(int(line.split()[1]) for line in stream if line.split()[0] == files.reclaimable)
