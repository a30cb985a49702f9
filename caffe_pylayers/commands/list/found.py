"""The images in a folder: of which class each is, or which label map it has."""

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import Container, Dict, Iterator, List, Optional, Set, Tuple

from caffe_pylayers.errors import DataError

#: The ends of names that image files have.
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

#: Folders that are parts of a data set, and no classes.
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}

#: How files and folders begin that are none of the user's.
_HIDDEN = (".", "__MACOSX")

_PATTERN = "--pattern says where the name of the class is, as in --pattern '{class}_*.jpg'"
_PATTERNS = "give patterns with {name}, as in --pattern 'images/{name}.jpg' --maps 'maps/{name}_labels.png'"

_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\{class\}|\{name\}")
_MEANS = {
    "**/": "(?:.*/)?",
    "**": ".*",
    "*": "[^/]*",
    "?": "[^/]",
    "{class}": "(?P<klass>[^/]+)",
    "{name}": "(?P<name>.+)",
}


@dataclass(frozen=True)
class Image:
    """A file, by its path below the folder. klass: the name of its class, or "". label_map: the path of its map, or ""."""

    name: str
    klass: str = ""
    label_map: str = ""


@dataclass
class Found:
    """The images of a folder, in the order of their names. left_out: why -> the paths that are not among them."""

    images: List[Image] = field(default_factory=list)
    left_out: Dict[str, List[str]] = field(default_factory=dict)

    def leave_out(self, reasons: Dict[str, str]) -> None:
        """Drop images: name -> why."""
        for image in self.images:
            if image.name in reasons:
                self.left_out.setdefault(reasons[image.name], []).append(image.name)
        self.images = [image for image in self.images if image.name not in reasons]

    def classes(self) -> List[str]:
        """The names of the classes in order: by their numbers where all are numbers."""
        names = sorted({image.klass for image in self.images})
        return sorted(names, key=int) if all(re.fullmatch(r"\d{1,18}", name) for name in names) else names


def images_of_classes(folder: str, pattern: Optional[str]) -> Found:
    """The images of class folders, or those that a pattern with `{class}` names. Raises DataError where there are none."""
    found = Found()
    matches = _compiled(pattern or "{class}/**", "class")
    for path in _files(folder, found):
        match = matches.fullmatch(path)
        if match is None:
            found.left_out.setdefault("in no class folder" if pattern is None else "not of the pattern", []).append(
                path
            )
        else:
            found.images.append(Image(path, match["klass"]))
    classes = found.classes()
    if not classes:
        raise DataError(
            "it has no images in folders, one for each class" if pattern is None else f"no image in it is '{pattern}'",
            remedy=_PATTERN,
            source=folder,
        )
    if pattern is None:
        parts = [name for name in classes if name.casefold() in _PARTS]
        if len(parts) == len(classes):
            commands = " and ".join(
                f"`caffe-pylayers list {shlex.quote(os.path.join(folder, name))} --output {name}.txt{names}`"
                for name, names in zip(sorted(parts, key=_by_training), ("", *[" --names names.txt"] * len(parts)))
            )
            raise DataError(
                f"its folders {', '.join(classes)} are parts of a data set, not classes",
                remedy=f"make a list of each: {commands}",
                source=folder,
            )
        empty = sorted(set(_folders(folder)) - set(classes))
        if empty:
            found.left_out["a folder without images, and no class"] = empty
    return found


def _by_training(name: str) -> bool:
    return not name.casefold().startswith("train")


def _folders(folder: str) -> Iterator[str]:
    """The folders in a folder that may be those of classes."""
    for entry in os.scandir(folder):
        if entry.is_dir() and not entry.name.startswith(_HIDDEN):
            yield entry.name


def images_with_maps(folder: str, pattern: Optional[str], maps: str) -> Found:
    """The images that have a label map of the same name.

    maps: a folder, or a pattern with `{name}` below `folder`. Raises DataError where no image has one, or one has two.
    """
    found = Found()
    if "{name}" in maps:
        label_maps = _by_name(folder, maps, found)
    else:
        there = os.path.relpath(maps, folder)
        label_maps = {
            name: os.path.normpath(os.path.join(there, path))
            for name, path in _by_name(maps, "{name}.*", found).items()
        }
    taken = set(label_maps.values())
    found.left_out.clear()  # a file that is no map may be an image
    images = _by_name(folder, pattern or "{name}.*", found, taken)
    if not images.keys() & label_maps.keys():
        images, label_maps = _without_common_end(images), _without_common_end(label_maps)
    found.images = [Image(path, label_map=label_maps[name]) for name, path in images.items() if name in label_maps]
    if not found.images:
        first, other = (next(iter(of.values()), "none") for of in (images, label_maps))
        raise DataError(
            f"no image has a map of its name; the first image is {first}, the first map {other}",
            remedy=_PATTERNS,
            source=folder,
        )
    for why, of, others in (("image without a map", images, label_maps), ("map without an image", label_maps, images)):
        without = [path for name, path in of.items() if name not in others]
        if without:
            found.left_out[why] = without
    return found


def _by_name(folder: str, pattern: str, found: Found, but: Container[str] = ()) -> Dict[str, str]:
    """Name -> path of the images of a pattern. Raises DataError where two have one name."""
    matches = _compiled(pattern, "name")
    images: Dict[str, str] = {}
    for path in _files(folder, found):
        match = None if path in but else matches.fullmatch(path)
        if match is None:
            continue
        name = match["name"]
        if name in images:
            raise DataError(
                f"{images[name]} and {path} have one name, '{name}'",
                remedy=_PATTERNS,
                source=folder,
            )
        images[name] = path
    return images


def _without_common_end(images: Dict[str, str]) -> Dict[str, str]:
    """The same, without what all names end with, as in one_leftImg8bit and two_leftImg8bit."""
    least, most = min(images, key=_backwards, default=""), max(images, key=_backwards, default="")
    end = next((n for n in range(len(least) + 1) if not most.endswith(least[len(least) - n - 1 :])), len(least))
    return {name[: len(name) - end]: path for name, path in images.items()} if least != most else images


def _backwards(name: str) -> str:
    return name[::-1]


def _compiled(pattern: str, part: str) -> "re.Pattern[str]":
    """The expression of a pattern. Raises DataError where it does not have `{part}` once."""
    if pattern.count(f"{{{part}}}") != 1:
        raise DataError(
            f"pattern '{pattern}' must have {{{part}}} once",
            remedy="beside it * stands for any letters, ** for folders too, ? for one letter",
        )
    at, expression = 0, ""
    for wild in _WILD.finditer(pattern):
        expression += re.escape(pattern[at : wild.start()]) + _MEANS[wild[0]]
        at = wild.end()
    return re.compile(expression + re.escape(pattern[at:]), re.DOTALL)


def _files(folder: str, found: Found) -> Iterator[str]:
    """The image files below a folder, by their paths below it, in order. Others are noted as left out, but for hidden ones."""
    seen: Set[Tuple[int, int]] = set()
    for where, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(where)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        for name in sorted(files):
            path = os.path.relpath(os.path.join(where, name), folder)
            if name.startswith(_HIDDEN):
                continue
            if not name.lower().endswith(SUFFIXES):
                found.left_out.setdefault("no image, by its name", []).append(path)
            elif "\n" in path or "\r" in path:
                found.left_out.setdefault("a line end in its name", []).append(path)
            else:
                yield path


def _raise(error: OSError) -> None:
    raise DataError(f"cannot read it: {error.strerror}", source=str(error.filename)) from error
