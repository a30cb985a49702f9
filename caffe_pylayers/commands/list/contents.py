"""What is in the files: which cannot be read, and which are the same."""

import hashlib
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, Iterator, List, Sequence, TypeVar

import numpy as np
from tqdm import tqdm

from caffe_pylayers import regular_file
from caffe_pylayers.commands.list.found import Image
from caffe_pylayers.data.decoding import MAX_PIXELS, check_depth, decode
from caffe_pylayers.data.map_files import numbers_in
from caffe_pylayers.errors import DataError

T = TypeVar("T")


def unreadable(folder: str, images: Sequence[Image]) -> Dict[str, str]:
    """The images that a data layer could not read: name -> why. Each is decoded."""

    def why(image: Image) -> str:
        try:
            pixels = decode(_bytes_of(folder, image.name))
            check_depth(pixels)
            if image.label_map:
                labels = numbers_in(_bytes_of(folder, image.label_map), MAX_PIXELS, exact=True)
                if labels.shape != pixels.shape[:2]:
                    return f"its map is of another size, {_size(labels)} and not {_size(pixels)}"
        except DataError as error:
            return error.problem
        return ""

    found = zip(images, _each(why, images, "reading"))
    return {image.name: reason for image, reason in found if reason}


def duplicates(folder: str, images: Sequence[Image]) -> List[List[Image]]:
    """The groups of images whose files are the same, byte for byte. Only files of equal size are read."""
    by_size: Dict[int, List[Image]] = defaultdict(list)
    for image in images:
        by_size[os.path.getsize(os.path.join(folder, image.name))].append(image)
    alike = [image for group in by_size.values() if len(group) > 1 for image in group]
    by_content: Dict[bytes, List[Image]] = defaultdict(list)

    def content(image: Image) -> bytes:
        return hashlib.blake2b(_bytes_of(folder, image.name)).digest()

    for image, digest in zip(alike, _each(content, alike, "looking for duplicates")):
        by_content[digest].append(image)
    return [group for group in by_content.values() if len(group) > 1]


def _each(function: Callable[[Image], T], images: Sequence[Image], what: str) -> Iterator[T]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        yield from tqdm(threads.map(function, images), total=len(images), desc=what, unit="image", disable=None)


def _bytes_of(folder: str, name: str) -> bytes:
    try:
        return regular_file.read_bytes(os.path.join(folder, name))
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror}", source=name) from error


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"
