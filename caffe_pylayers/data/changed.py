"""What a function of the user's makes of a loaded record."""

from typing import List, NamedTuple, Optional, Sequence, Union

import numpy as np

from caffe_pylayers.data.cache.entry import Loaded
from caffe_pylayers.data.geometry import UNMOVED, Matrix
from caffe_pylayers.data.maps import Maps
from caffe_pylayers.data.points import with_points_moved
from caffe_pylayers.data.sources import Source
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.data.user_transform import UserTransform, wrong
from caffe_pylayers.errors import ConfigError, DataError


class Ready(NamedTuple):
    """A record ready to be cut out: its image and maps, and its labels (L,) if the transform takes them.

    matrix: where the pixels in which points among its labels lie are now.
    """

    image: np.ndarray
    maps: Sequence[np.ndarray]
    matrix: Matrix
    labels: Optional[np.ndarray]


def changed(
    source: Source,
    transforms: Transforms,
    maps: Sequence[Maps],
    loaded: Loaded,
    record: int,
    key: int,
    labels: Optional[np.ndarray],
    has_points: bool,
) -> Ready:
    """A loaded record as the user's transform changes it, which gets `labels`. Every error names the record.

    has_points: points among the labels go where pixels go.
    """
    ready = Ready(loaded.image, loaded.maps, loaded.matrix, labels)
    if transforms.transform is not None:
        try:
            ready = transformed(transforms.transform, ready, maps, key, has_points)
        except ConfigError as error:
            raise error.within(source.describe(record), record) from error
    transforms.check(ready.image, source, record)
    return ready


def transformed(transform: UserTransform, record: Ready, maps: Sequence[Maps], key: int, has_points: bool) -> Ready:
    """What the transform makes of it. The function gets points where they are in its image, and so are those that it returns.

    has_points: whether points among the labels follow the pixels. Raises ConfigError for what the function must not return.
    """
    labels, own_map = record.labels, record.maps[0] if maps else None
    if labels is not None and transform.points:
        labels = with_points_moved(labels, transform.points, record.matrix)
    image, labels, own_map = transform(record.image, key, labels, own_map)
    found = record._replace(image=image)
    if labels is not None:
        found = found._replace(labels=labels, matrix=UNMOVED)
    if own_map is not None:
        found = found._replace(maps=[_checked(transform, maps[0], own_map), *record.maps[1:]])
    _check_size(transform, record, found, has_points and labels is None)
    return found


def _checked(transform: UserTransform, maps: Maps, found: np.ndarray) -> np.ndarray:
    try:
        return maps.checked(found)
    except DataError as error:
        raise wrong(transform.place, f"returned a map with the {error.problem}", error.remedy) from error


def _check_size(transform: UserTransform, before: Ready, after: Ready, points_stay: bool) -> None:
    """Raise ConfigError where the image has another size, and something else does not follow."""
    old, new = before.image.shape[:2], after.image.shape[:2]
    if old == new or not (points_stay or any(each.shape != new for each in after.maps)):
        return
    left, name = ("the points among the labels", "labels") if points_stay else ("maps", "map")
    remedy = "leave the size as it is" + f", or take and return `{name}` too" * (len(before.maps) < 2)
    raise wrong(
        transform.place, f"changed the size from {old} to {new} (height, width), but {left} would not follow", remedy
    )


def takes_labels(source: Source, transforms: Transforms, maps: Sequence[Maps]) -> bool:
    """Whether the user's transform gets the labels of records. Raises ConfigError where it cannot be used."""
    transform, has_labels = transforms.transform, source.labels is not None and not maps
    if transform is None:
        return False
    transform.check(has_labels, bool(maps))
    return has_labels and "labels" in transform.takes


def labels_of(source: Source, records: Union[np.ndarray, List[int]]) -> np.ndarray:
    """The labels of records as a transform gets them, (records, L): float32 if they are any numbers, else int64."""
    assert source.labels is not None
    return source.labels[records].reshape(len(records), -1).astype(np.float32 if source.has_values else np.int64)
