"""From ``param_str`` to checked options, and every message about them.

:func:`load` reads a param_str (:mod:`caffe_pylayers.config.param_str`), checks it against the schema of its layer (a
class of :mod:`caffe_pylayers.config.catalogue`) and returns an object of that class.
"""

from typing import Any, Dict, Iterable, List, Optional, Tuple, Type

from pydantic import ValidationError
from typing_extensions import get_args

from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.config.param_str import parse, shown
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options
from caffe_pylayers.config.spelling import spell
from caffe_pylayers.errors import ConfigError, did_you_mean, unknown


def load(layer: str, param_str: str, schema: Optional[Type[Options]] = None) -> Options:
    """Return the checked options of a layer from its param_str.

    schema: of a layer of one's own; by default that of the layer of this name in the catalogue.

    :raises ConfigError: with every problem of the param_str in one message, each on a line of its own.

    >>> load("ComputeH", "{'n_classes': 7, 'scale': 'MEAN_ONE'}").scale
    'mean_one'
    """
    try:
        values = parse(param_str)
    except ConfigError as error:
        raise ConfigError(**{**error.parts, "layer": layer}) from None
    return validate(layer, values, schema)


def validate(layer: str, values: Dict[str, Any], schema: Optional[Type[Options]] = None) -> Options:
    """Return the checked options of a layer from a dict of them; arguments and errors as those of :func:`load`."""
    options, problems = _checked(schema or _schema(layer), values, "")
    if options is None:
        raise ConfigError.of([remark.error(layer) for remark in problems])
    return options


