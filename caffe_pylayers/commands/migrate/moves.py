"""What a layer of a fork becomes: the type and the fields that take the place of its own."""

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from caffe_pylayers import config
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.prototxt import Field, Message, Word
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.config.facts import Facts
from caffe_pylayers.config.schema import Options
from caffe_pylayers.errors import ConfigError


@dataclass(frozen=True)
class Move:
    """What takes the place of a layer's type, and of its fields of the names in `gone`.

    before: a layer that stands before it and has its bottoms, so that it works in place on that one's top. no_options: fields that
    say nothing here. files: lists that must be written, by their names.
    """

    type: str
    fields: Sequence[Field] = ()
    gone: Sequence[str] = ()
    before: Optional[Message] = None
    no_options: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Message:
        """Its `python_param`; an empty one if it is a layer of Caffe's."""
        return Message(list(self.fields)).message("python_param")


def own_of_fields(layer: Layer) -> str:
    """The layer of this package that a layer of Caffe's is in a fork, by a field or a bottom that Caffe's has not; "" if it is Caffe's."""
    for name, schema in SCHEMAS.items():
        fields = schema.fork_fields.get(layer.type, ())
        if any(each in param for param in layer.params.values() for each in fields):
            return name
        if schema.twin == layer.type and len(layer.bottoms) == len(_without_weights(schema)) + 1:
            return name
    return ""


def as_own(layer: Layer, own: str, blobs: Optional[int] = None) -> Move:
    """The layer of a fork as the layer `own` of this package. blobs: how many it has in trained weights, if that is known.

    Raises ConfigError if the fork's may be another one, or says what no option says.
    """
    schema = SCHEMAS[own]
    twice = [name for name in layer.params if len(layer.message.all(name)) > 1]
    if twice:
        raise ConfigError(f"field {twice[0]!r} is given twice", remedy="write all of it in one")
    params = {name: _values(param) for name, param in layer.params.items()}
    if schema.without_blob is not None and not params and blobs is not None:
        own = own if blobs else _name_of(schema.without_blob)
        schema = SCHEMAS[own]
    else:
        another = schema.in_place_of_fork(len(layer.bottoms), bool(params))
        if another:
            raise ConfigError(f"it may be another {layer.type} than the layer of caffe_pylayers", remedy=another)
    names = schema.option_names()
    given = schema.options_of_fork(layer.type, params)
    lists = {name for name, option in schema.described()["properties"].items() if option.get("type") == "array"}
    options = {name: _listed(value, names[name] in lists) for name, value in given.items() if name in names}
    meant = {} if layer.type in schema.fork_fields or layer.type == schema.twin else _meant(schema, layer)
    if layer.type == schema.twin and len(layer.bottoms) > len(_without_weights(schema)):
        meant = {"normalize_by": "count"}  # as the fork for weighted samples divides
    for name, value in meant.items():
        options.setdefault(name, value)
    written = [*(_of_a_loss(layer) if schema.is_loss() else ()), python_param(own, repr(options) if options else "")]
    return Move("Python", written, tuple(params), no_options=[name for name in given if name not in names])


def checked(move: Move, layer: Layer) -> Move:
    """The move, if the layer of this package takes its options, bottoms and tops. Raises ConfigError if not."""
    if move.no_options:
        found = ", ".join(map(repr, move.no_options))
        problem = f"its layer here has no option {found}"
        raise ConfigError(problem, remedy="take the field out if the net does without")
    own = str(move.python.get("layer", ""))
    if not own:
        return move
    options = config.load(own, str(move.python.get("param_str", "")))
    bottoms_of(own, options, len(layer.bottoms))
    tops_of(own, options, len(layer.tops) + sum(each.name == "top" for each in move.fields))
    return replace(move, fields=[_with_effect(each, own, options) for each in move.fields])


def _with_effect(field: Field, own: str, options: Options) -> Field:
    """A `python_param` without the options that have no effect, of which there would be a warning."""
    if field.name != "python_param" or not isinstance(field.value, Message) or not options.warnings:
        return field
    given = config.parse(str(field.value.get("param_str", "")))
    names, fields = options.option_names(), type(options).model_fields
    kept = {
        name: value
        for name, value in given.items()
        if value == fields[names[name]].default or getattr(options, names[name]) != fields[names[name]].default
    }
    return python_param(own, repr(kept)) if kept != given else field


def python_param(own: str, param_str: str) -> Field:
    """The `python_param` of a layer of this package."""
    values = {"module": "caffe_pylayers", "layer": own, **({"param_str": param_str} if param_str else {})}
    return Field("python_param", Message([Field(name, value, 0) for name, value in values.items()]), 0)


def _name_of(schema: Type[Facts]) -> str:
    return next(name for name, each in SCHEMAS.items() if each is schema)


def _without_weights(schema: Type[Options]) -> List[str]:
    """The bottoms of a schema without options, but for its sample weights."""
    return [name for name in schema.model_construct().bottom_names() if name != "[sample_weight]"]


def _meant(schema: Type[Options], layer: Layer) -> Dict[str, Any]:
    return schema.meant_by_fork(layer.type, len(layer.bottoms))


def _values(param: Message) -> Dict[str, Any]:
    """Its fields: a list for what is given several times, a dict for a message."""
    values = {
        name: [_value(each) for each in param.all(name)] for name in dict.fromkeys(each.name for each in param.fields)
    }
    return {name: each if len(each) > 1 else each[0] for name, each in values.items()}


def _listed(value: Any, wanted: bool) -> Any:
    """The value of an option, as a list of one if it must be one and the net gives it once."""
    return [value] if wanted and not isinstance(value, list) else value


def _value(value: Any) -> Any:
    if isinstance(value, Message):
        return _values(value)
    return {"true": True, "false": False}.get(value, str(value)) if isinstance(value, Word) else value


def _of_a_loss(layer: Layer) -> List[Field]:
    """What a loss of Caffe's may lack, but a Python layer may not."""
    written: List[Field] = []
    if not layer.tops:
        written.append(Field("top", layer.name or "loss", 0))
    if "loss_weight" not in layer.message:
        written += [Field("loss_weight", weight, 0) for weight in (1, *[0] * (len(layer.tops) - 1))]
    return written
