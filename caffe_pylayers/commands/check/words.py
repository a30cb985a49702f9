"""Fields whose type is a string, but of which Caffe knows some values only."""

from typing import Iterator, Sequence

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Message
from caffe_pylayers.commands.check.findings import Finding, error, listed, warning
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.errors import did_you_mean

FILLERS = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")
CROP_MODES = ("warp", "square")


def check_words(layer: Layer, _: Report) -> Iterator[Finding]:
    """Caffe has the filler, and knows how to crop windows."""
    for param in layer.message.fields:
        if isinstance(param.value, Message):
            yield from _check_fillers(layer, param.name, param.value)
    mode = str(layer.message.message("window_data_param").get("crop_mode", "warp"))
    if mode not in CROP_MODES:
        problem = f"unknown crop_mode {mode!r}, which Caffe silently takes for 'warp'"
        yield warning(layer, problem, _instead(mode, CROP_MODES), "window_data_param.crop_mode")


def _check_fillers(layer: Layer, name: str, param: Message) -> Iterator[Finding]:
    for field in param.fields:
        if field.name.endswith("filler") and isinstance(field.value, Message) and _is_used(layer, param, field.name):
            kind = str(field.value.get("type", "constant"))
            if kind not in FILLERS:
                problem = f"unknown filler {kind!r} in {field.name}"
                yield error(layer, problem, _instead(kind, FILLERS), f"{name}.{field.name}.type")


def _is_used(layer: Layer, param: Message, name: str) -> bool:
    """Whether Caffe looks at a filler."""
    if name == "bias_filler":
        return param.flag("bias_term", layer.type != "Scale")
    return not (layer.type in ("Scale", "Bias") and len(layer.bottoms) > 1)


def _instead(word: str, known: Sequence[str]) -> str:
    return f"{did_you_mean(word, known)} It is one of: {listed(known)}".lstrip()
