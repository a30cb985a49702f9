"""The option `transform`: a function of the user's that changes loaded images, and what belongs to them."""

import functools
import inspect
from copy import copy
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Tuple

import numpy as np

from caffe_pylayers.blob_limits import LARGEST_LABEL
from caffe_pylayers.data.plugin import blamed, load_plugin
from caffe_pylayers.data.points import Columns
from caffe_pylayers.errors import ConfigError

#: What it may take by name, behind the image and the generator.
_BY_NAME = ("phase", "labels", "map")


class Returned(NamedTuple):
    """What the function returned. labels, map: None where it left them."""

    image: np.ndarray
    labels: Optional[np.ndarray] = None
    map: Optional[np.ndarray] = None


@dataclass(frozen=True)
class UserTransform:
    """The function at `place`, 'module:function'.

    training: whether its phase is TRAIN. points: the columns of labels that are points. keeps_labels: labels that it returns are refused.
    """

    place: str
    training: bool = False
    points: Columns = ()
    keeps_labels: bool = False

    @classmethod
    def of(cls, options: Any, training: bool) -> Optional["UserTransform"]:
        """That which the options of a data layer name, if any."""
        if options.transform is None:
            return None
        points = getattr(options, "points", None) or ()
        return cls(options.transform, training, points, keeps_labels=len(options.images) > 1)

    @property
    def takes(self) -> FrozenSet[str]:
        """What it takes by name. Raises ConfigError where the function is not there, or cannot be called."""
        return _taken(self.place)[0]

    def check(self, has_labels: bool, has_maps: bool) -> None:
        """Raise ConfigError where the function is not there, or cannot be called, or needs what records do not have."""
        needed = _taken(self.place)[1]
        if "labels" in needed and not has_labels:
            remedy = "take `map`, which ImageMapDataLayer has" if has_maps else "give them with option 'labels'"
            raise wrong(self.place, "takes `labels`, but records have none", f"{remedy}, or write `labels=None`")
        if "map" in needed and not has_maps:
            remedy = "use ImageMapDataLayer, or write `map=None`"
            raise wrong(self.place, "takes `map`, but images have none", remedy)

    def __call__(
        self,
        image: np.ndarray,
        key: int,
        labels: Optional[np.ndarray] = None,
        map: Optional[np.ndarray] = None,
    ) -> Returned:
        """What the function makes of a loaded image, of its labels (L,) and its map (H, W), where it has them.

        key: that of its random draws. Raises ConfigError where it returns something else than such an image, or such labels.
        """
        # Its own copies, for a function may write into them.
        own = image if image.flags.owndata else image.copy()
        rng = np.random.Generator(np.random.Philox(key=int(key)))
        there = {"phase": "TRAIN" if self.training else "TEST", "labels": labels, "map": map}
        given: Dict[str, Any] = {name: copy(there[name]) for name in self.takes if there[name] is not None}
        function = load_plugin("transform", self.place)
        with blamed("transform", self.place):
            found = function(own, rng, **given)
        pair = isinstance(found, tuple) and len(found) == 2
        changed, other = found if pair else (found, None)
        other_than_image = _no_image(changed, image.dtype)
        if other_than_image:
            raise wrong(
                self.place,
                f"returned {other_than_image}",
                f"it must return an image of {image.dtype} (height, width, channels), like the one it gets, with at least one pixel",
            )
        if other is None:
            return Returned(changed)
        if "labels" in given:
            return Returned(changed, labels=self._labels(other, given["labels"]))
        if "map" in given:
            return Returned(changed, map=self._map(other, changed))
        raise wrong(
            self.place, "returned an image and more", "to return labels or a map too, it must take `labels` or `map`"
        )

    def _labels(self, found: Any, like: np.ndarray) -> np.ndarray:
        """Labels that it returned. like: those that it got, or what it has made of them."""
        if self.keeps_labels:
            raise wrong(
                self.place,
                "returned labels, but pairs and triplets are drawn by the labels of the source",
                "return the image alone",
            )
        values = like.dtype.kind == "f"
        numbers, kinds = ("float numbers", "f") if values else ("integers", "iu")
        if not isinstance(found, np.ndarray) or found.shape != like.shape or found.dtype.kind not in kinds:
            raise wrong(
                self.place,
                f"returned labels that are {_described(found)}",
                f"they must be {numbers} of shape {like.shape}, like those that it gets",
            )
        with np.errstate(over="ignore"):
            beyond = (
                np.isinf(found.astype(np.float32)) if values else (found > LARGEST_LABEL) | (found < -LARGEST_LABEL)
            )
        if beyond.any():
            raise wrong(
                self.place,
                f"returned the label {found[beyond][0]}",
                "finite numbers of float32, and nan for a missing one, are allowed"
                if values
                else f"integers from {-LARGEST_LABEL} to {LARGEST_LABEL} are allowed",
            )
        return found.astype(like.dtype)

    def _map(self, found: Any, image: np.ndarray) -> np.ndarray:
        if not isinstance(found, np.ndarray) or found.shape != image.shape[:2] or found.dtype.kind not in "biuf":
            raise wrong(
                self.place,
                f"returned a map that is {_described(found)}",
                f"it must be numbers of shape {image.shape[:2]}, the height and width of the image that it returns",
            )
        return found


@functools.lru_cache(maxsize=None)
def _taken(place: str) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """What the function at `place` takes by name, and what of it has no default."""
    function = load_plugin("transform", place)
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of a function in C nothing is known
        return frozenset(), frozenset()
    parameters = list(signature.parameters.values())
    first = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)][:2]
    behind = [each for each in parameters if each.name not in first and each.kind != each.VAR_POSITIONAL]
    named = {each.name: each for each in behind if each.kind not in (each.POSITIONAL_ONLY, each.VAR_KEYWORD)}
    needed = {each.name for each in behind if each.default is each.empty and each.kind != each.VAR_KEYWORD}
    if needed - (named.keys() & set(_BY_NAME)) or set(first) & set(_BY_NAME):
        remedy = "it must be function(image, rng), and behind these may take `phase`, `labels` and `map`; others need a default"
        raise wrong(place, f"takes {signature}", remedy)
    takes_all = any(each.kind == each.VAR_KEYWORD for each in behind)
    return frozenset(each for each in _BY_NAME if takes_all or each in named), frozenset(needed)


def _described(found: Any) -> str:
    return f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__


def _no_image(found: Any, dtype: np.dtype) -> str:
    """What was found in place of an image of that type; "" where it is one."""
    if not isinstance(found, np.ndarray) or found.ndim != 3 or not found.size or found.dtype != dtype:
        return _described(found)
    return "" if dtype == np.uint8 or np.isfinite(found).all() else "numbers that are not finite"


def wrong(place: str, problem: str, remedy: str) -> ConfigError:
    """The error about the function at `place`."""
    return ConfigError(f"option 'transform': {place!r} {problem}", remedy=remedy, option="transform")
