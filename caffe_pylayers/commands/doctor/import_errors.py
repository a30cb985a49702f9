"""Why an import fails, or a program does not start: from the text of the error to what to do."""

import re
import shlex
import sys
from dataclasses import dataclass
from typing import Callable, Tuple

from caffe_pylayers.commands.doctor import extension

#: "3.11" of this Python.
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def pip(arguments: str) -> str:
    """The command line of this Python's pip."""
    return f"{shlex.quote(sys.executable)} -m pip {arguments}"


@dataclass(frozen=True)
class Cause:
    """An error by its text. found, remedy: templates; {1} is the first group of the pattern."""

    pattern: str
    found: str
    remedy: str
    see: str = ""
    applies: Callable[["re.Match[str]"], bool] = lambda match: True

    def of(self, match: "re.Match[str]") -> Tuple[str, str, str]:
        groups = ("", *(group or "" for group in match.groups()))
        return self.found.format(*groups), self.remedy.format(*groups), self.see


#: What is compiled against NumPy 1 does not run with NumPy 2. opencv-python 4.12 would bring NumPy 2 back.
NUMPY_1 = pip("install 'numpy<2' 'opencv-python<4.12'")
SEE_NUMPY = '"numpy.core.multiarray failed to import", or "module compiled using NumPy 1.x cannot be run in NumPy 2"'

#: The first that fits is it.
CAUSES = (
    Cause(
        r"compiled using NumPy 1\.x cannot be run in\s+NumPy (\d\S*)",
        "it is compiled against NumPy 1, but NumPy {1} is installed",
        NUMPY_1,
        SEE_NUMPY,
    ),
    Cause(  # Cython's words: 96 bytes is NumPy 1's dtype, 88 is NumPy 2's
        r"numpy\.dtype size changed, .*Expected 96 from C header, got 88",
        "it is compiled against NumPy 1, but NumPy 2 is installed",
        NUMPY_1,
        SEE_NUMPY,
    ),
    Cause(
        r"module (?:was )?compiled against (?:NumPy C-)?API version 0x\w+ (?:\(NumPy \S+\) )?but",
        "it is compiled against a newer NumPy than the one that is installed",
        pip("install --upgrade numpy"),
        '"module was compiled against NumPy C-API version ..."',
    ),
    Cause(  # of the second try: pycaffe's io.py drops the error of the first
        r"Descriptors cannot (?:not )?be created directly|duplicate file name caffe/proto/caffe\.proto",
        "its caffe_pb2.py is from a protobuf compiler before 3.19, and the protobuf package here refuses it",
        pip("install 'protobuf<3.21'") + "; or, slower: export PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python",
        '"Descriptors cannot be created directly" from `caffe_pb2.py`',
    ),
    Cause(
        r"cannot import name 'builder' from 'google\.protobuf\.internal'",
        "its caffe_pb2.py is from a protobuf compiler that is newer than the protobuf package here",
        pip("install --upgrade 'protobuf>=3.20'"),
    ),
    Cause(
        r"Detected incompatible Protobuf Gencode/Runtime versions.*?gencode (\S+) runtime (\S+)",
        "its caffe_pb2.py is from protobuf {1}, but the protobuf package here is older, {2}",
        pip("install --upgrade protobuf"),
    ),
    Cause(
        r"No module named '?google",
        "the protobuf package is missing",
        pip("install protobuf"),
    ),
    Cause(
        r"No module named '?caffe\._caffe",
        f"there is no _caffe.so for Python {VERSION} in it: pycaffe is not compiled, or is compiled for another Python",
        "in Caffe's folder: `make pycaffe` (CMake: `make install`), with PYTHON_INCLUDE and PYTHON_LIB of this Python",
    ),
    Cause(
        r"(libpython(\d\.\d+)\S*): cannot open shared object file",
        f"it is compiled for Python {{2}} ({{1}} is not found); this is Python {VERSION}",
        "use Python {2}, or compile pycaffe for this one",
        '"is built for Python 3.8, but ... is Python 3.11"',
        lambda match: match[2] != VERSION,
    ),
    Cause(
        r"(libboost_python3?(\d*)\S*): cannot open shared object file",
        "{1} is not found: Boost was replaced by another version, or it is for another Python",
        "install the Boost that Caffe was compiled with, or compile Caffe again",
        '"libboost_python311.so...: cannot open shared object file", and the like, after a system upgrade',
    ),
    Cause(
        r"(lib(?:cuda|cudart|cublas|cudnn|curand|cusolver|cufft|nccl|nvrtc|nvidia)\S*): cannot open shared object file",
        "{1} is not found: a library of CUDA",
        "export LD_LIBRARY_PATH=/usr/local/cuda/lib64:$LD_LIBRARY_PATH (the folder that has it)",
        '"libcudart.so...: cannot open shared object file"',
    ),
    Cause(
        r"(lib(?:GL|gthread|glib|SM|Xext|Xrender)\b\S*): cannot open shared object file",
        "{1} is not found: opencv-python needs this system library",
        "apt-get install libgl1 libglib2.0-0; or "
        + pip("uninstall -y opencv-python")
        + " && "
        + pip("install 'opencv-python-headless<4.12'"),
        '"ImportError: libGL.so.1: cannot open shared object file" from `import cv2`',
    ),
    Cause(
        r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file",
        "the shared library {1} is not found",
        "install the package that has it, or add its folder to LD_LIBRARY_PATH; after a system upgrade compile Caffe again",
        '"libboost_python311.so...: cannot open shared object file", and the like, after a system upgrade',
    ),
    Cause(
        r"version `?'?((?:GLIBCXX|GLIBC|CXXABI)_[\w.]+)'? not found",
        "it needs {1}, but the libstdc++ or libc that is loaded first (often conda's) does not have it",
        "conda install -c conda-forge 'libstdcxx-ng>=12'; or start without conda's lib folder in LD_LIBRARY_PATH",
    ),
    Cause(
        r"(file too short|invalid ELF header|killed by SIGBUS)",
        "the file is damaged ({1}): a copy or build that was cut short",
        "copy or compile it again",
    ),
    Cause(
        r"site-packages/(?!caffe/)(\w+)/\S+: undefined symbol: (\w+)",
        f"symbol {{2}} is missing: this release of {{1}} does not run in Python {VERSION}",
        pip("install --force-reinstall --no-deps {1}")
        + f"; if that does not help, install an older release: the newest may "
        f"need a newer Python than {VERSION}",
    ),
    Cause(
        r"undefined symbol: (\w+)",
        "symbol {1} is missing: it was compiled against other versions of its libraries, or another Python",
        f"compile Caffe again with the libraries that are installed now (Python {VERSION})",
    ),
    Cause(
        r"does not define (?:module export|init) function",
        "its _caffe.so is compiled for Python 2",
        f"compile pycaffe for Python {VERSION}",
    ),
    Cause(
        r"No module named 'encodings'",
        "the Python inside takes its standard library from another Python",
        "set PYTHONHOME to the prefix of the Python that Caffe is linked with",
        "The `caffe` program dies on start with \"No module named 'encodings'\", or numpy fails to import in it only",
    ),
    Cause(
        r"Unknown layer type: Python",
        "it was built without Python layers",
        "set `WITH_PYTHON_LAYER := 1` in Makefile.config (CMake: `-DBUILD_python_layer=ON`) and build it again",
        '"Unknown layer type: Python"',
    ),
    Cause(
        r"SyntaxError: (Missing parentheses in call to 'print')",
        "it is written for Python 2",
        "use the pycaffe of Caffe 1.0 or later",
    ),
    Cause(
        r"killed by SIGILL",
        "it has instructions that this processor does not know",
        "compile it on this machine",
    ),
    Cause(
        r"(killed by SIG(?:SEGV|ABRT))",
        "the import crashes ({1}): often because a process has two versions of one library",
        f"compile Caffe again with the libraries that are installed now (Python {VERSION})",
    ),
    Cause(
        r"No module named '?((\w+)\.[\w.]+)",
        f"{{1}}, a part of {{2}}, is missing for Python {VERSION}: it was installed for another Python, or is cut short",
        pip("install --force-reinstall --no-deps {2}"),
    ),
    Cause(
        r"No module named '?(\w+)",
        "it needs the module {1}, which is not installed",
        pip("install {1}"),
    ),
)

