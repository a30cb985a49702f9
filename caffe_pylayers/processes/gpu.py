"""The GPUs that Caffe can use, asked before Caffe is told to use one: it aborts where it cannot."""

import ctypes
import functools
from typing import Any, Tuple

from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes.stock import import_caffe


@functools.lru_cache(maxsize=None)
def built_for_gpus() -> bool:
    """Whether this Caffe has code for GPUs."""
    return hasattr(import_caffe()._caffe.Blob, "_gpu_data_ptr")


def no_gpu() -> str:
    """Why a Caffe that is built for GPUs finds none, in CUDA's words; "" for one that is not, where it finds one, or cannot be asked."""
    return _visible()[1] if built_for_gpus() else ""


def use_gpu(number: int) -> None:
    """Put Caffe into GPU mode, on the GPU of that number. Raises ConfigError where Caffe would abort.

    The GPU is chosen before anything asks Caffe for its state, which takes memory on the GPU that is current then.
    """
    caffe = import_caffe()
    if not built_for_gpus():
        raise ConfigError(
            f"GPU {number} is requested, but this Caffe is built without GPU support",
            remedy="leave --gpu out, and set solver_mode: CPU",
        )
    count, why = _visible()
    if why or not _works(number):
        others = f"; this machine shows {count}, numbered from 0" if count else ""
        raise ConfigError(
            f"GPU {number} is requested, but CUDA cannot use it: {why or 'it refuses'}{others}",
            remedy="see that `nvidia-smi` shows it, that its driver is not older than the CUDA of this Caffe, and what CUDA_VISIBLE_DEVICES says; or leave --gpu out, and set solver_mode: CPU",
        )
    caffe.set_device(number)
    caffe.set_mode_gpu()


def _works(number: int) -> bool:
    """What Caffe's own test of a GPU says; True for a Caffe that has none."""
    try:
        check = _libraries()["_ZN5caffe5Caffe11CheckDeviceEi"]  # caffe::Caffe::CheckDevice(int)
    except AttributeError:
        return True
    check.restype = ctypes.c_bool
    return bool(check(number))


def _visible() -> Tuple[int, str]:
    """How many GPUs CUDA sees, and where there is none why; 0 and "" for a Caffe that keeps the CUDA runtime for itself."""
    try:
        cuda = _libraries()
        count, ask, name = ctypes.c_int(0), cuda["cudaGetDeviceCount"], cuda["cudaGetErrorString"]
    except AttributeError:
        return 0, ""
    name.restype = ctypes.c_char_p
    error = ask(ctypes.byref(count))
    if error:
        return 0, str(name(error).decode(errors="replace"))
    return count.value, "" if count.value else "no GPU is visible"


def _libraries() -> Any:
    """pycaffe, and whatever it is linked with: Caffe and the CUDA runtime."""
    return ctypes.CDLL(import_caffe()._caffe.__file__)
