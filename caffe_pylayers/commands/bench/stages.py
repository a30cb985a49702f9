"""Where the time of an image, and of its maps, goes, and what other options would make of it: measured on images of the source."""

import contextlib
import time
from dataclasses import replace
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from caffe_pylayers.commands.bench.figures import Stages
from caffe_pylayers.data.augmentation.draws import Drawn
from caffe_pylayers.data.changed import Ready, transformed
from caffe_pylayers.data.geometry import UNMOVED, Draw
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.room import Room
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError

_MOST_IMAGES = 200
#: A JPEG of the resized image, as `convert --resize` may write it.
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]

#: An image, and its maps.
_Loaded = Tuple[np.ndarray, List[np.ndarray]]


def stages(recipe: Recipe, seconds: float) -> Stages:
    """Look at images drawn from all of the source, for about so many seconds; the first reading comes first.

    Raises DataError where none of those that were drawn can be read.
    """
    source = recipe.source
    with _one_thread():
        records, first_read = _read_first(recipe, seconds / 8)
        records, loaded = _loaded(recipe, records, seconds / 8)
        encoded = not isinstance(source.read(records[0]), np.ndarray)
        took = _in_turns(_actions(recipe, records, loaded, encoded), len(records), seconds * 3 / 4)
    images = [image for image, _ in loaded]
    kept = sum(array.nbytes for image, maps in loaded for array in (image, *maps)) // len(loaded)
    read, load = took["read"], took["load"]
    decode = min(load, took.get("decode", load))
    return Stages(
        images=len(records),
        first_read=first_read,
        read=read,
        decode=max(0.0, decode - read),
        resize=load - decode,
        transform=took.get("transform", 0.0),
        write=took["write"],
        fast=max(0.0, took["fast"] - read) if "fast" in took else None,
        small=took.get("small"),
        gray=all(
            image.shape[2] == 3 and image.dtype == np.uint8 and bool((image == image[:, :, :1]).all())
            for image in images
        ),
        decoded_bytes=len(source) * kept if encoded and _may_be_kept(recipe) else None,
    )


def _may_be_kept(recipe: Recipe) -> bool:
    """Whether a cache could keep the images decoded, and nothing does so already."""
    cuts = recipe.transforms.augment is not None and recipe.transforms.augment.part is not None
    return recipe.cache is None and recipe.pixels == np.uint8 and not cuts


def _write(recipe: Recipe, image: np.ndarray, maps: Sequence[np.ndarray], room: Room, drawn: Drawn) -> None:
    window = recipe.transforms.window(image.shape, Draw(0.3, 0.6, False), drawn)
    if recipe.form.largest:
        room.fit(window.size)
    recipe.transforms.write(image, window, room.images[0], drawn)
    for each, loaded, out in zip(recipe.maps, maps, room.maps[0]):
        each.write(loaded, window, out)


def _actions(
    recipe: Recipe, records: Sequence[int], loaded: Sequence[_Loaded], encoded: bool
) -> Dict[str, Callable[[int], object]]:
    """What is timed, by name; each takes a place among the records."""
    source, transforms = recipe.source, recipe.transforms
    room = recipe.room(1)
    augments = transforms.augments(np.arange(_MOST_IMAGES, dtype=np.uint64))
    fitting = [each for each in loaded if recipe.form.largest or transforms.shape(each[0]) == recipe.shape] or loaded
    actions: Dict[str, Callable[[int], object]] = {
        "read": lambda place: _read(recipe, records[place]),
        "load": lambda place: _load(recipe, transforms, records[place]),
        "write": lambda place: _write(recipe, *fitting[place % len(fitting)], room, augments[place]),
    }
    transform = transforms.transform
    if transform is not None:
        labels = recipe.labels_of(np.array(records))
        ready = [
            Ready(image, maps, UNMOVED, None if labels is None else labels[place])
            for place, (image, maps) in enumerate(loaded)
        ]
        actions["transform"] = lambda place: transformed(transform, ready[place], recipe.maps, 0, has_points=False)
    if transforms.resize is None or transforms.fast:
        return actions
    whole, fast = replace(transforms, resize=None), replace(transforms, fast=True)
    actions["decode"] = lambda place: _load(recipe, whole, records[place])
    first, maps = loaded[0]
    if encoded and not maps and first.dtype == np.uint8 and first.shape[2] in (1, 3):
        files = [cv2.imencode(".jpg", image, _QUALITY)[1] for image, _ in loaded]
        flag = cv2.IMREAD_COLOR if first.shape[2] == 3 else cv2.IMREAD_GRAYSCALE
        actions["fast"] = lambda place: fast.load(source, records[place])
        actions["small"] = lambda place: cv2.imdecode(files[place], flag)
    return actions


def _read_first(recipe: Recipe, seconds: float) -> Tuple[List[int], float]:
    """Records from everywhere, and the microseconds that reading one for the first time takes."""
    drawn = np.random.default_rng(0).permutation(len(recipe.source))[:_MOST_IMAGES].tolist()
    records, started = [], time.perf_counter()
    for record in drawn:
        with contextlib.suppress(DataError):
            _read(recipe, record)
            records.append(record)
        if records and time.perf_counter() - started > seconds:
            break
    if not records:
        raise recipe.source.error(f"none of {len(drawn)} records drawn from it can be read")
    return records, 1e6 * (time.perf_counter() - started) / len(records)


def _read(recipe: Recipe, record: int) -> None:
    """Read all of a record: what lies in mapped memory is read from disk when it is looked at."""
    for source in recipe.sources:
        data = source.read(record)
        if not isinstance(data, np.ndarray):
            bytes(data)


def _load(recipe: Recipe, transforms: Transforms, record: int) -> _Loaded:
    return transforms.load(recipe.source, record), [each.load(record) for each in recipe.maps]


def _loaded(recipe: Recipe, records: Sequence[int], seconds: float) -> Tuple[List[int], List[_Loaded]]:
    """Those of the records that can be decoded, as many as come in the time, and what is to be cropped of them."""
    good: List[int] = []
    loaded: List[_Loaded] = []
    problem: Optional[DataError] = None
    started = time.perf_counter()
    for record in records:
        try:
            loaded.append(_load(recipe, recipe.transforms, record))
            good.append(record)
        except DataError as error:
            problem = error
        if loaded and time.perf_counter() - started > seconds:
            break
    if not loaded:
        assert problem is not None
        raise problem
    return good, loaded


def _in_turns(actions: Dict[str, Callable[[int], object]], count: int, seconds: float) -> Dict[str, float]:
    """The microseconds that each action takes for one record: the median of rounds, at least one."""
    rounds: Dict[str, List[float]] = {name: [] for name in actions}
    end = time.perf_counter() + seconds
    while not rounds["read"] or time.perf_counter() < end:
        for name, action in actions.items():
            started = time.perf_counter()
            for place in range(count):
                action(place)
            rounds[name].append((time.perf_counter() - started) / count)
    return {name: 1e6 * float(np.median(times)) for name, times in rounds.items()}


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV as in a worker."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
