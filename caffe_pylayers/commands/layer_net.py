"""Nets of nothing but a data layer, to look at what it feeds; data layers that options alone describe."""

import tempfile
from dataclasses import replace
from typing import Any, List, Mapping, Optional, Sequence

from caffe_pylayers import ALIASES, config
from caffe_pylayers.caffe_files.nets import TRAIN, Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message, text_of
from caffe_pylayers.commands.layer_files import refuse_special_files
from caffe_pylayers.config.bottoms_and_tops import tops_of
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.processes.probe import ask_caffe
from caffe_pylayers.processes.stock import import_caffe


def net_of_layer(layer: Layer, phase: str = TRAIN) -> Any:
    """A `caffe.Net` of nothing but this data layer, to look at what it feeds. Raises ConfigError or DataError as it does."""
    return net_of_layers([layer], phase)


def net_of_layers(layers: Sequence[Layer], phase: str = TRAIN) -> Any:
    """A `caffe.Net` of just these layers, each taken whatever its rules of phase and stage say.

    Raises ConfigError or DataError as layers of this package do, and DataError where Caffe itself would end the process
    with an error in its log, at the first forward at the latest.
    """
    caffe = import_caffe()
    refuse_special_files(layers)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", encoding="utf-8", errors="surrogateescape") as file:
        for layer in layers:
            kept = [field for field in layer.message.fields if field.name not in ("include", "exclude")]
            file.write(text_of(Message([Field("layer", Message(kept), 1)])))
        file.flush()
        if not all(layer.own for layer in layers):
            _refuse_abort(layers, file.name, getattr(caffe, phase))
        return caffe.Net(file.name, getattr(caffe, phase))


_PATIENCE = 300.0  # seconds for the first batch of a layer

_TRY = "import caffe\ncaffe.Net(sys.argv[1], int(sys.argv[2])).forward()"


def _refuse_abort(layers: Sequence[Layer], path: str, phase: int) -> None:
    """Raise DataError where Caffe aborts on a net: a process of its own tries it, for an abort would end this one."""
    tried = ask_caffe(_TRY, path, str(phase), timeout=_PATIENCE)
    names = ", ".join(layer.described for layer in layers)
    if tried.status is None:
        raise DataError(
            f"Caffe has fed nothing within {_PATIENCE:g} s",
            remedy="does it read a pipe, or does a disk hang?",
            source=names,
        )
    others = any(layer.type == "Python" and not layer.own for layer in layers)
    if tried.ok or (tried.status > 0 and not others):
        return  # an error that a layer of ours raises comes again, whole
    raise DataError(f"Caffe gives up: {tried.why_caffe_gave_up}", source=names)


def layers_behind(layers: Sequence[Layer], blob: str) -> List[Layer]:
    """Those of a net's layers that its blob is made by, in order; none where no layer has it as a top."""
    wanted, found = {blob}, []
    for layer in reversed(layers):
        if wanted & set(layer.tops):
            wanted |= set(layer.bottoms)
            found.append(layer)
    return found[::-1]


def with_options(layer: Layer, values: Mapping[str, Any], tops: Sequence[str]) -> Layer:
    """The same Python layer with other options and tops."""
    python = [field for field in layer.message.message("python_param").fields if field.name != "param_str"]
    python.append(Field("param_str", repr(dict(values)), layer.line))
    fields = [field for field in layer.message.fields if field.name not in ("python_param", "top")]
    fields += [Field("top", top, layer.line) for top in tops]
    fields.append(Field("python_param", Message(python, layer.line), layer.line))
    return replace(layer, message=Message(fields, layer.line))


def layer_of(kind: str, param_str: str, tops: Optional[int] = None) -> Layer:
    """The data layer that options alone describe, as in `layer_of("TripletDataLayer", "{'source': 'train.csv'}")`.

    tops: how many it is to have; by default those that it must have. They are named as in docs/data.md, the layer
    `train_data`. Raises ConfigError for an unknown layer, one that needs bottoms, and wrong options.
    """
    kind = ALIASES.get(kind, kind)
    options = config.load(kind, param_str)
    if options.bottom_names():
        raise ConfigError(
            f"{kind} is not a data layer: it needs bottoms, {', '.join(options.bottom_names())}",
            remedy="give a net with it",
        )
    must = [name for name in options.top_names() if not name.startswith("[")]
    names = tops_of(kind, options, len(must) if tops is None else tops)
    python = [Field("module", "caffe_pylayers", 1), Field("layer", kind, 1), Field("param_str", param_str, 1)]
    return Layer(
        Message(
            [
                Field("name", "train_data", 1),
                Field("type", "Python", 1),
                *(Field("top", name, 1) for name in names),
                Field("python_param", Message(python), 1),
            ]
        ),
        "options",
    )
