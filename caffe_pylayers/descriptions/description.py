"""What each layer takes, gives and has for options, in words and as a layer to copy: made of the schemas, without Caffe."""

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, Type

from caffe_pylayers import ALIASES, LAYERS
from caffe_pylayers.config import Options, allowed, json_schema
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError, did_you_mean, unknown

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Option:
    """One option in words. default: "required" where there is none; aliases: its other names."""

    name: str
    allowed: str
    default: str
    help: str
    aliases: Tuple[str, ...] = ()


class Variant(NamedTuple):
    """Other bottoms and tops than a layer's usual ones, and the options that make them so."""

    given: str
    bottoms: Tuple[str, ...]
    tops: Tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """One layer in words.

    twin: the layer of stock Caffe that it equals without weights, or "". forks: what it stands for in forks, in words.
    bottoms, tops: their names in order; "[x]" may be left out. holds: of a top, what its numbers are, by name.
    page: the page in docs that has more about the layer.
    """

    layer: str
    summary: str
    twin: str
    forks: Tuple[str, ...]
    bottoms: Tuple[str, ...]
    tops: Tuple[str, ...]
    holds: Dict[str, Dict[str, str]]
    page: str
    variants: Tuple[Variant, ...]
    options: Tuple[Option, ...]

    @property
    def aliases(self) -> List[str]:
        """Other names of the layer."""
        return [alias for alias, layer in ALIASES.items() if layer == self.layer]


def describe(layer: str) -> Description:
    """The description of a layer. Raises ConfigError for a name that is none, with the nearest.

    >>> describe("FocalLoss").bottoms
    ('scores', 'label', '[sample_weight]')
    """
    layer = layer_called(layer)
    schema = SCHEMAS[layer]
    bottoms, tops = _bottoms_and_tops(schema, {})
    summary = " ".join(str(schema.__doc__).split())
    return Description(
        layer=layer,
        summary=summary,
        twin=schema.twin,
        forks=(*[layer] * schema.fork_type, *_forks(schema)),
        bottoms=bottoms,
        tops=tops,
        holds=schema.holds,
        page=schema.page,
        variants=tuple(_variants(schema, {}, [(bottoms, tops)])),
        options=tuple(_options(json_schema(layer)["properties"])),
    )


def _forks(schema: Type[Options]) -> Iterator[str]:
    """The types of forks that a layer stands for besides its own name, each with what tells it from Caffe's of that name."""
    yield from schema.forks
    yield from (f"{kind} with {' or '.join(fields)}" for kind, fields in schema.fork_fields.items())
    yield from (f"{kind} beside {' or '.join(kinds)}" for kind, kinds in schema.fork_beside.items())


def layer_called(name: str) -> str:
    """The layer of that name, or whose other name it is. Raises ConfigError with the nearest name."""
    name = ALIASES.get(name, name)
    if name in LAYERS:
        return name
    guess = did_you_mean(name, [*ALIASES, *LAYERS], 0.5)
    problem, remedy = unknown(f"no layer {name!r}", guess, f"Layers: {', '.join(LAYERS)}")
    raise ConfigError(problem, remedy=remedy)


def names_in_words(names: Sequence[str]) -> str:
    """Bottoms or tops as the docs write them.

    >>> names_in_words(["scores", "label", "[sample_weight]"]), names_in_words([])
    ('scores, label [, sample_weight]', 'none')
    """
    words = "".join(f" [, {name[1:-1]}]" if name.startswith("[") else f", {name}" for name in names)
    return words[2:] or "none"


def parts_in_words(parts: Mapping[str, str]) -> str:
    """The numbers that a top holds.

    >>> parts_in_words({"active": "fraction of triplets that are active", "norm": "mean norm"})
    'active (fraction of triplets that are active), norm (mean norm)'
    """
    return ", ".join(f"{name} ({what})" for name, what in parts.items())


def is_loss(layer: str) -> bool:
    """Whether a layer's first top is a loss, which wants a `loss_weight`."""
    return SCHEMAS[layer].is_loss()


def layer_to_copy(layer: str) -> str:
    """A layer as prototxt, with what it needs, and with the options that most nets give it."""
    schema = SCHEMAS[layer]
    bottoms, tops = _bottoms_and_tops(schema, schema.example)
    if not bottoms and tops[1:2] == ("[label]",):  # nobody trains on images without labels
        tops = (tops[0], "label", *tops[2:])
    name = "train_data" if not bottoms else _WORDS.sub("_", layer).lower()
    parts = [f'name: "{name}"', 'type: "Python"']
    parts += [f'bottom: "{bottom}"' for bottom in bottoms if not bottom.startswith("[")]
    parts += [f'top: "{top}"' for top in tops if not top.startswith("[")]
    lines = [f"  {'  '.join(parts)}"] + (["  loss_weight: 1"] if is_loss(layer) else [])
    lines.append(f'  python_param {{\n    module: "caffe_pylayers"  layer: "{layer}"')
    if schema.example:
        lines.append(f'    param_str: "{schema.example!r}"')
    return "\n".join(["layer {", *lines, "  }", "}"]) + "\n"


def _options(described: Dict[str, Any], place: str = "") -> Iterator[Option]:
    """Each option, and behind one that may be a dict those of the dict; of a list of dicts those that the layer does not have itself."""
    for name, option in described.items():
        default = _default(option["default"]) if "default" in option else "required"
        yield Option(place + name, allowed(option), default, option["description"], tuple(option.get("aliases", ())))
        for choice in option.get("anyOf", [option]):
            yield from _options(choice.get("properties", {}), f"{place}{name}.")
            inside = choice.get("items", {}).get("properties", {})
            yield from _options({own: inside[own] for own in inside if own not in described}, f"{place}{name}[].")


def _default(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


_BottomsAndTops = Tuple[Tuple[str, ...], Tuple[str, ...]]


def _bottoms_and_tops(schema: Type[Options], values: Dict[str, Any]) -> _BottomsAndTops:
    """Bottoms and tops under some options, which need not be complete."""
    options = schema.model_construct(None, **values)
    return tuple(options.bottom_names()), tuple(options.top_names())


def _variants(schema: Type[Options], given: Dict[str, Any], known: List[_BottomsAndTops]) -> Iterator[Variant]:
    """Other bottoms and tops than those `known`: options are tried one by one, and beside each that changes them all others."""
    for name, values in _tried(schema):
        found: Dict[_BottomsAndTops, List[Any]] = {}
        for value in values:
            found.setdefault(_bottoms_and_tops(schema, {**given, name: value}), []).append(value)
        for blobs, same in found.items():
            if name not in given and blobs not in known:
                known.append(blobs)
                words = [_given(option, [value]) for option, value in given.items()]
                yield Variant(", ".join([*words, _given(name, same)]), *blobs)
                yield from _variants(schema, {**given, name: same[0]}, known)


def _tried(schema: Type[Options]) -> Iterator[Tuple[str, List[Any]]]:
    """Options that take few values, and values for them; for a path, any path."""
    for name, option in schema.described()["properties"].items():
        choices = option.get("anyOf", [option])
        values = [value for choice in choices for value in choice.get("enum", ())]
        values += [True, False] if any(choice.get("type") == "boolean" for choice in choices) else []
        values += ["..."] if any(choice.get("format") == "path" for choice in choices) else []
        if values:
            yield name, values


def _given(name: str, values: Sequence[Any]) -> str:
    return f"'{name}': {' or '.join('...' if value == '...' else repr(value) for value in values)}"
