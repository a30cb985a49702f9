"""The formats of sources, and which of them a path is, told from what is there, or from its name."""

import re
import shlex
from typing import Dict, Literal, Optional, Tuple, get_args

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files import kinds
from caffe_pylayers.caffe_files.kinds import kind_of
from caffe_pylayers.errors import ConfigError, DataError

#: The words of the option `source_type`: NAME is the class NAMESource in the module of `caffe_pylayers.data.sources` of that name.
Format = Literal["CSV", "LMDB", "BCF", "HDF5"]
FORMATS = get_args(Format)

#: What may be a source of a format; a BCF file has no mark of its own.
_KINDS: Dict[str, Tuple[str, ...]] = {
    "CSV": (kinds.TEXT,),
    "LMDB": (kinds.LMDB,),
    "BCF": (kinds.BINARY,),
    "HDF5": (kinds.HDF5, kinds.TEXT),  # or a list of such files
}
_ENDINGS = ((r"\.(csv|tsv|txt|lst)$", "CSV"), (r"\.bcf$", "BCF"), (r"\.(h5|hdf5)$", "HDF5"), (r"lmdb/?$", "LMDB"))


def guessed_format(path: str, option: str) -> str:
    """The format of what lies at a path, or shall. Raises ConfigError, which names the option to give, if nothing tells."""
    found = _by_content(path) or next((word for ending, word in _ENDINGS if re.search(ending, path, re.IGNORECASE)), "")
    if not found and kind_of(path) == kinds.FOLDER:
        raise ConfigError("it is a folder, and no LMDB", remedy=list_of_folder(path), source=path)
    if not found:
        raise ConfigError(
            "neither its name nor its content shows its format",
            remedy=(
                f"give {option} {', '.join(FORMATS[:-1])} or {FORMATS[-1]} (known names: .csv, .txt, .bcf, .h5, "
                "and those that end with lmdb)"
            ),
            source=path,
        )
    return found


def list_of_folder(path: str) -> str:
    """What to do with a folder of images in the place of a source."""
    return f"`caffe-pylayers list {shlex.quote(path)}` writes a list of its images, which have a folder for each class"


def _by_content(path: str) -> Optional[str]:
    kind = kind_of(path)
    if kind == kinds.TEXT:
        with regular_file.open_bytes(path) as stream:
            first = stream.read(1 << 12).split(b"\n")[0].strip().lower()
        return "HDF5" if first.endswith((b".h5", b".hdf5")) else None  # a list of such files
    return {kinds.LMDB: "LMDB", kinds.HDF5: "HDF5"}.get(kind)


def misnamed(path: str, source_type: str) -> Optional[DataError]:
    """Why nothing that is at a path can be read as a source of that format; None where it may be one."""
    where, kind = f"{source_type} source {path}", kind_of(path)
    if kind == kinds.FOLDER:
        no_lmdb = " without data.mdb" if source_type == "LMDB" else ""
        return DataError(f"it is a folder{no_lmdb}", remedy=list_of_folder(path), source=where)
    if kind in ("", *_KINDS[source_type]) or (kind == kinds.BINARY and source_type != "CSV"):
        return None  # it may be one, were it damaged
    remedies = {
        kinds.LEVELDB: "only Caffe's own layer Data reads it; make an LMDB of the same images, or a list of them",
        kinds.TEXT: "set `source_type: CSV` if it is a list of images",
        kinds.BINARY: "set `source_type: BCF` if it is one; a CSV is a list of images",
    }
    fits = next((name for name, names in _KINDS.items() if kind in names), "")
    remedy = f"set `source_type: {fits}`" if fits else "write a list of images, and name it as the source"
    return DataError(f"it is {kind}", remedy=remedies.get(kind, remedy), source=where)
