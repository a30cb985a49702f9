"""The shapes of what a deployed net takes: those that its data layers feed."""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from caffe_pylayers.caffe_files.nets import TEST, Layer
from caffe_pylayers.commands.deploy.pruning import options_of
from caffe_pylayers.commands.export.blob_shapes import Blob, shapes_of_tops
from caffe_pylayers.errors import ConfigError


def input_shapes(
    inputs: Mapping[str, Tuple[Layer, int]], given: Mapping[str, Sequence[int]], batch: Optional[int], path: str
) -> Dict[str, Sequence[int]]:
    """The shape of each input, with the samples: `batch`, by default 1, of an Input as many as it has.

    given: shapes without the samples. Where the net does not say a shape, Caffe is asked. Raises ConfigError where it cannot say it either.
    """
    for blob in given:
        if blob not in inputs:
            raise ConfigError(f"no input {blob!r}", remedy=f"inputs: {', '.join(inputs)}", option="shape", source=path)
    fed: Dict[int, Any] = {}
    shapes: Dict[str, Sequence[int]] = {}
    for blob, (layer, number) in inputs.items():
        if layer.type == "Parameter":
            raise ConfigError(
                f"its top {blob!r} is a weight, which no reader of Caffe's files takes from a layer",
                remedy="cut it off: --output with a blob before it",
                source=layer.described,
            )
        samples = batch or 1
        if layer.type == "Input" and batch is None:
            dims = layer.message.message("input_param").messages("shape")
            samples = dims[number if len(dims) > 1 else 0].all("dim")[0]
        shape = given.get(blob) or _stated(layer, number) or _by_caffe(layer, number, blob, fed)
        shapes[blob] = (samples, *shape)
    return shapes


def _stated(layer: Layer, number: int) -> Optional[Sequence[int]]:
    """The shape that the net says; None where it does not say it all."""
    known = shapes_of_tops(layer, [])[number]
    if not isinstance(known, Blob) or None in known.shape:
        return None
    return [size for size in known.shape if size is not None]


def _by_caffe(layer: Layer, number: int, blob: str, fed: Dict[int, Any]) -> Sequence[int]:
    """The shape that the layer feeds, set up by itself."""
    from caffe_pylayers.commands.layer_net import net_of_layer

    options = options_of(layer)
    if getattr(options, "sizes_differ", False):
        raise ConfigError(
            f"it feeds images of different sizes in {blob!r}",
            remedy=f"give the size that the net shall take: --shape {blob}=CHANNELS,HEIGHT,WIDTH",
            source=layer.described,
        )
    if id(layer) not in fed:
        fed[id(layer)] = net_of_layer(layer, TEST)
    return [int(size) for size in fed[id(layer)].blobs[layer.tops[number]].shape[1:]]
