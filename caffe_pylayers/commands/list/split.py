"""Which images are for the test: of each class the same part, drawn by their names."""

import hashlib
import os
from collections import defaultdict
from fractions import Fraction
from typing import Dict, List, Sequence, Set, Tuple

from caffe_pylayers.commands.list.found import Image


def split(
    images: Sequence[Image], part: Fraction, seed: int, same: Sequence[Sequence[Image]]
) -> Tuple[List[Image], List[Image]]:
    """Images for training and for the test, each in the order that they have.

    part: of each class, rounded; at least one image of it stays for training. An image is drawn by its name and the seed alone,
    so that a folder that grows keeps its test images, as a rule. same: groups of the same content, which stay together.
    """
    first = {image.name: group[0].name for group in same for image in group}
    of_class: Dict[str, List[Image]] = defaultdict(list)
    for image in images:
        of_class[image.klass].append(image)
    chosen: Set[str] = set()
    for members in of_class.values():
        groups: Dict[bytes, List[str]] = defaultdict(list)
        for image in members:
            groups[_draw(seed, first.get(image.name, image.name))].append(image.name)
        left = min(int(part * len(members) + Fraction(1, 2)), len(members) - 1)
        for _, names in sorted(groups.items()):
            if len(names) <= left:
                chosen.update(names)
                left -= len(names)
    return [image for image in images if image.name not in chosen], [image for image in images if image.name in chosen]


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(os.fsencode(name), digest_size=16, key=b"%d" % seed).digest()
