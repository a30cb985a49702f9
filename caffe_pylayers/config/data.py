"""The options that all data layers have; those of layers with labels are in :mod:`caffe_pylayers.config.labelled_data`."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Mapping, Optional, Tuple, Union

from pydantic import BeforeValidator, Field, WithJsonSchema
from typing_extensions import Annotated

from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.config.augment import Augment, AugmentOrPreset
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options, Path, Resume, Seed, Stream
from caffe_pylayers.config.source import Plugin, SourceOptions
from caffe_pylayers.config.spelling import spell


def _size(value: Any) -> Any:
    """Return n as (n, n), and -1 as none."""
    side = spell(int, value)
    if type(side) is int:
        return None if side == -1 else (side, side)
    return value


def _crop(value: Any) -> Any:
    """Return n as (n, n), and 0 as none."""
    side = spell(int, value)
    if type(side) is int:
        return (side, side) if side else None
    return value


def _mean(value: Any) -> Any:
    """Return a number as a list of one."""
    number = spell(float, value)
    return (number,) if type(number) in (int, float) else value


def _batches_ahead(value: Any) -> Any:
    """Return true as 3 and false as 0."""
    flag = spell(bool, value)
    return 3 * flag if isinstance(flag, bool) else value


def _choice(*schemas: Dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas)})


def _list_of(count: int, each: Dict[str, Any]) -> Dict[str, Any]:
    return {"type": "array", "prefixItems": [each] * count, "minItems": count, "maxItems": count}


_NONE, _NUMBER, _SIDE = {"type": "null"}, {"type": "number"}, {"type": "integer", "minimum": 1}
_LIST = {"type": "array", "items": _NUMBER, "minItems": 1}

Side = Annotated[int, Field(ge=1)]
CropSize = Annotated[
    Optional[Tuple[Side, Side]],
    BeforeValidator(_crop),
    _choice({"const": 0}, _SIDE, _list_of(2, _SIDE), _NONE),
]
MeanValue = Annotated[
    Optional[Annotated[Tuple[float, ...], Field(min_length=1)]],
    BeforeValidator(_mean),
    _choice(_NUMBER, _LIST, _NONE),
]
BatchesAhead = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(_batches_ahead),
    _choice({"type": "boolean"}, {"type": "integer", "minimum": 0}),
]


class Fit(Options):
    """A size that keeps the aspect of each image."""

    short: Optional[Side] = Field(None, description="The shorter side, in pixels; the other is rounded down.")
    long: Optional[Side] = Field(None, description="The longer side, in pixels; the other is rounded down.")
    pad: Optional[Literal["mean"]] = Field(
        None,
        description="Fill up to a square of `long`, with the image in its centre, with the mean (black if there is none).",
    )

    @property
    def sizes_differ(self) -> bool:
        """Whether each image is fed at its own size."""
        return False

    def conflicts(self) -> Iterator[Remark]:
        if (self.short is None) == (self.long is None):
            yield Remark(("short", "long"), "options 'short' and 'long': exactly one must be given")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.long is None:
            yield from self.without_effect(("pad",), "there is no 'long'")


Size = Annotated[
    Union[Annotated[Tuple[Side, Side], _choice({"const": -1}, _SIDE, _list_of(2, _SIDE))], Fit, None],
    BeforeValidator(_size),
]


class DataLayerOptions(SourceOptions):
    """What all data layers have."""

    page = "data.md"
    example: ClassVar[Dict[str, Any]] = {
        "source": "train.txt",
        "root": "images",
        "batch_size": 64,
        "resize": [256, 256],
        "crop_size": 227,
        "mirror": True,
        "prefetch": True,
    }

    batch_size: Annotated[int, InOrder(1)] = Field(
        256,
        ge=1,
        le=LARGEST_BLOB,
        description="Samples per batch, at least 1; a blob holds at most 2147483647 numbers.",
    )
    resize: Size = Field(
        None,
        description="Size to resize to, bilinear, in pixels: n (n x n), [height, width], {'short': n} or {'long': n} (the aspect is "
        "kept), or -1 (no resizing).",
    )
    crop_size: CropSize = Field(
        None,
        description="Size to cut out after resizing, in pixels, n (n x n) or [height, width]: at random in TRAIN, the centre in "
        "TEST; 0 or none: no crop.",
    )
    mirror: bool = Field(False, description="Mirror an image left to right with probability 1/2 in TRAIN.")
    mean_file: Union[Path, Annotated[Tuple[float, ...], Field(min_length=1)], None] = Field(
        None,
        description="Mean to subtract: a .npy or .binaryproto file, or a list in the units of pixels: [r, g, b], one number for all "
        "channels, or with another number of channels one per channel, in their order.",
    )
    mean_value: MeanValue = Field(
        None,
        description="Mean to subtract, in the units of pixels: one number for all channels, or a list with one per channel, in "
        "their order: [b, g, r].",
    )
    scale: float = Field(1.0, description="Factor, any number, on the images after the mean is subtracted.")
    color: Union[bool, Literal["any"]] = Field(
        True,
        description="Three channels: blue, green, red; false: one, grey; any: the channels and the bits that the file has, and .npy "
        "files too.",
        json_schema_extra={"aliases": ["is_color"]},
    )
    augment: AugmentOrPreset = None
    transform: Optional[Plugin] = Field(
        None,
        description="Function of yours, 'module:function', called as function(image, rng) after resizing. It may also take phase, labels "
        "and map by name, and return (image, labels) or (image, map).",
    )
    decode: Literal["exact", "fast", "lenient", "fast_lenient"] = Field(
        "exact",
        description="Decode JPEGs in full (exact), or scaled down by 2, 4 or 8 where they are that much larger than "
        "`resize` (fast). A JPEG that is cut short is an error, or is read as far as it goes, as stock ImageData reads it, and "
        "counted (lenient, fast_lenient).",
    )
    max_pixels: int = Field(
        2**28,
        ge=1,
        description="Largest image that is decoded, height times width, at least 1; a larger one counts as unreadable.",
    )
    cache: Literal["none", "memory", "disk"] = Field(
        "none",
        description="Keep decoded and resized 8-bit images for the next epoch: in memory, which goes with the process (memory), or in a file "
        "beside the source or in the cache folder, for later runs too (disk); none: decode them each time.",
    )
    cache_limit: Optional[int] = Field(
        None,
        ge=1,
        description="Bytes that the cache may take, at least 1; none: half of what is free. What does not fit is decoded each time.",
    )
    seed: Annotated[Seed, InOrder(2)] = 0
    stream: Annotated[Stream, InOrder(3)] = 0
    prefetch: BatchesAhead = Field(
        0, description="Batches that worker processes prepare ahead, at least 0; true is 3, false is 0."
    )
    workers: int = Field(1, ge=1, description="Worker processes of prefetch, at least 1.")
    timeout: float = Field(60.0, gt=0, description="Seconds, above 0, after which a silent worker is replaced.")
    resume: Resume = False
    iter_size: Annotated[int, InOrder(11)] = Field(
        1, ge=1, description="The solver's iter_size, at least 1: batches per iteration."
    )
    restart_every: int = Field(
        0,
        ge=0,
        description="Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.",
    )
    on_error: Literal["stop", "replace", "skip"] = Field(
        "stop",
        description="A record that cannot be read: an error (stop), or replaced by a random one of its class (replace) or by the "
        "next in the order (skip).",
    )
    sampler: Annotated[Optional[Plugin], InOrder(8)] = Field(
        None, description="Class of yours, 'module:Class', whose batch(number) says which records a batch has."
    )

    #: Whether an image has maps, which are padded with it where it is smaller than the crop.
    has_maps: ClassVar[bool] = False
    #: The images of a sample, which are the first tops.
    images: ClassVar[Tuple[str, ...]] = ("data",)
    #: Options that choose what `sampler` would choose.
    _sampling: ClassVar[Tuple[str, ...]] = ("type",)

    def images_per_top(self) -> int:
        """How many images a top has."""
        return self.batch_size

    @property
    def sizes_differ(self) -> bool:
        """Whether each image is fed at its own size."""
        return False

    def each_source(self) -> Mapping[str, Any]:
        """What opens each of its sources, by what stands before the names of its options in messages."""
        return {"": self}

    def conflicts(self) -> Iterator[Remark]:
        for place, part in self.each_source().items():
            yield from (remark.within(place) for remark in part.wrong_source())
        yield from self._too_large()
        size = self.resized()
        if (
            size is not None
            and self.crop_size is not None
            and not self.has_maps
            and (self.crop_size[0] > size[0] or self.crop_size[1] > size[1])
        ):
            larger = f"option 'crop_size' is {list(self.crop_size)}, more than 'resize', which is {list(size)}"
            yield Remark(("crop_size", "resize"), larger)
        if isinstance(self.augment, Augment) and self.crop_size is None and size is None:
            yield from self.augment.without_size()
        if self.cache != "none":
            yield from self._without_cache()
        if self.mean_file is not None and self.mean_value is not None:
            both = "options 'mean_file' and 'mean_value' are both given"
            yield Remark(("mean_file", "mean_value"), both, "leave one out")
        channels = self._channels()
        for name, mean in (("mean_file", self.mean_file), ("mean_value", self.mean_value)):
            if channels is not None and isinstance(mean, tuple) and len(mean) not in (1, channels):
                yield Remark(
                    (name, "color"),
                    f"option {name!r} has {len(mean)} numbers, but images have {channels} "
                    f"channel{'s' * (channels > 1)}: 'color' is {str(self.color).lower()}",
                    "give one number for all channels, or one per channel",
                )
        if self.sampler is not None and self.on_error != "stop":
            rule = "option 'on_error' must be 'stop' with a 'sampler' of your own: only the sampler knows which record may replace another"
            yield Remark(("on_error", "sampler"), rule)

    def _without_cache(self) -> Iterator[Remark]:
        """What a cache cannot be with."""
        rule = f"option 'cache' is {self.cache!r}, but "
        if not getattr(self, "compressed", True):
            kept = rule + "'compressed' is false, which keeps all images in memory anyway"
            yield Remark(("cache", "compressed"), kept, "leave one out")
        if isinstance(self.augment, Augment) and self.augment.resized_crop is not None:
            whole = rule + "'augment.resized_crop' cuts out of whole images, which take more room than is worth it"
            yield Remark(
                ("cache", "augment.resized_crop"), whole, "leave one out, or crop with 'augment.scale' and 'crop_size'"
            )

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.cache == "none":
            yield from self.without_effect(("cache_limit",), "'cache' is 'none'")
        yield from self.idle_for_source()
        if self.decode == "fast" and self.resize is None:
            yield from self.without_effect(("decode",), "there is no 'resize'")
        if self.prefetch == 0:
            idle = ("timeout",) if self.workers == 1 else ("workers", "timeout")
            yield from self.without_effect(idle, "'prefetch' is false")
        if self.sampler is not None:
            yield from self.without_effect(self._sampling, "there is a 'sampler' of your own")

    def remarks(self) -> Iterator[Remark]:
        if self.decode == "fast_lenient" and self.resize is None:
            slow = "option 'decode' is 'fast_lenient', but nothing is scaled down, because there is no 'resize'"
            yield Remark(("decode", "resize"), slow, "set 'decode': 'lenient'")
        if 0 < self.prefetch < self.workers:
            yield Remark(
                ("workers", "prefetch"),
                f"option 'workers' is {self.workers}, but only {self.prefetch} are started: 'prefetch' is {self.prefetch} "
                "batches, and each worker makes one at a time",
                "raise 'prefetch' or lower 'workers'",
            )

        if isinstance(self.augment, Augment) and self.color is False:
            yield from self.augment.without_colours()

    def image_shape(self) -> Optional[Tuple[Optional[int], int, int]]:
        """(channels, height, width) of images as they are fed, where the options say the size; see `_channels`."""
        if self.crop_size:
            return (self._channels(), *self.crop_size)
        size = self.resized()
        return None if size is None or self.transform is not None else (self._channels(), *size)

    def resized(self) -> Optional[Tuple[int, int]]:
        """(height, width) of images after `resize`, where it is the same for all."""
        if isinstance(self.resize, Fit):
            return (self.resize.long, self.resize.long) if self.resize.long and self.resize.pad else None
        return self.resize

    def _channels(self) -> Optional[int]:
        """The channels of images; None where files, raw images or a `transform` decide, whatever `color` says."""
        of_files = all(part.source_type in ("CSV", "BCF") for part in self.each_source().values())
        if self.transform is not None or self.color == "any" or (self.color and not of_files):
            return None
        return 3 if self.color else 1

    def _too_large(self) -> Iterator[Remark]:
        """What is known before an image is read; a size of a `transform`'s own is not."""
        sizes = {"crop_size": self.crop_size, "resize": self.resized()}
        for name, size in sizes.items():
            if size is None or self.transform is not None:
                continue
            channels = self._channels() or 1
            numbers = self.images_per_top() * channels * size[0] * size[1]
            if numbers > LARGEST_BLOB:
                yield Remark(
                    ("batch_size", name),
                    f"options 'batch_size', which is {self.batch_size}, and {name!r}, {list(size)}, make a top of {numbers} "
                    f"numbers ({self.images_per_top()} x {channels} x {size[0]} x {size[1]})",
                    f"a Caffe blob holds at most {LARGEST_BLOB}: lower one of them",
                )
            return
