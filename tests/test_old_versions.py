"""The package calls nothing that the oldest packages of a Caffe environment lack: those of Debian 11 and Python 3.8."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: What came later than NumPy 1.17, h5py 2.10, matplotlib 3.3 and Python 3.8, by its name.
NEWER = {
    "NumPy": {"broadcast_shapes", "sliding_window_view", "permuted", "concat", "vecdot", "bitwise_count"},
    "h5py": {"chunk_iter", "get_chunk_info", "get_chunk_info_by_coord", "get_num_chunks", "asstr"},
    "matplotlib": {
        "stairs",
        "bar_label",
        "supxlabel",
        "supylabel",
        "subplot_mosaic",
        "set_layout_engine",
    },
    "Python": {"removeprefix", "removesuffix", "unparse", "pairwise", "bit_count", "batched", "lcm", "is_relative_to"},
}
#: Functions that took more arguments later: matplotlib 3.3 takes labels of ticks for `minor`, and draws no label.
ARGUMENTS = {"set_xticks": 1, "set_yticks": 1}
#: It asks first whether it is there.
ASKS = {"caffe_pylayers/data/sources/hdf5_chunks.py": NEWER["h5py"]}


def newer_uses(source, allowed=frozenset()):
    """Name and line of all that is newer."""
    newer = set().union(*NEWER.values()) - allowed
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in newer:
            yield node.attr, node.lineno
        most = ARGUMENTS.get(getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else None
        if most is not None and len(node.args) > most:
            yield node.func.attr, node.lineno


def test_nothing_newer_is_called():
    found = {}
    for path in sorted((ROOT / "caffe_pylayers").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        uses = list(newer_uses(path.read_text(), ASKS.get(name, frozenset())))
        found.update({name: uses} if uses else {})
    assert found == {}


def test_what_is_newer_is_seen():
    lines = [
        "np.broadcast_shapes((1,), shape)",
        "plot.stairs(counts)",
        "axes.set_yticks(places, names)",
        "set_yticks(1, 2)",
    ]
    assert sorted(line for _, line in newer_uses("\n".join(lines))) == [1, 2, 3]
