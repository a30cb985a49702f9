"""A net with its weights as a file of ONNX, which other programs run without Caffe."""

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence

from caffe_pylayers.commands.export.onnx.graph import Tensor
from caffe_pylayers.commands.export.onnx.model_file import OPSET, write_model
from caffe_pylayers.commands.export.onnx.net import graph_of
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.files.output_file import output_file


@dataclass(frozen=True)
class OnnxExport:
    """A file that was written. checked_by: the version of onnx whose checker took it; "" if `unchecked` says why none did."""

    path: str
    inputs: List[Tensor]
    outputs: List[Tensor]
    num_nodes: int
    num_weights: int
    left_out: List[str]
    checked_by: str = ""
    unchecked: str = ""
    opset: int = OPSET

    @property
    def meta(self) -> Dict[str, Any]:
        """What there is to know of it, for JSON."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        shapes = {
            side: {each.name: list(map(_plain, each.shape)) for each in tensors} for side, tensors in sides.items()
        }
        checked = {"checked_by": self.checked_by or None, "left_out": self.left_out}
        return {"output": self.path, "opset": self.opset, "nodes": self.num_nodes, **shapes, **checked}


def export_onnx(
    net: str, weights: str, path: str, shapes: Optional[Mapping[str, Sequence[int]]] = None, blobs: Sequence[str] = ()
) -> OnnxExport:
    """Write a net (or a solver's) in TEST, with the weights of a file, for any number of samples.

    shapes: (channels, height, width) of blobs that the net does not say. blobs: those that come out; none: those that no layer
    takes. Raises ConfigError and DataError, as for a layer that has no counterpart; nothing is written then.
    """
    graph, left_out = graph_of(net, weights, shapes or {}, blobs)
    num_weights = sum(value.size for value in graph.constants.values() if value.dtype.kind == "f")
    written = OnnxExport(path, graph.inputs, graph.outputs, len(graph.nodes), num_weights, left_out)
    with output_file(path) as partial:
        write_model(graph, partial)
        del graph  # the checker reads all weights once more
        checked_by, unchecked = _check(partial)
    return replace(written, checked_by=checked_by, unchecked=unchecked)


def _check(path: str) -> "tuple[str, str]":
    """The version of onnx whose checker takes the file; "" and why there is none."""
    try:
        import onnx
        import onnx.checker
    except Exception as error:  # it may also be broken beside the user's protobuf
        return "", f"`import onnx` fails: {error}"
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        found = f"onnx {onnx.__version__} refuses the model: {error}"
        raise ConfigError(found, remedy="it is a fault of this program: please report it with the net") from error
    return onnx.__version__, ""


def _plain(size: Any) -> Any:
    return size if isinstance(size, int) else str(size)
