"""A data layer that feeds one record again and again, each time with what else is drawn: samplers Record0, Record1, ..."""

from typing import Any, Dict, Tuple

import numpy as np

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.layer_net import with_options
from caffe_pylayers.config.param_str import parse
from caffe_pylayers.errors import ConfigError, DataError

_PREFIX = "Record"

#: Options that choose records, or stand for one that cannot be read.
_SAMPLING = ("type", "shuffle", "classes_per_batch", "samples_per_class", "on_error")


def of_record(layer: Layer, record: int) -> Layer:
    """The same layer, which feeds this record only. Raises ConfigError for a layer whose samples are not single images of ours."""
    options: Any = config.load(layer.own, layer.python[2]) if layer.own else None
    if options is None or options.images != ("data",):
        raise ConfigError(
            f"{layer.own or layer.python[1] or layer.type} does not feed single images by options of this package",
            remedy="--augment is for ImageDataLayer, MultiLabelDataLayer and ImageMapDataLayer: choose one with --layer",
            source=layer.described,
        )
    values = {name: value for name, value in parse(layer.python[2]).items() if name not in _SAMPLING}
    tops = layer.tops
    if getattr(options, "sources", None) is not None:
        tops = tops[: len(tops) - options.domain]
        values, record = _of_one_source(options, values, record)
    values.update(batch_size=options.batch_size, sampler=f"{__name__}:{_PREFIX}{record}")
    return with_options(layer, values, tops)


def _of_one_source(options: Any, values: Dict[str, Any], record: int) -> Tuple[Dict[str, Any], int]:
    """The options of a layer that reads only the source that a record of a mixture is of, and the number that it has there."""
    from caffe_pylayers.data.sources import source_of  # here, so that others need no source

    source: Any = source_of(options, images=False)
    if record >= len(source):
        raise DataError(
            f"it has no record {record}", remedy=f"its records are 0 to {len(source) - 1}", source=source.described
        )
    part = options.sources[int(source.number_of(record))]
    names, of_mixture = type(options).option_names(), {"sources", "per_batch", "domain", *type(part).model_fields}
    others = {name: value for name, value in values.items() if names[name] not in of_mixture}
    own = part.model_dump(include=part.model_fields_set - {"weight"})
    return {**others, **own}, source.place(record)[1]


def __getattr__(name: str) -> Any:
    number = name[len(_PREFIX) :]
    if not (name.startswith(_PREFIX) and number.isdigit()):
        raise AttributeError(name)

    class Sampler:
        def __init__(self, labels: Any, options: Any) -> None:
            self._shape = (options.batch_size, 1)

        def batch(self, batch: int) -> np.ndarray:
            return np.full(self._shape, int(number))

    return Sampler