def _checked(schema: Type[Options], values: Dict[Any, Any], place: str) -> Tuple[Optional[Options], List[Remark]]:
    """The options of a dict, None where any is wrong, and all that is wrong. place: what stands before their names in messages."""
    described = schema.described()["properties"]
    written, problems = _names(schema, values, place)
    given = {name: values[key] for name, key in written.items()}
    inside: Dict[str, List[Remark]] = {}  # what is wrong in options that are dicts
    for name, value in given.items():
        inner = _schema_in(schema.model_fields[name].annotation)
        if inner is not None:
            given[name], inside[name] = _checked_inside(inner, value, f"{place}{written[name]}")
    broken = {name for name, found in inside.items() if found}
    right: Dict[str, Any] = {}
    try:
        options = schema.model_validate(
            {name: value for name, value in given.items() if name not in broken}, context=right
        )
    except ValidationError as error:
        wrong = broken.union(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
        for name in (name for name in described if name in wrong):
            problem = f"option {place + name!r} is required: {described[name]['description']}"
            if name in written:
                rule = f"option {place + written[name]!r} must be {allowed(described[name])}"
                problem = f"{rule}, not {shown(values[written[name]])}"
            problems += inside[name] if name in broken else [Remark((place + name,), problem)]
        # The rest is judged too: required options that are wrong are None there, others have their default.
        absent = {name: None for name in wrong if schema.model_fields[name].is_required()}
        rest = schema.model_construct(set(written) - wrong, **absent, **right)
        return None, problems + [remark.within(place) for remark in rest.problems() if wrong.isdisjoint(remark.names)]
    problems += [remark for name in described if name in broken for remark in inside[name]]
    return (None if problems else options), problems


def _checked_inside(schema: Type[Options], value: Any, place: str) -> Tuple[Any, List[Remark]]:
    """A dict as its options, in a list too, and what is wrong with it; another value as it is."""
    if isinstance(value, dict):
        return _checked(schema, value, f"{place}.")
    if not isinstance(value, (list, tuple)):
        return value, []
    checked = [_checked_inside(schema, each, f"{place}[{number}]") for number, each in enumerate(value)]
    return [each for each, _ in checked], [remark for _, problems in checked for remark in problems]


def _names(schema: Type[Options], values: Dict[Any, Any], place: str) -> Tuple[Dict[str, str], List[Remark]]:
    """The option that each key is, as name -> key; and what is wrong with keys: unknown ones, and those of one option."""
    names = schema.option_names()
    problems: List[Remark] = []
    wrong_names = [key for key in values if key not in names]
    for key in wrong_names:
        options_there = f"Options: {', '.join(schema.model_fields) or 'none'}" if key == wrong_names[-1] else ""
        guess = _of_caffe(str(key), names) or did_you_mean(str(key), names)
        problem, remedy = unknown(f"unknown option {shown(f'{place}{key}')}", guess, options_there)
        problems.append(Remark((f"{place}{key}",), problem, remedy))
    written: Dict[str, str] = {}
    for key in values:
        if key in names and written.setdefault(names[key], key) != key:
            first = place + written[names[key]]
            problems.append(Remark((first,), f"option {first!r} is given twice: {place + key!r} is the same option"))
    return written, problems


#: Words of Caffe's own parameters, and the option that each is here.
_WORDS_OF_CAFFE = {
    "new_height": ("resize", "'resize': [height, width]"),
    "new_width": ("resize", "'resize': [height, width]"),
    "backend": ("source_type", "'source_type': 'LMDB'"),
    "force_color": ("color", "'color': true"),
    "force_gray": ("color", "'color': false"),
    "mean_values": ("mean_value", "'mean_value': [b, g, r]"),
    "random_seed": ("seed", "'seed'"),
    "cache_images": ("compressed", "'compressed': false"),
    "ignore": ("ignore_label", "'ignore_label'"),
    "num_output": ("n_classes", "'n_classes'"),
}


def _of_caffe(name: str, known: Iterable[str]) -> str:
    """What is here in place of a word of Caffe's; "" where it is none."""
    if name.endswith("_param"):
        return f"what is in {name} is an option of its own here, without braces around it."
    option, instead = _WORDS_OF_CAFFE.get(name, ("", ""))
    return f"write {instead}." if option in known else ""


def _schema_in(kind: Any) -> Optional[Type[Options]]:
    """The schema of the dict that an option of this type may be; None where it may be none with options."""
    if isinstance(kind, type) and issubclass(kind, Options):
        return kind
    return next(filter(None, map(_schema_in, get_args(kind))), None)


def json_schema(layer: str) -> Dict[str, Any]:
    """Return the JSON Schema of a layer's options: type, range, default, description and aliases of each."""
    return _schema(layer).described()


def _schema(layer: str) -> Type[Options]:
    if layer not in SCHEMAS:
        raise ConfigError(f"no layer {layer!r}", remedy=f"layers: {', '.join(SCHEMAS)}")
    return SCHEMAS[layer]


def allowed(schema: Dict[str, Any]) -> str:
    """Return in words what a JSON Schema allows.

    >>> allowed({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'an integer of at least 1, or none'
    """
    if "anyOf" in schema:
        return ", or ".join(allowed(choice) for choice in schema["anyOf"])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(repr(name) for name in schema["enum"])
    if schema["type"] == "array":
        entries = schema.get("prefixItems")
        each = allowed(entries[0] if entries else schema["items"])
        count = len(entries) if entries else "one or more" if schema.get("minItems") else ""
        return f"a list of {count}, each {each}" if count else f"a list, each entry {each}"
    if "properties" in schema:
        return f"a dict of {', '.join(map(repr, schema['properties']))}"
    if schema["type"] == "object":
        return f"a dict, each value {allowed(schema['additionalProperties'])}"
    kinds = {"integer": "an integer", "number": "a number", "boolean": "true or false", "null": "none"}
    kind = kinds.get(schema["type"]) or _FORMATS.get(schema.get("format", ""), "text")
    limits = [f"{words} {spell(int, schema[key])}" for key, words in _LIMITS.items() if key in schema]
    return f"{kind} {' and '.join(limits)}" if limits else kind


_FORMATS = {"path": "a path", "plugin": "text such as 'module:name'"}
_LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}
