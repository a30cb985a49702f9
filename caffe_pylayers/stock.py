"""The Caffe that is there, and nets of one layer in it."""

import os
import tempfile
from typing import Any, Optional

from caffe_pylayers import ALIASES, config
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.nets import TRAIN, Layer
from caffe_pylayers.prototxt import Field, Message, text_of
from caffe_pylayers.signature import tops_of


def import_caffe() -> Any:
    """The module `caffe`, whose log is quiet below errors unless GLOG_minloglevel says otherwise.

    Raises ConfigError where it cannot be imported.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")  # read once, at the import
    try:
        import caffe
    except Exception as error:  # a shared library that is missing, another NumPy: whatever its import may raise
        raise ConfigError(
            f"this needs Caffe, and `import caffe` fails: {type(error).__name__}: {error}; `caffe-pylayers doctor` says why"
        ) from error
    return caffe


def net_of_layer(layer: Layer, phase: str = TRAIN, **options: Any) -> Any:
    """A `caffe.Net` of nothing but this data layer, to look at what it feeds.

    options: of a layer of this package, set in its param_str. Raises ConfigError or DataError as the layer does.
    """
    caffe = import_caffe()
    message = with_options(layer, **options).message if options else layer.message
    kept = [field for field in message.fields if field.name not in ("include", "exclude")]
    text = text_of(Message([Field("layer", Message(kept), 1)]))
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        return caffe.Net(file.name, getattr(caffe, phase))


def layer_of(kind: str, param_str: str, tops: Optional[int] = None) -> Layer:
    """The data layer that options alone describe, as in `layer_of("TripletDataLayer", "{'source': 'train.csv'}")`.

    tops: how many it is to have; by default those that it must have. They are named as in docs/data.md, the layer
    `train_data`. Raises ConfigError for an unknown layer, one that needs bottoms, and wrong options.
    """
    kind = ALIASES.get(kind, kind)
    options = config.load(kind, param_str)
    if options.bottom_names():
        raise ConfigError(
            f"{kind} is no data layer: it needs bottoms, {', '.join(options.bottom_names())}; give a net with it"
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


def with_options(layer: Layer, **options: Any) -> Layer:
    """The layer with these options set in its param_str; None takes one away."""
    _, kind, param_str = layer.python
    values = {**config.parse(param_str), **options}
    kept = {name: value for name, value in values.items() if value is not None}
    config.validate(kind, kept)
    python = layer.message.message("python_param")
    param = [field for field in python.fields if field.name != "param_str"]
    param.append(Field("param_str", repr(kept), python.line))
    fields = [field for field in layer.message.fields if field.name != "python_param"]
    fields.append(Field("python_param", Message(param, python.line), python.line))
    return Layer(Message(fields, layer.line), layer.file)
