"""The layers of this package in pycaffe's NetSpec, a function each, with their options checked when they are written::

    from caffe import NetSpec
    from caffe_pylayers import netspec as P

    n = NetSpec()
    n.anchor, n.positive, n.negative = P.TripletDataLayer(source="train.txt", batch_size=64, prefetch=True)

Bottoms are given in order, options by name; `help(P.TripletDataLayer)` lists them. `ntop` says how many tops there are
(those that the layer needs, if not given); `name`, `loss_weight`, `param`, `include`, `exclude`, `propagate_down` and
`in_place` are Caffe's. A loss gets `loss_weight: 1` for its first top and 0 for others; a layer that keeps something gets
`param { lr_mult: 0 decay_mult: 0 }` for it, and a data layer with `resume=True` the name train_data, unless others are given.

Caffe is imported when the first layer is made. netspec.pyi says the same to editors and type checkers; a test keeps it
true, and `python -m caffe_pylayers.descriptions.stub` writes it again.
"""

import sys
from typing import Any, List

from caffe_pylayers import ALIASES, LAYERS
from caffe_pylayers.errors import did_you_mean, in_words, unknown

__all__ = [*LAYERS, *ALIASES]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        problem = f"module 'caffe_pylayers.netspec' has no layer {name!r}"
        known = f"Its layers: {', '.join(LAYERS)}"
        raise AttributeError(in_words(*unknown(problem, did_you_mean(name, __all__), known)))
    from caffe_pylayers.descriptions.functions import function_of  # here, for it imports the schemas of all layers

    function = getattr(sys.modules[__name__], ALIASES[name]) if name in ALIASES else function_of(name)
    return globals().setdefault(name, function)


def __dir__() -> List[str]:
    return list(__all__)
