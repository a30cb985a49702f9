"""What `bench` measures, as plain numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional


@dataclass
class Feeding:
    """With so many workers (0: inside forward). rate: samples a second of the data layer by itself.

    first: seconds to the first batch. step, waiting: milliseconds of forward and backward of the whole net, and how long
    it waits for data in it; None where the net has nothing but data. cached: the share of images that came from the cache, None without
    one.
    """

    workers: int
    rate: float
    first: float
    step: Optional[float] = None
    waiting: Optional[float] = None
    cached: Optional[float] = None


@dataclass
class Stages:
    """What an image costs one process, in microseconds.

    first_read: reading it for the first time in this run; read: again. resize: 0 where it is part of decoding (`decode:
    fast`). write: crop, mirror, mean and scale, into planes. fast, small: decode and resize with `decode: fast`, and of
    a JPEG of the resized image, None where that makes no sense. gray: whether all that were looked at have three equal
    channels. decoded_bytes: what all images and maps take decoded, None where they are kept so already, lie so in the source, or cannot be.
    """

    images: int
    first_read: float
    read: float
    decode: float
    resize: float
    transform: float
    write: float
    fast: Optional[float] = None
    small: Optional[float] = None
    gray: bool = False
    decoded_bytes: Optional[int] = None

    @property
    def total(self) -> float:
        return self.read + self.decode + self.resize + self.transform + self.write


@dataclass
class Figures:
    """All that was measured of one data layer, and of the net behind it.

    ours: whether it is a layer of this package; of others only `feeding` is known, by one entry of 0 workers.
    workers, ahead: as the options have them, 0 without `prefetch`. net: milliseconds of forward and backward on a
    constant batch. limit: samples a second of `limit_processes` that only make images. delivery, memcpy: milliseconds of
    forward() where the batch is ready, and of copying as many bytes. load: how many programs wanted a core before. cache: what the cache
    keeps, in words, "" without one. free_bytes, free_disk: of memory, and of the disk that the source is on.
    """

    layer: str
    type: str
    ours: bool
    batch_size: int
    images: int  # a batch
    megabytes: float  # a batch
    cores: int
    workers: int = 0
    ahead: int = 0
    setup: float = 0.0
    feeding: List[Feeding] = field(default_factory=list)
    net: Optional[float] = None
    limit: Optional[float] = None
    limit_processes: int = 0
    delivery: Optional[float] = None
    memcpy: Optional[float] = None
    stages: Optional[Stages] = None
    free_bytes: int = 0
    free_disk: int = 0
    cache: str = ""
    load: float = 0.0

    def fed_by(self, workers: int) -> Optional[Feeding]:
        """The measurement with so many workers, if there is one."""
        return next((feeding for feeding in self.feeding if feeding.workers == workers), None)


def as_json(figures: Figures, advice: List[str]) -> Dict[str, Any]:
    """For another program: the figures, rounded to what they are good for, and the advice."""
    return {**_rounded(asdict(figures)), "advice": advice}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
