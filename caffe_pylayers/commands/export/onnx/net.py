"""A net and its weights as a graph of ONNX."""

from typing import Dict, List, Mapping, Sequence, Set, Tuple

from caffe_pylayers.caffe_files.nets import TEST
from caffe_pylayers.caffe_files.shared_weights import weights_of
from caffe_pylayers.caffe_files.weights import LayerWeights, read_weights
from caffe_pylayers.commands.export.onnx.graph import Graph, Node, Tensor
from caffe_pylayers.commands.export.onnx.kinds import as_own, bottoms_of, kind_of, load_options, require_kinds
from caffe_pylayers.commands.export.onnx.part import part_of
from caffe_pylayers.commands.export.onnx.step import Step
from caffe_pylayers.commands.net_or_solver import net_in
from caffe_pylayers.commands.shared_memory import key, require_unchanged


def graph_of(
    path: str, weights: str, shapes: Mapping[str, Sequence[int]], wanted: Sequence[str] = ()
) -> Tuple[Graph, List[str]]:
    """The graph of a net (or of a solver's) in TEST with the weights of a file, and the layers that are left out.

    shapes: without the samples, of blobs that the net does not say. wanted: the blobs that come out; none: those that no layer
    takes. Raises ConfigError and DataError, as where a layer has no counterpart.
    """
    net, state = net_in(path, TEST)
    layers = net.in_state(state)
    part = part_of(path, layers, shapes, wanted)
    require_kinds(part.layers)
    require_unchanged(layers, set(map(key, part.layers)), part.outputs)
    found = weights_of(layers, read_weights(weights))
    names = {blob for layer in layers for blob in (*layer.bottoms, *layer.tops)}
    graph = Graph(net.name or "net", names, list(part.inputs.values()))
    blobs = dict(part.inputs)
    for each in part.layers:
        own_weights = found.get(each.name, LayerWeights(each.name))
        layer = as_own(each, layers, len(own_weights.blobs))
        bottoms = [blobs[name] for name in bottoms_of(layer)]
        step = Step(graph, layer, bottoms, own_weights, weights, load_options(layer))
        tops = kind_of(layer)(step)
        step.finish(tops)
        blobs.update(zip(layer.tops, tops))
    _name(graph, blobs, part.outputs)
    return graph, [f"{layer.name} ({layer.type})" for layer in part.left_out]


def _name(graph: Graph, blobs: Mapping[str, Tensor], outputs: Sequence[str]) -> None:
    """Give what the blobs hold at the end their names, and make the outputs.

    A layer that changes nothing gives its bottom again, so that two blobs may hold the same. A blob may come in, and be changed in place.
    """
    inputs = {tensor.name for tensor in graph.inputs}
    names: Dict[str, str] = {}
    taken: Set[str] = set(inputs)
    for blob in (*outputs, *blobs):
        tensor = blobs[blob].name
        if blob not in taken and tensor not in inputs and tensor not in names and tensor not in graph.constants:
            names[tensor] = blob
            taken.add(blob)
    graph.rename(names)
    for blob in outputs:
        tensor, shape = blobs[blob].name, blobs[blob].shape
        name = names.get(tensor, tensor)
        if name != blob or blob in inputs:
            name, given = graph.fresh(blob) if blob in inputs else blob, name
            graph.nodes.append(Node("Identity", (given,), (name,), {}))
        graph.outputs.append(Tensor(name, shape))
