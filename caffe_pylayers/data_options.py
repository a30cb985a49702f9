"""The options of the data layers; see :mod:`caffe_pylayers.options`."""

from typing import Any, Dict, Iterator, List, Literal, Optional, Tuple, Union

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from typing_extensions import Annotated

from caffe_pylayers.config import Options, Path, Resume, Seed, Stream, spell


def _size(value: Any) -> Any:
    """Return n as (n, n), and -1 as none."""
    side = spell(int, value)
    if type(side) is int:
        return None if side == -1 else (side, side)
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

Side = Annotated[int, Field(ge=1)]
Size = Annotated[
    Optional[Tuple[Side, Side]],
    BeforeValidator(_size),
    _choice({"const": -1}, _SIDE, _list_of(2, _SIDE), _NONE),
]
MeanValue = Annotated[
    Union[Tuple[float], Tuple[float, float, float], None],
    BeforeValidator(_mean),
    _choice(_NUMBER, _list_of(3, _NUMBER), _NONE),
]
BatchesAhead = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(_batches_ahead),
    _choice({"type": "boolean"}, {"type": "integer", "minimum": 0}),
]


class ImageDataLayerOptions(Options):
    """Labelled images."""

    source_type: Literal["CSV", "LMDB"] = Field("CSV", description="What the source is: a CSV file or an LMDB.")
    source: Path = Field(description="Path of the CSV file, which lists images and labels, or of the LMDB.")
    root: Optional[Path] = Field(
        None,
        description="Folder before the names in a CSV file; none: the working directory.",
        json_schema_extra={"aliases": ["root_folder"]},
    )
    batch_size: int = Field(256, ge=1, description="Samples a batch, at least 1.")
    resize: Size = Field(
        None, description="Size to resize to, in pixels: n (n x n), [height, width], or -1 (no resizing)."
    )
    crop_size: Optional[int] = Field(
        None,
        ge=0,
        description="Side of the square cut out after resizing, in pixels: at random in TRAIN, the centre in "
        "TEST; 0 or none: no crop.",
    )
    mirror: bool = Field(False, description="Mirror an image left to right with probability 1/2 in TRAIN.")
    mean_file: Union[Path, Tuple[float, float, float], None] = Field(
        None, description="Mean to subtract: a .npy or .binaryproto file, or [r, g, b] in units of 0 to 255."
    )
    mean_value: MeanValue = Field(
        None, description="Mean to subtract, in units of 0 to 255: [b, g, r], or one number for all channels."
    )
    scale: float = Field(1.0, description="Factor, any number, on the images after the mean is subtracted.")
    color: bool = Field(
        True,
        description="Three channels: blue, green, red; false: one, grey.",
        json_schema_extra={"aliases": ["is_color"]},
    )
    compressed: bool = Field(True, description="Decode images when needed; false: all at the start, kept in memory.")
    shuffle: bool = Field(False, description="A new random order each epoch of TRAIN; false: the source's order.")
    seed: Seed = 0
    stream: Stream = 0
    prefetch: BatchesAhead = Field(
        0, description="Batches that worker processes prepare ahead, at least 0; true is 3, false is 0."
    )
    workers: int = Field(1, ge=1, description="Worker processes of prefetch, at least 1.")
    timeout: float = Field(60.0, gt=0, description="Seconds, above 0, of silence after which a worker is replaced.")
    resume: Resume = False
    restart_every: int = Field(
        0,
        ge=0,
        description="Batches, at least 0, after which TEST starts again (the solver's test_iter); 0: never.",
    )

    @field_validator("crop_size", mode="after")
    @classmethod
    def _no_crop(cls, value: Optional[int]) -> Optional[int]:
        return value or None

    def conflicts(self) -> Iterator[str]:
        if self.source_type != "CSV":
            yield from self.without_effect(("root",), f"'source_type' is {self.source_type!r}")
        if self.resize is not None and self.crop_size is not None and self.crop_size > min(self.resize):
            yield f"option 'crop_size' is {self.crop_size}, more than 'resize', which is {list(self.resize)}"
        if self.mean_file is not None and self.mean_value is not None:
            yield "options 'mean_file' and 'mean_value' are both given; leave one out"
        for name, mean in (("mean_file", self.mean_file), ("mean_value", self.mean_value)):
            if not self.color and isinstance(mean, tuple) and len(mean) == 3:
                yield f"option {name!r} has three numbers, for one channel: 'color' is false"
        if self.prefetch == 0:
            idle = ("timeout",) if self.workers == 1 else ("workers", "timeout")
            yield from self.without_effect(idle, "'prefetch' is false")


class TripletDataLayerOptions(ImageDataLayerOptions):
    """Triplets of images: anchor, positive of its class, negative of another."""

    shuffle: bool = Field(False, description="Taken, and of no effect: TRAIN has a new random order each epoch.")
    type: Literal["RANDOM"] = Field("RANDOM", description="How positives and negatives are drawn: RANDOM, at random.")
    k: int = Field(10, ge=1, description="Candidates for a negative, at least 1; RANDOM does not use it.")
    n: int = Field(0, ge=0, description="Batches before candidates are compared, at least 0; RANDOM does not use it.")
    m: Optional[Path] = Field(None, description="File with similarities of images; RANDOM does not use it.")

    def warnings(self) -> List[str]:
        unused = [repr(name) for name in ("k", "n", "m") if self.given(name)]
        return [f"TripletDataLayer: type {self.type} does not use {', '.join(unused)}"] if unused else []
