"""A graph as a file of ONNX, by the field numbers of onnx.proto: written without onnx or protobuf.

So nothing has to be installed beside the user's Caffe, and the weights go from one file to the other as they are.
"""

import struct
from typing import Any, List, Union

import numpy as np

from caffe_pylayers import __version__
from caffe_pylayers.caffe_files.datum import varint, varint_field
from caffe_pylayers.commands.export.onnx.graph import Graph, Node, Rows, Tensor
from caffe_pylayers.errors import ConfigError

#: The operators are those of this version, which runtimes of 2020 and later know.
OPSET = 13
_IR_VERSION = 7

#: The types of tensors: TensorProto.DataType.
_FLOAT, _INT64 = 1, 7
_LARGEST = (1 << 31) - 1  # bytes of a message of protobuf

Parts = List[Union[bytes, memoryview]]


def write_model(graph: Graph, path: str) -> None:
    """Write the file. Raises ConfigError where it would be larger than protobuf allows."""
    parts = _model(graph)
    total = _length(parts)
    if total > _LARGEST:
        found = f"the model has {total} bytes, but a file of ONNX has at most {_LARGEST}"
        raise ConfigError(found, remedy="export parts of the net with --blob")
    with open(path, "wb") as file:
        file.writelines(parts)


def _model(graph: Graph) -> Parts:
    fields: Parts = []
    for node in graph.nodes:
        fields += _message(1, _node(node))
    fields += _text(2, graph.name)
    for constant, value in graph.constants.items():
        fields += _message(5, _tensor(constant, value))
    for number, tensors in ((11, graph.inputs), (12, graph.outputs)):
        for tensor in tensors:
            fields += _message(number, _value_info(tensor))
    opset = _message(8, [*_text(1, ""), varint_field(2, OPSET)])
    about = {"opset": str(OPSET), "made_by": f"caffe-pylayers {__version__}"}
    metadata = [part for key, value in about.items() for part in _message(14, [*_text(1, key), *_text(2, value)])]
    producer = [*_text(2, "caffe-pylayers"), *_text(3, __version__)]
    return [varint_field(1, _IR_VERSION), *producer, *_message(7, fields), *opset, *metadata]


def _node(node: Node) -> Parts:
    parts = [part for name in node.inputs for part in _text(1, name)]
    parts += [part for name in node.outputs for part in _text(2, name)]
    parts += _text(3, node.outputs[0]) + _text(4, node.op)
    for name, value in node.attributes.items():
        parts += _message(5, [*_text(1, name), *_attribute(value)])
    return parts


def _attribute(value: Any) -> Parts:
    """The value of an attribute, and its type: AttributeProto.AttributeType."""
    if isinstance(value, float):
        return [varint(2 << 3 | 5) + struct.pack("<f", value), varint_field(20, 1)]
    if isinstance(value, int):
        return [varint_field(3, value), varint_field(20, 2)]
    if isinstance(value, str):
        return [*_text(4, value), varint_field(20, 3)]
    return [*(varint_field(8, int(each)) for each in value), varint_field(20, 7)]


def _tensor(name: str, value: np.ndarray) -> Parts:
    kind, dtype = (_INT64, "<i8") if value.dtype.kind == "i" else (_FLOAT, "<f4")
    numbers = np.ascontiguousarray(value, dtype).reshape(-1).view(np.uint8).data
    dims: Parts = [varint_field(1, size) for size in value.shape]
    return [*dims, varint_field(2, kind), *_text(8, name), *_message(9, [numbers])]


def _value_info(tensor: Tensor) -> Parts:
    dims: Parts = []
    for size in tensor.shape:
        dims += _message(1, _text(2, str(size)) if isinstance(size, Rows) else [varint_field(1, size)])
    tensor_type = [varint_field(1, _FLOAT), *_message(2, dims)]
    return [*_text(1, tensor.name), *_message(2, _message(1, tensor_type))]


def _text(number: int, text: str) -> Parts:
    return _message(number, [text.encode("utf-8", "replace")])


def _message(number: int, parts: Parts) -> Parts:
    """A field with a message, or with bytes."""
    return [varint(number << 3 | 2) + varint(_length(parts)), *parts]


def _length(parts: Parts) -> int:
    return sum(map(len, parts))
