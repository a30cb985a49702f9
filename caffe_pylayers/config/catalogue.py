"""The options of every layer, by its name: a class is the only statement of what is true of a layer, and of its options."""

import importlib
from typing import Iterator, Mapping, Type

from caffe_pylayers import LAYERS
from caffe_pylayers.config.schema import Options


class _Schemas(Mapping[str, Type[Options]]):
    """Each is imported when it is asked for: most nets name few layers."""

    def __getitem__(self, layer: str) -> Type[Options]:
        _, module = LAYERS[layer]
        schema: Type[Options] = getattr(importlib.import_module(f"caffe_pylayers.config.{module}"), f"{layer}Options")
        return schema

    def __iter__(self) -> Iterator[str]:
        return iter(LAYERS)

    def __len__(self) -> int:
        return len(LAYERS)


#: The schema of every layer.
SCHEMAS = _Schemas()
