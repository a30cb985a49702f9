"""The weights in a .caffemodel, or a .caffemodel.h5, by layer; read without Caffe."""

import mmap
import os
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.datum import SIZES, bytes_field, message_fields, read_blob, write_blob
from caffe_pylayers.caffe_files.hdf5 import SIGNATURE
from caffe_pylayers.caffe_files.legacy_nets import V1_NUMBERS
from caffe_pylayers.errors import DataError

#: Field numbers of caffe.proto: NetParameter's layers of today and of old, and in these name, type and blobs.
_LAYER, _V1_LAYER = 100, 2
_TODAY, _V1 = {1: "name", 2: "type", 7: "blob"}, {4: "name", 5: "type", 6: "blob"}


@dataclass
class LayerWeights:
    """The parameter blobs of one layer, float32 or float64, in Caffe's order. type: "" where the file does not say.

    legacy: their shapes are num, channels, height, width, as Caffes before 2015 wrote them: (1, 1, 1, 10) for 10 biases.
    """

    name: str
    type: str = ""
    blobs: List[np.ndarray] = field(default_factory=list)
    legacy: bool = False


def read_weights(path: str) -> List[LayerWeights]:
    """The layers of a file of weights, in its order; those without blobs too.

    Raises DataError where it cannot be read, or is no such file (a .solverstate, say).
    """
    try:
        with regular_file.open_bytes(path) as file:
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return _read_hdf5(path)
            if not file.seek(0, 2):
                raise DataError("it is empty", remedy="was the copy cut short?", source=path)
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror}", source=path) from error
    layers = _layers(path, content)
    if not layers and path.endswith(".solverstate"):
        raise _state_alone(path)
    if not layers:
        raise DataError("it has no layers", remedy="is it a .caffemodel? (a .solverstate has no weights)", source=path)
    return layers


def write_weights(path: str, layers: Iterable[LayerWeights]) -> None:
    """Write a .caffemodel with the names, types and blobs of layers, which is all that Caffe takes of one.

    A blob without axes is written with four of size 1, in the way of before 2015: Caffe takes it as it is, and OpenCV reads no other one.
    """
    with open(path, "wb") as file:
        for layer in layers:
            parts = [bytes_field(1, os.fsencode(layer.name)), bytes_field(2, layer.type.encode())]
            parts += [
                bytes_field(
                    7, write_blob(blob if blob.ndim else blob.reshape(1, 1, 1, 1), layer.legacy or not blob.ndim)
                )
                for blob in layer.blobs
            ]
            file.write(bytes_field(_LAYER, b"".join(parts)))


def by_name(layers: List[LayerWeights]) -> Dict[str, LayerWeights]:
    """The layers that have weights, by name."""
    return {layer.name: layer for layer in layers if layer.blobs}


def fits(theirs: Tuple[int, ...], net: Tuple[int, ...], legacy: bool) -> bool:
    """Whether Caffe copies a blob of weights (Blob::ShapeEquals). legacy: its shape is num, channels, height, width."""
    if legacy:
        return len(net) <= 4 and (1,) * (4 - len(net)) + net == theirs
    return theirs == net


def _layers(path: str, content: memoryview) -> List[LayerWeights]:
    layers: List[LayerWeights] = []
    try:
        for number, value in message_fields(content):
            if number in (_LAYER, _V1_LAYER) and not isinstance(value, int):
                layers.append(_layer(value, _TODAY if number == _LAYER else _V1))
    except DataError as error:
        if path.endswith(".solverstate"):
            raise _state_alone(path) from error
        after = f", after layer {layers[-1].name!r}" if layers else ""
        raise error.within(f"{path}: not a .caffemodel, or cut short{after}") from error
    return layers


def _state_alone(path: str) -> DataError:
    weights = f"{path[: -len('.solverstate')]}.caffemodel"
    remedy = f"give {weights}; `train SOLVER --resume {path}` continues from the state"
    return DataError("it is a state of a solver, which has no weights itself", remedy=remedy, source=path)


def _layer(content: Any, names: Dict[int, str]) -> LayerWeights:
    layer = LayerWeights("")
    for number, value in message_fields(content):
        kind = names.get(number)
        if kind == "name":
            layer.name = bytes(value).decode("utf-8", "surrogateescape")
        elif kind == "type":
            layer.type = (
                V1_NUMBERS.get(value, "") if isinstance(value, int) else bytes(value).decode("utf-8", "replace")
            )
        elif kind == "blob":
            layer.blobs.append(read_blob(value))  # type: ignore[arg-type]
            layer.legacy |= any(number in SIZES for number, _ in message_fields(value))  # type: ignore[arg-type]
    return layer


def _read_hdf5(path: str) -> List[LayerWeights]:
    """Caffe's snapshots of format HDF5: data/<layer>/<number of the blob>."""
    import h5py

    with h5py.File(path, "r") as file:
        if not isinstance(file.get("data"), h5py.Group):
            raise DataError(
                "an HDF5 file without the group `data`: these are not weights that Caffe wrote", source=path
            )
        return [
            LayerWeights(name, blobs=[np.asarray(group[number]) for number in sorted(group, key=int)])
            for name, group in file["data"].items()
        ]
