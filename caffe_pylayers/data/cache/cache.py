"""The option `cache`: records decoded once, then taken from a store, which layers of one process and their workers share."""

import functools
import hashlib
import logging
import os
import weakref
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

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
from caffe_pylayers.processes.memory import available_bytes

logger = logging.getLogger("caffe_pylayers")

#: The stores of this process, by kind and what their records are made of.
_stores: "weakref.WeakValueDictionary[Tuple[str, bytes], Store]" = weakref.WeakValueDictionary()


@dataclass
class Cache:
    """The cache of a source. `get` and `put` are for one thread at a time. Pickles for workers.

    kind: 'memory' or 'disk'. limit: bytes; None: half of what is free, shared by `ranks` processes. sources: of the images, and of their
    maps. options, made_of: hashes of the options that records depend on, and of all that they depend on. name: of the layer.
    """

    kind: str
    limit: Optional[int]
    ranks: int
    sources: Sequence[Source]
    options: bytes
    made_of: bytes
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
        """That of the options of a data layer, if they ask for one. ConfigError where it is larger than what is free."""
        if options.cache == "none":
            return None
        made = *_hashes(sources, transforms, maps, with_moves), name
        cache = cls(options.cache, options.cache_limit, ranks, sources, *made)
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
        """The record, valid until the next call; None where it is not there."""
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
        if store is not None and not store.stopped:
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
        return f"cache {where}: {self._kept(store)}, of at most {store.limit / 1e6:.0f} MB"

    def _kept(self, store: Store) -> str:
        return f"{store.kept} of {store.count} images, {store.used / 1e6:.0f} MB"

    def _why(self, store: Store) -> str:
        what = "memory" if store.file is None else "disk"
        if store.stopped == AT_LIMIT:
            return f"option 'cache_limit' is reached, {store.limit / 1e6:.0f} MB"
        if store.stopped == SHORT:
            return f"the free {what} is short"
        return f"the cache cannot be written: {os.strerror(store.stopped)}"

    def _is(self, record: int, memory: memoryview) -> bool:
        """Whether a record that a file has is this one, as it is now."""
        try:
            number, version, _ = unpacked(memory)
        except ValueError:
            return False
        return number == record and version == self.version(record)

    def _opened(self) -> Optional[Store]:
        if self._store is None and not self._without:
            key = self.kind, self.made_of
            self._store = _stores.get(key) or self._new()
            self._without = self._store is None
            if self._store is not None:
                _stores[key] = self._store
        return self._store

    def _new(self) -> Optional[Store]:
        count = len(self.sources[0])
        if self.kind == "memory":
            return Store(count, *self._limits(_free_memory(), "memory"), available_bytes)
        file, why = opened(self._places(), self.made_of, count)
        if file is None:
            logger.warning("%s: there is no cache: %s", self.name, why)
            return None
        if not file.writable:
            logger.info("%s: another run writes %s; this one reads what is there", self.name, file.path)
        free = functools.partial(free_disk, file.path)
        return Store(count, *self._limits(free() + file.used, "disk"), free, file)

    def _limits(self, free: int, what: str) -> Tuple[int, int]:
        """Bytes to take, and to leave free."""
        if self.limit is not None and self.limit > free:
            raise ConfigError(
                f"option 'cache_limit' is {self.limit / 1e6:.0f} MB, but {free / 1e6:.0f} MB of {what} are free",
                remedy="lower it, or leave it out: then the cache takes up to half of what is free",
                option="cache_limit",
            )
        return (free // 2 if self.limit is None else self.limit) // self.ranks, free // 16

    def _places(self) -> List[str]:
        """Where the file may lie: beside the source, or in the cache folder."""
        path = os.path.realpath(self.sources[0].path)
        name = self.options[:8].hex()
        place = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        return [f"{path}.caffe_pylayers-{name}.cache", os.path.join(cache_folder("images"), f"{place}-{name}.cache")]


def _free_memory() -> int:
    """Bytes, less those that other stores of this process may still take."""
    promised = sum(max(0, store.limit - store.used) for store in _stores.values() if store.file is None)
    return max(0, available_bytes() - promised)


def free_disk(path: str) -> int:
    """Bytes that are free on the disk of a file."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _hashes(
    sources: Sequence[Source], transforms: Transforms, maps: Sequence[Maps], with_moves: bool
) -> Tuple[bytes, bytes]:
    """Of the options that a record depends on, and of all that it depends on, save for the version of its own file."""
    pads = isinstance(transforms.resize, Fit) and transforms.resize.pad and transforms.mean is not None
    options = [
        (transforms.resize, transforms.color, transforms.fast, transforms.lenient, transforms.max_pixels),
        transforms.mean.tolist() if pads else None,  # type: ignore[union-attr]
        with_moves,
        [(each.kind, each.pad, sorted(each.labels.items()), each.resize, each.centred) for each in maps],
    ]
    versions = [(source.kind, len(source), list(source.version())) for source in sources]
    return _hash(options), _hash([options, versions, cv2.__version__])


def _hash(values: object) -> bytes:
    return hashlib.sha256(repr(values).encode()).digest()
