"""Whether the BLAS of Caffe knows this processor. An OpenBLAS that is older computes as for one of 2004, two to three times slower."""

import ctypes
import os
import re
from typing import Dict, NamedTuple, Optional, Set

#: Kernels of OpenBLAS for processors with no more than SSE.
_WITHOUT_AVX = (
    *("katmai", "coppermine", "northwood", "prescott", "banias", "atom", "core2", "penryn", "dunnington", "nehalem"),
    *("athlon", "opteron", "opteron_sse3", "barcelona", "bobcat"),
)
_AVX512 = frozenset(f"avx512{part}" for part in ("f", "cd", "bw", "dq", "vl"))


class Slow(NamedTuple):
    """An OpenBLAS that takes the kernels of an old processor. core: whose. coretype: the OPENBLAS_CORETYPE that it needs."""

    version: str
    core: str
    coretype: str

    @property
    def found(self) -> str:
        return f"OpenBLAS {self.version} does not know this processor and computes as for a {self.core}, two to three times slower"

    @property
    def remedy(self) -> str:
        return f"export OPENBLAS_CORETYPE={self.coretype}"


def slow_openblas() -> Optional[Slow]:
    """What is wrong with the OpenBLAS that Caffe has loaded into this process; None where nothing is, or where there is none."""
    for path in _loaded():
        library = ctypes.CDLL(path)
        core, config = (_text(library, f"openblas_get_{what}") for what in ("corename", "config"))
        version = re.search(r"OpenBLAS (\d+)\.(\d+)\.(\d+)", config)
        if version is None or "DYNAMIC_ARCH" not in config or core.lower() not in _WITHOUT_AVX:
            continue
        flags = processor_flags()
        if flags >= _AVX512 and tuple(map(int, version.groups())) >= (0, 3, 10):
            return Slow(".".join(version.groups()), core, "SkylakeX")
        if flags >= {"avx2", "fma"}:
            return Slow(".".join(version.groups()), core, "Haswell")
    return None


def coretype() -> Dict[str, str]:
    """The variable for programs with Caffe to be started, if they need it and the user has not set it."""
    slow = None if os.environ.get("OPENBLAS_CORETYPE") else slow_openblas()
    return {} if slow is None else {"OPENBLAS_CORETYPE": slow.coretype}


def _loaded() -> Set[str]:
    """The files of BLAS that this process has loaded, but for those that NumPy and SciPy bring for themselves."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        files = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "blas" in line}
    return {
        file
        for file in files
        if os.path.basename(file).startswith("lib") and ".libs/" not in file and os.path.exists(file)
    }


def _text(library: ctypes.CDLL, function: str) -> str:
    """What a function of OpenBLAS says; "" where another BLAS has none of that name."""
    try:
        asked = library[function]
    except AttributeError:
        return ""
    asked.restype = ctypes.c_char_p
    return (asked() or b"").decode(errors="replace")


def processor_flags() -> Set[str]:
    """What this processor can do, by Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((set(line.split(":", 1)[1].split()) for line in file if line.startswith("flags")), set())
    except OSError:
        return set()
