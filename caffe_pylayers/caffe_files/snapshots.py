"""Caffe's snapshots, `PREFIX_iter_N.solverstate` and the .caffemodel that each names; read without Caffe."""

import glob
import mmap
import os
import re
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.datum import message_fields, read_blob
from caffe_pylayers.caffe_files.weights import fits, read_weights
from caffe_pylayers.errors import ConfigError, DataError

Shape = Tuple[int, ...]

#: Field numbers of caffe.proto's SolverState. They are written in this order, current_step always.
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4

_NAME = re.compile(r"_iter_(\d+)\.solverstate$")


@dataclass(frozen=True)
class State:
    """A whole .solverstate: iterations done, the file of the weights, and the shapes of the solver's history blobs."""

    path: str
    iteration: int
    weights: str
    history: List[Shape]


def state_path(prefix: str, iteration: int) -> str:
    """Where a solver of that snapshot_prefix writes its state after so many iterations."""
    return f"{prefix}_iter_{iteration}.solverstate"


def read_state(path: str) -> State:
    """The state in a file. Raises DataError where it is cut short, or its weights are not there or cut short."""
    if path.endswith(".h5"):
        raise DataError(
            "a state in HDF5: many builds of Caffe restore the iteration from it, but silently not the weights",
            remedy="go on from a .solverstate (snapshot_format: BINARYPROTO in the solver)",
            source=path,
        )
    if path.endswith(".caffemodel"):
        raise DataError(
            "weights alone, without a solver's state",
            remedy="give them with --weights, or name a .solverstate",
            source=path,
        )
    found: Dict[int, object] = {}
    history: List[Shape] = []
    try:
        with regular_file.open_bytes(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        for number, value in message_fields(content):
            if number == _HISTORY and not isinstance(value, int):
                history.append(read_blob(value).shape)
            else:
                found[number] = value
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror}", source=path) from error
    except DataError as error:
        raise error.within(f"{path}: not a .solverstate, or cut short") from error
    if _CURRENT_STEP not in found or _ITER not in found:
        raise DataError(f"not a .solverstate, or cut short: its end is missing ({len(content)} bytes)", source=path)
    weights = bytes(found.get(_LEARNED_NET, b"")).decode("utf-8", "surrogateescape")  # type: ignore[call-overload]
    if not os.path.exists(weights):
        raise DataError(
            f"its weights {weights!r} are not there; paths start at the working directory, {os.getcwd()}",
            remedy="start from the folder where the snapshot was taken, or put the weights back",
            source=path,
        )
    read_weights(weights)  # Caffe aborts on a file that is cut short
    return State(path, int(found[_ITER]), weights, history)  # type: ignore[call-overload]


def newest_state(prefix: str) -> Tuple[State, List[str]]:
    """The state of that snapshot_prefix that was written last, and complaints about later ones that are not whole.

    Raises ConfigError where there is none, with what is there.
    """
    paths = _by_time(prefix)
    complaints: List[str] = []
    for path in paths:
        try:
            return read_state(path), complaints
        except DataError as error:
            complaints.append(str(error))
    there = "; ".join(complaints) or _listed(prefix)
    raise ConfigError(f"nothing to resume: no whole {prefix}_iter_N.solverstate", remedy=there)


def newest_sound_state(prefix: str, iteration: int) -> str:
    """The state of that snapshot_prefix written last up to an iteration whose weights are all numbers; "" where there is none."""
    for path in _by_time(prefix):
        if _iteration(path) <= iteration:
            try:
                blobs = [blob for layer in read_weights(read_state(path).weights) for blob in layer.blobs]
            except DataError:
                continue
            if all(np.isfinite(blob).all() for blob in blobs):
                return path
    return ""


def _by_time(prefix: str) -> List[str]:
    """The states of a snapshot_prefix, the last written first."""
    return sorted(states_of(prefix), key=lambda path: (os.path.getmtime(path), _iteration(path)), reverse=True)


def states_of(prefix: str) -> List[str]:
    """The .solverstate files of a snapshot_prefix."""
    return [path for path in glob.glob(f"{glob.escape(prefix)}_iter_*.solverstate") if _NAME.search(path)]


def misfits(path: str, shapes: Dict[str, List[Shape]]) -> List[str]:
    """Why Caffe would abort when a net loads these weights, a sentence a layer; empty where they fit.

    shapes: of the net's parameter blobs, by layer, none for a layer without. Layers that only one of the two has are no misfit.
    """
    problems = []
    for layer in read_weights(path):
        name, found = layer.name, [blob.shape for blob in layer.blobs]
        wanted = shapes.get(name, found)
        if not found and not layer.type:  # of HDF5, which leaves out blobs that are shared
            continue
        if len(found) != len(wanted):
            problems.append(f"layer {name!r} has {len(found)} blobs in the weights, but {len(wanted)} in the net")
        elif not all(fits(one, other, layer.legacy) for one, other in zip(found, wanted)):
            problems.append(f"layer {name!r} has shape {_shown(found)} in the weights, but {_shown(wanted)} in the net")
    return problems


def _shown(shapes: List[Shape]) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "()" for shape in shapes)


def _iteration(path: str) -> int:
    match = _NAME.search(path)
    assert match is not None
    return int(match[1])


def _listed(prefix: str) -> str:
    """What a folder has in place of the states that were looked for."""
    folder = os.path.dirname(prefix) or "."
    names = sorted(name for name in os.listdir(folder) if ".solverstate" in name) if os.path.isdir(folder) else []
    return f"{folder} has {', '.join(names[:8]) or 'no .solverstate at all'}"
