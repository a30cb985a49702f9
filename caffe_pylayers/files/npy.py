"""Arrays in files that may be damaged: .npy, .npz, and .binaryproto of Caffe's."""

import io
import math
import warnings
import zipfile
import zlib
from typing import Any, Dict, Tuple

import numpy as np

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files.datum import read_blob
from caffe_pylayers.caffe_files.hdf5 import hdf5_start
from caffe_pylayers.errors import DataError

#: How the bytes of a .npy file begin.
NPY = b"\x93NUMPY"

_LONGEST_HEADER = 10_000  # bytes; it is evaluated


def npy_header(data: Any) -> Tuple[Tuple[int, ...], bool, np.dtype, int]:
    """What the first bytes of a .npy file say: shape, whether in Fortran's order, type, and where the numbers begin.

    data: bytes or a memoryview. Raises ValueError where it is no such header.
    """
    version, length_bytes = bytes(data[6:8]), 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + length_bytes], "little")
    if version not in (b"\1\0", b"\2\0") or length > _LONGEST_HEADER:
        raise ValueError("its header is damaged, or of structured numbers")
    begin = 8 + length_bytes + length
    stream = io.BytesIO(data[8:begin])
    read = np.lib.format.read_array_header_1_0 if length_bytes == 2 else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():  # about headers that Python 2 wrote
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(stream)
    except Exception as error:  # of many types, as the header is evaluated
        raise ValueError(f"its header is damaged ({error})") from error
    return shape, fortran, dtype, begin


def load_npy(path: str) -> np.ndarray:
    """The array of a .npy file, mapped, so that a damaged header that promises more than there is takes no memory.

    Raises OSError where the file cannot be read, or has more than the memory that is free, and ValueError where it is
    damaged or something else.
    """
    try:
        with warnings.catch_warnings():  # about headers that Python 2 wrote
            warnings.simplefilter("ignore")
            regular_file.require_room(path, regular_file.require_regular(path).st_size)
            found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # of many types, as the header is evaluated
        raise ValueError(str(error)) from error
    if isinstance(found, np.ndarray):
        return found
    found.close()
    raise ValueError("an archive of several arrays; one array is expected, as numpy.save writes it")


def load_npz(path: str) -> Dict[str, np.ndarray]:
    """The arrays of an .npz file, by name; they cannot be written to.

    Raises OSError where the file cannot be read, or has more than the memory that is free, and ValueError where it is
    damaged or something else.
    """
    with regular_file.open_bytes(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                regular_file.require_room(path, sum(each.file_size for each in members))
                return {
                    each.filename.rpartition(".npy")[0] or each.filename: _array(archive.read(each)) for each in members
                }
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(str(error)) from error


def _array(data: bytes) -> np.ndarray:
    """The array that is all of a .npy file's bytes."""
    if data[: len(NPY)] != NPY:
        raise ValueError("a member of it is no .npy file")
    shape, fortran, dtype, begin = npy_header(data)
    if dtype.hasobject:
        raise ValueError("it has objects of Python, which are not read")
    if len(data) - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{len(data) - begin} bytes of numbers, but the header says {math.prod(shape) * dtype.itemsize}"
        )
    return np.frombuffer(data, dtype, math.prod(shape), begin).reshape(shape, order="F" if fortran else "C")


def read_npy(path: str) -> np.ndarray:
    """The numbers of a .npy file: float64, of the shape they have. Raises OSError, or ValueError where it has none."""
    try:
        array = load_npy(path)
    except ValueError as error:
        raise ValueError(f"not a .npy file of numbers, or cut short ({error})") from error
    if array.dtype.kind not in "iuf":
        raise ValueError("not a .npy file of numbers")
    with np.errstate(all="ignore"):  # numbers that float64 cannot hold become infinite, which is told later
        return array.astype(np.float64)


def read_array(path: str, source: str, remedy: str) -> np.ndarray:
    """The numbers of a .npy file, or of a BlobProto in a file of another name. source, remedy: for DataError."""
    try:
        return read_npy(path) if path.endswith(".npy") else read_blob(regular_file.read_bytes(path))
    except OSError as error:
        raise DataError(f"cannot read it: {error.strerror or error}", source=source) from error
    except ValueError as error:
        problem = str(error) if hdf5_start(path) is None else "it is an HDF5 file, as MATLAB's .mat are"
        raise DataError(problem, remedy=remedy, source=source) from error
