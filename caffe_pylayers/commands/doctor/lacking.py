"""What pycaffe imports and is not installed, all of it at once: an import stops at the first."""

import ast
import contextlib
import importlib.util
import os
from typing import Iterator, List

from caffe_pylayers.commands.doctor.import_errors import requirement_of


def lacking(pycaffe: str) -> List[str]:
    """The modules that the package `caffe` in a folder needs and that are not there, by the source of what it imports."""
    needed, own = set(), ["__init__"]
    for name in own:  # it grows meanwhile
        for root, module in _imports(os.path.join(pycaffe, *name.split(".")) + ".py"):
            if root != "caffe":
                needed.add("google.protobuf" if root == "google" else root)
            elif module not in own:
                own.append(module)
    return [name for name in sorted(needed) if not _is_there(name)]


def packages(modules: List[str]) -> str:
    """The packages that have them, as pip should be told."""
    return " ".join(map(requirement_of, modules))


def _imports(path: str) -> Iterator["tuple[str, str]"]:
    """What a file of pycaffe imports at its top: the package, and the module in it. None where it cannot be read."""
    with contextlib.suppress(OSError, SyntaxError, ValueError), open(path, "rb") as file:
        for node in ast.parse(file.read()).body:
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            if isinstance(node, ast.ImportFrom):
                base = f"{'caffe' * bool(node.level)}.{node.module or ''}".strip(".")
                names = [base] if node.module else [f"{base}.{name}" for name in names]
            for name in names:
                root, _, module = name.partition(".")
                yield root, module


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of `google` above `google.protobuf`
        return False