#: Modules whose package has another name.
_PACKAGES = {"skimage": "scikit-image", "google.protobuf": "protobuf", "yaml": "PyYAML", "cv2": "opencv-python"}


def requirement(package: str) -> str:
    """The package as pip should be told it, so that the Caffe here goes on working."""
    if package == "numpy" and extension.numpy_of(extension.compiled()) == 1:
        return "'numpy<2'"
    if package == "protobuf" and extension.of_old_protobuf(extension.compiled()):
        return "'protobuf<3.21'"
    if package == "lmdb" and sys.version_info < (3, 9):
        return "'lmdb<2'"
    return "'opencv-python<4.12'" if package == "opencv-python" else package


def requirement_of(module: str) -> str:
    """The package that has a module, as pip should be told it."""
    return requirement(_PACKAGES.get(module, module))


def explain(text: str, last_line: str) -> Tuple[str, str, str]:
    """(what is wrong, the remedy, a heading of troubleshooting) of an error's text; its last line where none fits."""
    for cause in CAUSES:
        match = re.search(cause.pattern, text, re.DOTALL)
        if match and cause.applies(match):
            found, remedy, see = cause.of(match)
            for module in (*_PACKAGES, "numpy", "protobuf", "lmdb"):
                remedy = re.sub(rf"(?<=[ ]){module}$", requirement_of(module), remedy)
            return found, remedy, see
    return last_line, "", ""
