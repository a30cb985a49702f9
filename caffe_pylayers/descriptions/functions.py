"""The functions of :mod:`caffe_pylayers.netspec`: their signatures, their help, and what they do."""

import inspect
import os
import warnings
from typing import Any, Callable, Dict, Iterator, List, Sequence

from caffe_pylayers import config
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.descriptions import describe, is_loss, names_in_words
from caffe_pylayers.errors import ConfigError, did_you_mean, nearest
from caffe_pylayers.processes.stock import import_caffe

#: What a call may say of the layer itself, by keyword, and its type; the rest are options.
_FIELDS = {
    "ntop": "int | None",
    "name": "str | None",
    "loss_weight": "float | Sequence[float] | None",
    "param": "dict[str, Any] | list[dict[str, Any]] | None",
    "include": "dict[str, Any] | list[dict[str, Any]] | None",
    "exclude": "dict[str, Any] | list[dict[str, Any]] | None",
    "propagate_down": "Sequence[bool] | None",
    "in_place": "bool",
}

_FROZEN = {"lr_mult": 0, "decay_mult": 0}


def function_of(layer: str) -> Callable[..., Any]:
    """The function that makes such a layer."""

    def function(*blobs: Any, **options: Any) -> Any:
        fields = {name: options.pop(name) for name in _FIELDS if name in options}
        return _made(layer, blobs, options, {name: value for name, value in fields.items() if value is not None})

    function.__name__ = function.__qualname__ = layer
    function.__module__ = "caffe_pylayers.netspec"
    function.__doc__ = documentation_of(layer)
    function.__signature__ = signature_of(layer)  # type: ignore[attr-defined]
    return function


def signature_of(layer: str) -> inspect.Signature:
    """Bottoms in order, then options and fields of the layer by name, those that are required first."""
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("blobs", inspect.Parameter.VAR_POSITIONAL, annotation=_Shown("Top"))]
    options = config.json_schema(layer)["properties"]
    for name in sorted(options, key=lambda name: "default" in options[name]):
        default = options[name].get("default", inspect.Parameter.empty)
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=_Shown(_type_of(options[name]))))
    for name, type_name in _FIELDS.items():
        default = False if type_name == "bool" else None
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=_Shown(type_name)))
    tops = "Top" if len(describe(layer).tops) == 1 else "Any"  # else a Top, or a tuple of them, by ntop
    return inspect.Signature(parameters, return_annotation=_Shown(tops))


def documentation_of(layer: str) -> str:
    """The docstring of a layer's function."""
    described = describe(layer)
    lines = [described.summary, ""]
    lines.append(f"bottoms: {names_in_words(described.bottoms)}")
    lines.append(f"tops: {names_in_words(described.tops)}")
    for given, bottoms, tops in described.variants:
        lines.append(f"with {given}: {names_in_words(bottoms)} -> {names_in_words(tops)}")
    if described.options:
        lines += ["", *(f"{option.name}: {option.help}" for option in described.options)]
    return "\n".join(lines)


class _Shown:
    """A type by the words that a signature shows."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


def _type_of(schema: Dict[str, Any]) -> str:
    """The Python type of what a JSON Schema allows."""
    return " | ".join(dict.fromkeys(_types_of(schema)))


def _types_of(schema: Dict[str, Any]) -> Iterator[str]:
    if "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from _types_of(choice)
    elif "const" in schema:
        yield type(schema["const"]).__name__
    elif "enum" in schema:
        yield f"Literal[{', '.join(map(repr, schema['enum']))}]"
    elif schema["type"] == "array":
        yield f"Sequence[{_type_of(schema['items'] if 'items' in schema else schema['prefixItems'][0])}]"
    elif schema["type"] == "object":
        yield (
            f"dict[Any, {_type_of(schema['additionalProperties'])}]" if "properties" not in schema else "dict[str, Any]"
        )
    elif schema.get("format") == "path":
        yield "Path"
    else:
        yield {"integer": "int", "number": "float", "boolean": "bool", "null": "None", "string": "str"}[schema["type"]]


def _made(layer: str, blobs: Sequence[Any], given: Dict[str, Any], fields: Dict[str, Any]) -> Any:
    """The layer's Top, or a tuple of its tops. Raises ConfigError for whatever Caffe would refuse later."""
    caffe = import_caffe()
    _check_blobs(layer, blobs, given, caffe.net_spec.Top)
    _check_fields(layer, given)
    values = {name: _plain(value) for name, value in given.items()}
    config.validate(layer, values)
    param_str = repr(values)
    options = config.load(layer, param_str)  # as Caffe will read it
    for text in options.warnings:
        warnings.warn(f"{layer}: {text}", stacklevel=3)  # at the line that calls the layer's function
    bottoms_of(layer, options, len(blobs))
    if fields.get("in_place") and not options.works_in_place():
        raise ConfigError(
            "it does not work in place", remedy="leave in_place out; then its top is a separate blob", layer=layer
        )
    needed = [top for top in options.top_names() if not top.startswith("[")]
    ntop = fields.pop("ntop", len(needed))
    if type(ntop) is not int:
        raise ConfigError(f"ntop must be an integer, not {ntop!r}", layer=layer)
    tops_of(layer, options, ntop)
    if is_loss(layer) or "loss_weight" in fields:
        fields["loss_weight"] = _loss_weights(layer, fields.get("loss_weight", 1), ntop)
    if options.keeps():
        frozen = options.num_frozen()
        fields.setdefault("param", [{"lr_mult": 1}] * (options.num_blobs() - frozen) + [dict(_FROZEN)] * frozen)
        if not blobs:  # Caffe aborts where another net's layer has the same name and no such blob: no net calls one so
            fields.setdefault("name", "train_data")
    if values:
        fields["param_str"] = param_str
    return caffe.layers.Python(*blobs, module="caffe_pylayers", layer=layer, ntop=ntop, **fields)


def _check_blobs(layer: str, blobs: Sequence[Any], given: Dict[str, Any], top: type) -> None:
    names = [name.strip("[]") for name in describe(layer).bottoms]
    for name, value in given.items():
        if isinstance(value, top):
            example = ", ".join(f"n.{bottom}" for bottom in names)
            raise ConfigError(
                f"{name!r} is a Top: give bottoms first, without names, as in {layer}({example})", layer=layer
            )
    for number, blob in enumerate(blobs):
        if not isinstance(blob, top):
            what = names[number] if number < len(names) else "one too many"
            raise ConfigError(
                f"bottom {number + 1} ({what}) must be a Top, such as n.{names[0] if names else 'data'}, not {blob!r}",
                remedy="options are given by name",
                layer=layer,
            )


def _check_fields(layer: str, given: Dict[str, Any]) -> None:
    """Raise ConfigError where what is meant for the layer itself is spelled wrong, before it is taken for an option."""
    options = config.json_schema(layer)["properties"]
    for name in given:
        if name not in options and nearest(name, [*_FIELDS, *options], 0.7) in _FIELDS:
            raise ConfigError(f"no argument {name!r}", remedy=did_you_mean(name, _FIELDS, 0.7), layer=layer)


def _loss_weights(layer: str, weights: Any, ntop: int) -> List[float]:
    """One a top: a number is that of the first."""
    each = list(weights) if isinstance(weights, (list, tuple)) else [weights] + [0] * (ntop - 1)
    if len(each) != ntop:
        raise ConfigError(
            f"loss_weight has {len(each)} numbers, but ntop is {ntop}", remedy="give one for each top", layer=layer
        )
    return each


def _plain(value: Any) -> Any:
    """A value as a param_str can hold it: paths are text, NumPy's arrays and numbers are lists and Python's numbers."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value
