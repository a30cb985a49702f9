"""The lists of pairs of Labeled Faces in the Wild (Huang et al. 2007), and others of their form.

10  300                     sets, and pairs of each kind in a set; or one number, the pairs of each kind
Abel_Pacheco  1  4          photos 1 and 4 of a person: Abel_Pacheco_0001 and Abel_Pacheco_0004, in any folder
Abdel_Aziz  1  Dean_Cain 2  photos of two people
"""

import math
import os
import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import DataError

#: The name of a photo without its folder: the person, the number, and an ending or none.
_NAME = re.compile(rb"(?:.*/)?([^/]*)_([0-9]{1,9})(?:\.[^./]*)?", re.DOTALL)

#: A person and the number of a photo.
_Photo = Tuple[bytes, int]


class LfwList(NamedTuple):
    """The pairs of such a list: the photos of each, and whether they are of one person.

    lines: where they are in the file `path`. sets: in how many parts the list comes, None where it does not say.
    """

    path: str
    lines: List[int]
    photos: List[Tuple[_Photo, _Photo]]
    same: List[bool]
    sets: Optional[int]

    def records(self, source: Source) -> np.ndarray:
        """The records that the photos are, by their names: int32 (2, M). Raises DataError for a photo that is not there, or there twice."""
        places = dict.fromkeys((photo for pair in self.photos for photo in pair), -1)
        for number in range(len(source.names)):
            name = _NAME.fullmatch(source.names[number])
            photo = (name[1], int(name[2])) if name else None
            if photo is None or photo not in places:
                continue
            if places[photo] >= 0:
                raise DataError(
                    f"{_shown(source.names[places[photo]])!r} and {_shown(source.names[number])!r} are both photo {photo[1]} of {_shown(photo[0])}, "
                    f"which is in a pair of {self.path}",
                    remedy="leave one of them out of the source",
                    source=source.path,
                )
            places[photo] = number
        for line, pair in zip(self.lines, self.photos):
            for person, number in pair:
                if places[person, number] < 0:
                    raise DataError(
                        f"photo {number} of {_shown(person)} is not a record of {source.path}",
                        remedy=f"in a list of LFW's form it is the record with the file name {_shown(person)}_{number:04}, in any folder and with any "
                        f"ending; records here have names such as {_shown(source.names[0])!r}",
                        source=f"{self.path}, line {line}",
                    )
        return np.array([[places[photo] for photo in pair] for pair in self.photos], np.int32).T


def lfw_list(path: str, rows: Sequence[Tuple[int, List[str]]]) -> Optional[LfwList]:
    """The list in the rows of a file, each with the number of its line; None where they have another form. Raises DataError with the line that is wrong."""
    numbers = [int(field) if _is_number(field) else 0 for field in rows[0][1]] if rows else []
    if not 1 <= len(numbers) <= 2 or 0 in numbers or len(rows) < 2 or _pair_of(rows[1][1]) is None:
        return None
    expected = math.prod(numbers)
    if (
        _is_number(rows[1][1][0]) and len(rows) - 1 != 2 * expected
    ):  # people may be numbers, but so may records, in a list of another form
        return None
    found = LfwList(path, [], [], [], numbers[0] if len(numbers) == 2 else None)
    for line, fields in rows[1:]:
        pair = _pair_of(fields)
        if pair is None:
            raise DataError(
                f"{_shown(os.fsencode(' '.join(fields)))!r} is no pair of a list of LFW's form, which the first line begins",
                remedy="write a person and the numbers of two photos, or twice a person and the number of a photo: "
                "`Abel_Pacheco 1 4`, `Abdel_Aziz 1 Dean_Cain 2`",
                source=f"{path}, line {line}",
            )
        found.lines.append(line)
        found.photos.append(pair)
        found.same.append(len(fields) == 3)
    counts = sum(found.same), len(found.same) - sum(found.same)
    if counts != (expected, expected):
        raise DataError(
            f"it has {counts[0]} pairs of one person and {counts[1]} of two, but its first line promises {expected} of each",
            remedy="was the file cut short? Or write the right numbers into its first line: sets, and pairs of each kind in a set",
            source=path,
        )
    return found


def looks_like_lfw(fields: List[str]) -> bool:
    """Whether a line may be a pair of two people of such a list, whose first line is not there."""
    return len(fields) == 4 and _pair_of(fields) is not None


def _pair_of(fields: List[str]) -> Optional[Tuple[_Photo, _Photo]]:
    if len(fields) == 3:
        fields = [*fields[:2], fields[0], fields[2]]
    if len(fields) != 4 or not (_is_number(fields[1]) and _is_number(fields[3])):
        return None
    one, other = ((os.fsencode(fields[at]), int(fields[at + 1])) for at in (0, 2))
    return one, other


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")[:80]
