"""Which of a blob's two copies is the newest, the one in host memory or that on the GPU: read where Caffe keeps it.

pycaffe hands out only pointers to write through. So a blob whose GPU memory was only read counts as changed there, and Caffe
copies it back to the host before the next number is written there: the labels of each batch, for nothing.
"""

import ctypes
import logging
from typing import Any, Dict, Optional

from caffe_pylayers.processes.gpu import built_for_gpus, no_gpu

log = logging.getLogger("caffe_pylayers")

#: Caffe's SyncedMemory::SyncedHead.
UNINITIALIZED, AT_CPU, AT_GPU, SYNCED = range(4)

# Bytes from the begin of each object, on a 64-bit machine: Boost.Python's object of a blob, its holder, caffe::Blob, caffe::SyncedMemory.
_HOLDER, _BLOB = 40, 16
_SHAPE, _COUNT = 48, 72
_CPU, _GPU, _SIZE, _HEAD = 0, 8, 16, 24


def head_of(blob: Any) -> Optional[ctypes.c_int]:
    """The word in which Caffe keeps where the newest data of a blob is; None where it is not found, in a Caffe that is not stock."""
    if not _found(type(blob), blob):
        return None
    return ctypes.c_int.from_address(_memory_of(blob) + _HEAD)


def read_on_gpu(blob: Any) -> int:
    """The address of a blob's data on the GPU, to be read only: a copy that the host has stays valid."""
    head = head_of(blob)
    before = AT_GPU if head is None else head.value
    address = int(blob._gpu_data_ptr)
    if head is not None and before in (AT_CPU, SYNCED):
        head.value = SYNCED
    return address


_known: Dict[type, bool] = {}


def _found(kind: type, blob: Any) -> bool:
    """Whether blobs of a class lie in memory as they should; looked at once, with the first of them."""
    if kind not in _known:
        _known[kind] = _lies_as_expected(blob)
        if not _known[kind]:
            log.info("blobs of this Caffe are not those of stock Caffe, so labels are copied back from the GPU")
    return _known[kind]


def _lies_as_expected(blob: Any) -> bool:
    """Compare all that pycaffe says of a blob with what is found. It is read as a file, which ends no process where nothing is."""
    data = blob.data  # from here on the newest is at the host
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:

            def word(address: int, size: int = 8) -> int:
                memory.seek(address)
                return int.from_bytes(memory.read(size), "little")

            place = word(word(id(blob) + _HOLDER) + _BLOB)
            begin, end = word(place + _SHAPE), word(place + _SHAPE + 8)
            if end - begin != 4 * len(blob.shape):
                return False
            shape = [word(begin + 4 * axis, 4) for axis in range(len(blob.shape))]
            synced = word(place)
            found = (shape, word(place + _COUNT, 4), word(synced + _CPU), word(synced + _HEAD, 4))
            if (
                found != (list(blob.shape), blob.count, data.ctypes.data, AT_CPU)
                or word(synced + _SIZE) < 4 * blob.count
            ):
                return False
            if not built_for_gpus() or no_gpu():
                return True
            on_gpu = blob._gpu_data_ptr
            return (word(synced + _GPU), word(synced + _HEAD, 4)) == (on_gpu, AT_GPU)
    except (OSError, OverflowError, ValueError):
        return False


def _memory_of(blob: Any) -> int:
    """The address of the blob's caffe::SyncedMemory, which changes where two blobs come to share their data."""

    def word(address: int) -> int:
        return ctypes.c_uint64.from_address(address).value

    return word(word(word(id(blob) + _HOLDER) + _BLOB))
