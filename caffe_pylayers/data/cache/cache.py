"""The option `cache`: records decoded once, then taken from a store, which layers of one process and their workers share."""

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import cv2

from caffe_pylayers.data.cache.entry import Loaded, Version, packed, unpacked
from caffe_pylayers.data.cache.file import opened
from caffe_pylayers.data.cache.store import AT_LIMIT, GOES_ON, SHORT, Store
from caffe_pylayers.data.geometry import Fit
from caffe_pylayers.data.maps import Maps
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.sources.index import cache_folder
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes.limits import NO_ROOM
from caffe_pylayers.processes.memory import available_bytes

logger = logging.getLogger("caffe_pylayers")

#: The stores of this process, by kind, what their records are made of, and when.
_stores: "weakref.WeakValueDictionary[Tuple[str, bytes, bytes], Store]" = weakref.WeakValueDictionary()
_opening = threading.Lock()


@dataclass
class Cache:
    """The cache of a source. `get` and `put` are for one thread at a time. Pickles for workers.

    kind: 'memory' or 'disk'. limit: bytes; None: half of what is free; of memory each of `ranks` processes takes its share. sources: of the images, and of their
    maps. options, made_of: hashes of the options that records depend on, and of all that they depend on save for the files of single
    records. as_of: a hash of these as they were at set-up. name: of the layer.
    """

    kind: str
    limit: Optional[int]
    ranks: int
    sources: Sequence[Source]
    options: bytes
    made_of: bytes
    as_of: bytes
    name: str = ""
    _store: Optional[Store] = None
    _without: bool = False
    _told: int = GOES_ON

    @classmethod
    def of(
        cls,
        options: Any,
        sources: Sequence[Source],
        transforms: Transforms,
        maps: Sequence[Maps],
        ranks: int,
        name: str,
        with_moves: bool = False,
    ) -> "Optional[Cache]":
        """That of the options of a data layer, if they ask for one. ConfigError where it is larger than what is free.

        A file is opened when a record is first asked for, so that who only sets a net up makes none.
        """
        kind, limit = options.cache, options.cache_limit
        if kind == "none":
            return None
        made_from = _hash([_options(sources, transforms, maps, with_moves)])
        made_of = _hash([made_from, cv2.__version__, *_versions(sources, kind)])
        cache = cls(kind, limit, ranks, sources, made_from, made_of, _files_now(sources), name)
        if limit is not None and cache._key not in _stores:
            cache._require_room(limit)
        if kind == "memory":
            cache._opened()
        return cache

    def __getstate__(self) -> Dict[str, Any]:
        self._opened()  # workers inherit what is there
        return self.__dict__

    @property
    def fds(self) -> Sequence[int]:
        """What workers must inherit."""
        store = self._opened()
        return () if store is None else store.fds

    def get(self, record: int) -> Optional[Loaded]:
        """The record; None where it is not there."""
        store = self._opened()
        found = None if store is None else store.read(record, lambda memory: self._is(record, memory))
        return None if found is None else unpacked(found)[2]

    def version(self, record: int) -> Version:
        """What tells the record from later ones in its place, to be asked for before it is read."""
        if self.kind == "memory":
            return bytes(16)
        found = [source.record_version(record) for source in self.sources]
        return hashlib.blake2b(repr(found).encode(), digest_size=16).digest() if any(found) else bytes(16)

    def put(self, record: int, version: Version, loaded: Loaded) -> None:
        """Keep the record, if there is room."""
        store = self._opened()
        if store is not None and store.takes:
            parts = packed(record, version, loaded)
            if parts:
                store.write(record, parts)

    def close(self) -> None:
        """Give the store back, unless another layer uses it; the next use opens it again."""
        self._store = None

    def tell(self) -> None:
        """Tell the log, once, why nothing more is kept."""
        store = self._store
        if store is None or store.stopped in (GOES_ON, self._told):
            return
        self._told = store.stopped
        logger.warning(
            "%s: %s; the cache keeps %s, and the others are decoded each time",
            self.name,
            self._why(store),
            self._kept(store),
        )

    @property
    def summary(self) -> str:
        """What it keeps, in words."""
        store = self._opened()
        if store is None:
            return "no cache"
        where = "in memory" if store.file is None else f"in {store.file.path}"
        return f"cache {where}: {self._kept(store)}, of at most {_in_words(store.limit)}"

    def _kept(self, store: Store) -> str:
        images, size = store.kept
        return f"{images} of {store.count} images, {_in_words(size)}"

    def _why(self, store: Store) -> str:
        what = "memory" if store.file is None else "disk"
        if store.stopped == AT_LIMIT:
            return f"option 'cache_limit' is reached, {_in_words(store.limit)}"
        if store.stopped == SHORT:
            return f"the free {what} is short"
        remedy = NO_ROOM.get(store.stopped)
        return f"the cache cannot be written: {os.strerror(store.stopped)}" + (f"; {remedy}" if remedy else "")

    def _is(self, record: int, memory: memoryview) -> bool:
        """Whether a record that a file has is this one, as it is now."""
        try:
            number, version, _ = unpacked(memory)
        except ValueError:
            return False
        return number == record and version == self.version(record)

    @property
    def _key(self) -> Tuple[str, bytes, bytes]:
        return self.kind, self.made_of, self.as_of

    def _opened(self) -> Optional[Store]:
        if self._store is None and not self._without:
            with _opening:
                self._store = _stores.get(self._key) or self._new()
                self._without = self._store is None
                if self._store is not None:
                    _stores[self._key] = self._store
        return self._store

    def _new(self) -> Optional[Store]:
        count = len(self.sources[0])
        if self.kind == "memory":
            return Store(count, *self._limits(_free_memory()), available_bytes)
        file, why = opened(self._places(), self.made_of, count)
        if file is None:
            logger.warning("%s: there is no cache: %s", self.name, why)
            return None
        if not file.writable:
            logger.info("%s: another run writes %s; this one reads what is there", self.name, file.path)
        return Store(count, *self._limits(file.free() + file.used), file.free, file)

    def _limits(self, free: int) -> Tuple[int, int]:
        """Bytes to take, and to leave free."""
        sharing = self.ranks if self.kind == "memory" else 1  # one rank writes the file, for all
        return (free // 2 if self.limit is None else min(self.limit, free)) // sharing, free // 16

    def _require_room(self, limit: int) -> None:
        free = _free_memory() if self.kind == "memory" else max(map(_for_file, self._places()))
        if limit > free:
            raise ConfigError(
                f"option 'cache_limit' is {_in_words(limit)}, but {_in_words(free)} of {self.kind} are free",
                remedy="lower it, or leave it out: then the cache takes up to half of what is free",
                option="cache_limit",
            )

    def _places(self) -> List[str]:
        """Where the file may lie: beside the source, or in the cache folder."""
        path = os.path.realpath(self.sources[0].path)
        name = self.options[:8].hex()
        place = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        return [f"{path}.caffe_pylayers-{name}.cache", os.path.join(cache_folder("images"), f"{place}-{name}.cache")]


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()
    for store in list(_stores.values()):
        store.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _free_memory() -> int:
    """Bytes, less those that other stores of this process may still take."""
    promised = sum(max(0, store.limit - store.used) for store in list(_stores.values()) if store.file is None)
    return max(0, available_bytes() - promised)


def free_disk(path: str) -> int:
    """Bytes that are free on the disk of a file, which need not be there."""
    return shutil.disk_usage(_folder(path)).free


def _for_file(path: str) -> int:
    """Bytes that a file may take there: what it has, and what is free; 0 where none can be written."""
    used = os.path.getsize(path) if os.path.isfile(path) else 0
    return used + free_disk(path) if os.access(_folder(path), os.W_OK) else 0


def _folder(path: str) -> str:
    """The folder that a file is in, or the nearest around it that is there."""
    folder = os.path.dirname(os.path.realpath(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return folder


def _options(sources: Sequence[Source], transforms: Transforms, maps: Sequence[Maps], with_moves: bool) -> List[object]:
    """What says of which records they are, and how these are made."""
    pads = isinstance(transforms.resize, Fit) and transforms.resize.pad and transforms.mean is not None
    mean = transforms.mean if pads else None
    return [
        [source.identity() for source in sources],
        (transforms.resize, transforms.color, transforms.fast, transforms.lenient, transforms.max_pixels),
        None if mean is None else (mean.shape, mean.tobytes()),
        with_moves,
        [(each.kind, each.pad, sorted(each.labels.items()), each.resize, each.centred) for each in maps],
    ]


def _versions(sources: Sequence[Source], kind: str) -> Iterator[object]:
    """What is another once the images of the sources are, save for files of single records, and code of the user's that reads them."""
    for source in sources:
        yield len(source)
        yield from (_code(kind) for part in source.parts for kind in type(part).__mro__)
        try:
            yield list(source.version())
        except ConfigError:
            if kind == "disk":
                raise
            yield os.urandom(16)  # in memory it has a store of its own


def _code(kind: type) -> bytes:
    """The file that a class of the user's own is in; b"" for one of ours, and where there is none."""
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if path is not None and not kind.__module__.startswith("caffe_pylayers."):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return file.read()
    return b""


def _files_now(sources: Sequence[Source]) -> bytes:
    """Of the files of single records: layers that are set up before and after one has changed share no store."""
    found = hashlib.sha256()
    for source in sources:
        for version in source.record_versions():
            found.update(repr(version).encode())
    return found.digest()


def _in_words(size: int) -> str:
    return f"{size} bytes" if size < 1000 else f"{size / 1e6:.{0 if size > 1e7 else 3}f} MB"


def _hash(values: object) -> bytes:
    return hashlib.sha256(repr(values).encode()).digest()
