"""The folder of a conversion that is not finished, `TARGET.partial`, and how what it made takes its place.

plan.json       what is to be made, of what: only a conversion of the same plan goes on here
segments/       what is finished: see `segments`
made/           the target while it is put together
installing.json written when that is whole and was compared: from then on it only takes its place
replaced/       what was there before
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
from typing import Any, Dict, Iterator, List, Optional, Sequence

from caffe_pylayers import regular_file
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file, private_name

_FOLDERS, _FILES = ("segments", "made", "replaced"), ("plan.json", "installing.json", "lock")
_SEGMENT = re.compile(r"\d{6,}(\.partial-\w+)?")


class Unfinished:
    """The folder, kept from other processes by a lock until `close` or the end of this one.

    Raises DataError where another process is at work in it.
    """

    def __init__(self, target: str) -> None:
        self.path = f"{target}.partial"
        self.made = os.path.join(self.path, "made")
        self.target = target
        if not os.path.isdir(os.path.dirname(target)):
            raise DataError(f"the folder {os.path.dirname(target)} is not there", remedy="make it first", source=target)
        lock = os.path.join(self.path, "lock")
        self._require_ours(lock)
        os.makedirs(self.path, exist_ok=True)
        # Never through a link, and never waiting for the other end of a pipe.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        self._lock = open(os.open(lock, flags, 0o666), "rb+", buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.path.samestat(os.fstat(self._lock.fileno()), os.stat(lock))
        except (BlockingIOError, FileNotFoundError):  # it is at work, or has just ended
            ours = False
        if not ours:
            self._lock.close()
            raise DataError(f"another process is writing it now, in {self.path}", source=target)
        self._remove_gone()

    def _require_ours(self, lock: str) -> None:
        """What lies at its place is the folder of an earlier run, or nothing."""
        if not os.path.lexists(self.path):
            return
        folder = os.path.isdir(self.path) and not os.path.islink(self.path)
        foreign = self.path
        if folder and (not os.listdir(self.path) or (os.path.isfile(lock) and not os.path.islink(lock))):
            foreign = next(self._foreign(), "")
        if foreign:
            raise DataError(
                f"{foreign} is there, but no conversion left it",
                remedy=f"move it away, or write to another name than {self.target}",
            )

    def _foreign(self) -> Iterator[str]:
        """What in the folder is none of a conversion's."""
        for entry in [*os.scandir(self.path)]:  # whole, so that the folder is closed
            ours = (
                entry.is_dir(follow_symlinks=False) if entry.name in _FOLDERS else entry.is_file(follow_symlinks=False)
            )
            if not ours or entry.name.partition(".partial-")[0] not in (*_FOLDERS, *_FILES):
                yield entry.path
        segments = (name for name in self._segments() if not _SEGMENT.fullmatch(name))
        yield from (os.path.join(self.path, "segments", name) for name in segments)

    def __enter__(self) -> "Unfinished":
        return self

    def __exit__(self, *error: object) -> None:
        """Release it; what is finished is left for the next run, if there is anything."""
        if os.path.isdir(self.path) and not any(self.finished()) and self._load("installing.json") is None:
            self._remove()
        self._lock.close()

    def begin(self, plan: Dict[str, Any]) -> List[str]:
        """Make it ready for a plan; returns in which points what lay there was of another one, and is gone now."""
        old = self._load("plan.json")
        changed = [] if old is None else [key for key in plan if plan[key] != old.get(key)]
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.path, "installing.json"))
        if old is None or changed:
            self._clear()
            self._save("plan.json", plan)
        os.makedirs(os.path.join(self.path, "segments"), exist_ok=True)
        for name in self._segments():
            if ".partial" in name:
                os.remove(os.path.join(self.path, "segments", name))
        shutil.rmtree(self.made, ignore_errors=True)
        os.mkdir(self.made)
        return changed

    def finished(self) -> Iterator[str]:
        """The segments that are there."""
        names = sorted(self._segments())
        return (os.path.join(self.path, "segments", name) for name in names if ".partial" not in name)

    def segment(self, number: int) -> str:
        return os.path.join(self.path, "segments", f"{number:06d}")

    def ready(self, plan: Dict[str, Any], pieces: List[str], old: List[str]) -> None:
        """What was made is whole: `pieces` of it, by name, shall take the places of those and of `old`."""
        self._save("installing.json", {"plan": plan, "pieces": pieces, "old": old})

    def is_ready(self, plan: Dict[str, Any]) -> bool:
        """Whether it was made to this plan, and only has to take its place."""
        order = self._load("installing.json")
        return order is not None and order.get("plan") == plan

    def install(self) -> None:
        """Let what was made take its place, the target last; goes on where a run broke off."""
        order = self._load("installing.json")
        assert order is not None
        folder, replaced = os.path.dirname(self.target), os.path.join(self.path, "replaced")
        os.makedirs(replaced, exist_ok=True)
        # The old target goes first: it is never there with labels of the new one.
        for name in order["old"]:
            there, made = os.path.join(folder, name), os.path.join(self.made, name)
            if os.path.lexists(there) and (name not in order["pieces"] or os.path.lexists(made)):
                os.rename(there, os.path.join(replaced, name))
        for name in order["pieces"]:
            made, there = os.path.join(self.made, name), os.path.join(folder, name)
            if not os.path.lexists(made):
                continue  # an interrupted run has put it there
            if os.path.lexists(there):
                raise DataError(
                    f"{there} was not there when the conversion began",
                    remedy="move it away, and give the same command again",
                )
            os.rename(made, there)
        self._remove()

    def _remove(self) -> None:
        """What takes room first; then the folder at once, so that whoever is killed here leaves no half of it."""
        self._clear((*_FOLDERS, "plan.json"))
        if any(self._foreign()):  # somebody has put something there meanwhile
            self._clear(_FILES)
            return
        gone = private_name(self.path)
        os.rename(self.path, gone)
        shutil.rmtree(gone)

    def _remove_gone(self) -> None:
        """What processes left that were killed while they removed it."""
        for folder in glob.glob(f"{glob.escape(self.path)}.partial-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _clear(self, names: Sequence[str] = (*_FOLDERS, "plan.json", "installing.json")) -> None:
        """Remove these of it, by default all but the lock."""
        for name in names:
            path = os.path.join(self.path, name)
            if name in _FILES:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def _segments(self) -> List[str]:
        try:
            return os.listdir(os.path.join(self.path, "segments"))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _load(self, name: str) -> Optional[Dict[str, Any]]:
        try:
            found = json.loads(regular_file.read_bytes(os.path.join(self.path, name)))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _save(self, name: str, value: Dict[str, Any]) -> None:
        """Whole or not at all."""
        with output_file(os.path.join(self.path, name), durable=True) as partial, open(partial, "w") as stream:
            json.dump(value, stream, indent=1)
