"""Where a layer finds the arrays of Caffe's blobs: in the host's memory, or on the GPU.

Caffe's Python layers run on the CPU, in GPU mode too: `blob.data` is then copied from the GPU, and what is written
there is copied back. With CuPy installed, and Caffe built for GPUs and in GPU mode, the layers of this package that have
bottoms take the blobs' GPU memory as it is, so nothing is copied.
"""

import contextlib
import ctypes
import functools
import glob
import logging
import os
import sys
import threading
from typing import Any, ContextManager, Iterator, List, Optional

import caffe
import numpy as np

from caffe_pylayers.layers.synced_memory import read_on_gpu
from caffe_pylayers.processes.gpu import built_for_gpus

Array = Any  # of NumPy or CuPy

log = logging.getLogger("caffe_pylayers")


class Host:
    """NumPy arrays on the blobs' host memory."""

    xp: Any = np

    @classmethod
    def data(cls, blob: Any) -> Array:
        return blob.data if blob.count else _empty(cls.xp, blob)

    read = data

    @classmethod
    def diff(cls, blob: Any) -> Array:
        return blob.diff if blob.count else _empty(cls.xp, blob)

    @staticmethod
    def of(blob: Any) -> ContextManager[None]:
        """Nothing: the host is where Python computes."""
        return _NOTHING


class Cuda:
    """CuPy arrays on the blobs' GPU memory.

    A blob whose array was taken by `data` counts as changed on the GPU: whoever reads or writes it in host memory next has it
    copied. By `read` it does not. A blob last written in host memory, such as the labels of a Python data layer, is
    copied to the GPU first, as for any loss of Caffe's own.
    """

    def __init__(self, cupy: Any) -> None:
        self.xp = cupy

    def data(self, blob: Any) -> Array:
        return self._view(blob, blob._gpu_data_ptr) if blob.count else _empty(self.xp, blob)

    def read(self, blob: Any) -> Array:
        return self._view(blob, read_on_gpu(blob)) if blob.count else _empty(self.xp, blob)

    def diff(self, blob: Any) -> Array:
        return self._view(blob, blob._gpu_diff_ptr) if blob.count else _empty(self.xp, blob)

    @contextlib.contextmanager
    def of(self, blob: Any) -> Iterator[None]:
        """While it lasts CuPy computes on the GPU that has the blob, and in Caffe's order.

        The GPU is the one that Caffe was told to use, which need not be CuPy's current one. Caffe computes on the
        legacy default stream. So does CuPy by itself, and its other streams and the default streams of threads wait
        for that one, but for those that are made with `non_blocking`.
        """
        cuda = self.xp.cuda
        with contextlib.ExitStack() as stack:
            if blob.count:
                stack.enter_context(cuda.Device(cuda.runtime.pointerGetAttributes(read_on_gpu(blob)).device))
            stack.enter_context(cuda.Stream.null)
            yield

    def _view(self, blob: Any, pointer: int) -> Array:
        """The array float32 at `pointer`, of the blob's shape. It must not outlive the blob's memory."""
        cuda = self.xp.cuda
        memory = cuda.UnownedMemory(pointer, blob.count * 4, blob)
        return self.xp.ndarray(tuple(blob.shape), np.float32, cuda.MemoryPointer(memory, 0))


def _empty(xp: Any, blob: Any) -> Array:
    """An array for a blob without elements, for which there may be no memory: Caffe aborts when asked for it."""
    return xp.empty(tuple(blob.shape), np.float32)


HOST = Host()
_NOTHING = contextlib.nullcontext()


def current() -> Any:
    """Where layers shall compute now: `Cuda` in GPU mode if CuPy is there, `HOST` otherwise."""
    return _cuda() if built_for_gpus() and gpu_mode() else HOST


@functools.lru_cache(maxsize=None)
def _cuda() -> Any:
    """`Cuda`, or `HOST` where CuPy is not installed; where it is and cannot be imported, that is said once."""
    _load_compiler()
    try:
        import cupy
    except Exception as error:
        if not isinstance(error, ModuleNotFoundError) or error.name != "cupy":
            log.warning(
                f"CuPy is installed but cannot be imported, so layers compute on the CPU in GPU mode: {type(error).__name__}: {error}"
            )
        return HOST
    return Cuda(cupy)


def _load_compiler() -> None:
    """Load the compiler that CuPy needs for its kernels, NVRTC, where pip has installed it: no loader looks there."""
    for folder in sys.path:
        for library in glob.glob(os.path.join(folder, "nvidia", "*", "lib", "libnvrtc.so.*")):
            with contextlib.suppress(OSError):
                ctypes.CDLL(library, ctypes.RTLD_GLOBAL)


def in_ordinary_memory() -> bool:
    """Whether blobs that are made now are in memory of the C library's, not of the GPU's driver."""
    return not built_for_gpus() or not gpu_mode()


def gpu_mode() -> bool:
    """Whether Caffe is in GPU mode, in this thread.

    Stock Caffe can be told its mode and not asked: we read it where Caffe keeps it. False where that is not found.
    """
    if not hasattr(_found, "mode"):
        _found.mode = _find_mode()
    return _found.mode is not None and _found.mode.value == 1


_found = threading.local()  # as Caffe's own state is


def _find_mode() -> Optional[ctypes.c_int]:
    """The word of memory in which this thread's Caffe keeps its mode: the one that setting the mode changes.

    The mode is as it was afterwards. Where it is not found, in a Caffe that is not stock, it is GPU.
    """
    try:
        state_of = ctypes.CDLL(caffe._caffe.__file__)["_ZN5caffe5Caffe3GetEv"]  # caffe::Caffe::Get()
    except (OSError, AttributeError):
        return None
    state_of.restype = ctypes.c_void_p
    # The mode comes after a pointer of two words or, in a build for GPUs, four.
    words = (ctypes.c_int * 9).from_address(state_of())
    before = list(words)
    changed = _words_of_mode(words)
    for i in changed:
        words[i] = before[i]
    if len(changed) != 1 or before[changed[0]] not in (0, 1):
        log.warning(
            "this Caffe does not store its mode in the same place as stock Caffe, so layers run on the CPU in GPU mode too"
        )
        return None
    return ctypes.c_int.from_buffer(words, 4 * changed[0])


def _words_of_mode(words: Any) -> List[int]:
    """Which words turn from 0 to 1 as the mode turns from CPU to GPU, in which it is left."""
    caffe.set_mode_cpu()
    on_cpu = list(words)
    caffe.set_mode_gpu()
    return [i for i in range(len(words)) if on_cpu[i] == 0 and words[i] == 1]
