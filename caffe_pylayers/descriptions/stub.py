"""netspec.pyi, which tells editors and type checkers the functions of :mod:`caffe_pylayers.netspec`.

    python -m caffe_pylayers.descriptions.stub

writes it again, beside netspec.py.
"""

import os

from caffe_pylayers import ALIASES, LAYERS
from caffe_pylayers.descriptions.functions import documentation_of, signature_of
from caffe_pylayers.files.output_file import output_file

PATH = os.path.join(os.path.dirname(os.path.dirname(__file__)), "netspec.pyi")

_HEAD = '''\
"""The types of caffe_pylayers.netspec, made of the schemas by `python -m caffe_pylayers.descriptions.stub`."""

import os
from typing import Any, Literal, Sequence

from caffe.net_spec import Top

Path = str | os.PathLike[str]

__all__: list[str]
'''


def stub() -> str:
    """The text of netspec.pyi."""
    aliases = "".join(f"\n{alias} = {layer}\n" for alias, layer in ALIASES.items())
    return _HEAD + "".join(map(_function, LAYERS)) + aliases


def _function(layer: str) -> str:
    signature = signature_of(layer)
    parameters = "".join(f"    {parameter},\n" for parameter in signature.parameters.values()).replace("'", '"')
    body = documentation_of(layer).replace("\\", "\\\\").replace("\n", "\n    ").replace("\n    \n", "\n\n")
    return f'\ndef {layer}(\n{parameters}) -> {signature.return_annotation}:\n    """{body}\n    """\n'


if __name__ == "__main__":
    with output_file(PATH) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(stub())
