"""The options of every layer, by its name: a class is the only statement of what is true of a layer, and of its options."""

import importlib
from typing import Any, Dict, Type

from caffe_pylayers import LAYERS
from caffe_pylayers.config.schema import Options


def _schema(layer: str) -> Any:
    _, module = LAYERS[layer]
    return getattr(importlib.import_module(f"caffe_pylayers.config.{module}"), f"{layer}Options")


#: The schema of every layer.
SCHEMAS: Dict[str, Type[Options]] = {layer: _schema(layer) for layer in LAYERS}
