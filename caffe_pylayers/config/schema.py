"""What the options of every layer have in common: :class:`Options`, and the types that several of them use."""

import functools
import os
import re
from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Optional,
    Sequence,
    Tuple,
    Type,
    Union,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)
from typing_extensions import Annotated, get_args, get_origin

from caffe_pylayers.blob_limits import LARGEST_NUMBER, SMALLEST_NUMBER, in_range
from caffe_pylayers.config.sizes import Shapes, Sizes
from caffe_pylayers.errors import ConfigError, in_words


def _absolute(value: Any, check: Callable[[Any], str]) -> str:
    """A path from the root on. pydantic's own check has no place for bytes that are not UTF-8, but a path may have them."""
    return os.path.abspath(value if value and isinstance(value, str) else check(value))


#: A path of a file or folder; the checked object holds it absolute, resolved against the working directory.
Path = Annotated[
    str,
    StringConstraints(min_length=1),
    WrapValidator(_absolute),
    WithJsonSchema({"type": "string", "format": "path"}),
]

#: A number of at least 0 for each class, or the file that has them.
PerClass = Union[Tuple[Annotated[float, Field(ge=0)], ...], Path]

#: A column of the source, or a path, which `data.sources.annotations` resolves.
ColumnOrPath = Annotated[str, StringConstraints(min_length=1)]
#: The same, or several columns.
ColumnsOrPath = Union[ColumnOrPath, Tuple[ColumnOrPath, ...]]

# Options that several layers have.
IgnoreLabel = Annotated[Optional[int], Field(description="Label that is left out, an integer; none: no label is.")]
IgnoreNan = Annotated[
    bool, Field(description="Targets that are NaN are missing values, and left out; false: an error.")
]
Seed = Annotated[int, Field(ge=0, lt=2**63, description="Seed of the random draws, at least 0.")]
Stream = Annotated[int, Field(ge=0, lt=2**63, description="Random stream, at least 0: give each layer another one.")]
IterSize = Annotated[int, Field(ge=1, description="The solver's iter_size, at least 1: forward passes per iteration.")]
Resume = Annotated[
    bool,
    Field(
        description="Keep the position in a blob of the net, so that a restored run continues from there; "
        "needs param { lr_mult: 0 decay_mult: 0 }."
    ),
]

_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def spell(kind: Any, value: Any) -> Any:
    """Return ``value`` as an option of type ``kind`` spells it; what cannot be that is returned as it is.

    >>> spell(float, "1e-3"), spell(int, 7.0), spell(bool, "True"), spell(Literal["RANDOM"], "random")
    (0.001, 7, True, 'RANDOM')
    """
    origin, members = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return spell(members[0], value)
    if origin is Union:
        if type(None) in members and isinstance(value, str) and value.lower() in ("none", "null"):
            return None
        spelled = (spell(member, value) for member in members)
        return next((new for new in spelled if new is not value), value)
    if origin is tuple and isinstance(value, (list, tuple)):  # the entries of a tuple are of one type here
        return tuple(spell(members[0], entry) for entry in value)
    if origin is dict and isinstance(value, dict):  # whose keys JSON has as text
        entries = {spell(members[0], key): spell(members[1], entry) for key, entry in value.items()}
        return entries if len(entries) == len(value) else value
    if isinstance(value, str):
        if origin is Literal:
            return next((name for name in members if name.lower() == value.lower()), value)
        if kind is bool:
            return {"true": True, "false": False}.get(value.lower(), value)
        if kind is int and re.fullmatch("[-+]?(0|[1-9][0-9]{0,300})", value):
            return int(value)
        if kind in (int, float) and _NUMBER.fullmatch(value):
            return spell(kind, float(value))
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True)
class Remark:
    """What is wrong with options or tops, or worth a warning: the options that it depends on, what was found, what to do.

    >>> str(Remark(("scale", "weights"), "options 'scale' and 'weights' are both given", "leave one out"))
    "options 'scale' and 'weights' are both given; leave one out"
    """

    names: Tuple[str, ...]
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        return in_words(self.problem, self.remedy)

    def within(self, place: str) -> "Remark":
        """The same of the options of a dict: `place` stands before their names.

        >>> str(Remark(("width",), "option 'width' has no effect").within("resize."))
        "option 'resize.width' has no effect"
        """
        texts = [self.problem, self.remedy]
        for name in self.names:
            texts = [text.replace(f"'{name}'", f"'{place}{name}'") for text in texts]
        return Remark(tuple(place + name for name in self.names), *texts)

    def error(self, layer: str) -> ConfigError:
        """The error that it is of a layer."""
        return ConfigError(self.problem, remedy=self.remedy, layer=layer, option=self.names[0] if self.names else "")


class Options(BaseModel):
    """The options of one layer: a field per option, with its type, range, default and help; and all else that is true of it.

    A field may have other names: ``Field(..., json_schema_extra={"aliases": ["root_folder"]})``. It may be a dict with
    options of its own: then its type is a class of this kind, or a union with one. Messages call them 'resize.width'.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    _warnings: Tuple[Remark, ...] = PrivateAttr(())

    #: The bottoms that the layer takes and the tops that it gives, in order; "[x]" for one that may be missing. A bottom
    #: `label` has numbers of classes, as many as `scores` or `prob` before it; a first top `loss` is a loss.
    takes: ClassVar[Tuple[str, ...]] = ()
    gives: ClassVar[Tuple[str, ...]] = ()
    #: The numbers of a top that are not all of one kind, in order: their names, and what each is.
    holds: ClassVar[Dict[str, Dict[str, str]]] = {}
    #: The layer of Caffe that it equals without weights, of which what is said here is true too.
    twin: ClassVar[str] = ""
    #: The types of layers in forks of Caffe that it stands for, besides one of its own name.
    forks: ClassVar[Tuple[str, ...]] = ()
    #: The type of Caffe's that it has inside for its first bottoms, and for how many, so that none stands before them.
    inside: ClassVar[str] = ""
    num_inside: ClassVar[int] = 1
    #: Whether its bottom `target` may have numbers of classes too: fewer than there are scores.
    target_or_label: ClassVar[bool] = False
    #: Whether targets that are neither 0 nor 1 are left out.
    leaves_out_others: ClassVar[bool] = False
    #: Whether its first top has numbers of its first bottom, all or some, or such as lie between them (`mixes`).
    keeps_values: ClassVar[bool] = False
    #: The page in docs that has more about the layer.
    page: ClassVar[str] = "losses.md"
    #: What is wrong if a test has another number of batches than its `restart_every`.
    if_restart_differs: ClassVar[str] = "a test does not begin at the first batch"
    #: The options of the layer to copy that `describe` and docs/layers.md show: what is required, what most nets want.
    example: ClassVar[Dict[str, Any]] = {}

    @classmethod
    def described(cls) -> Dict[str, Any]:
        """The JSON Schema, in which the schemas of dicts stand whole where they are used."""
        schema = cls.model_json_schema()
        found: Dict[str, Any] = _inlined(schema, schema.pop("$defs", {}))
        return found

    @classmethod
    def option_names(cls) -> Dict[str, str]:
        """The option that each name means: its own, and its other names."""
        described = cls.described()["properties"]
        return {alias: name for name in described for alias in (name, *described[name].get("aliases", ()))}

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        """The options that a fork's layer of this type, with so many bottoms, means without saying so."""
        return {}

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        """What to write where a fork's layer of the same name is another layer; "" where it is this one.

        It is told by how many bottoms it has, and by whether it has a parameter with fields.
        """
        return ""

    def bottom_names(self) -> Sequence[str]:
        """The bottoms, which may depend on the options."""
        return self.takes

    def implied_bottoms(self, optional: int) -> Optional[Sequence[str]]:
        """Which of the bottoms that may be missing so many are, where neither their number nor `bottoms` says it; None: not known."""
        return None

    def bottom_problems(self, names: Sequence[str]) -> Iterator[Remark]:
        """Yield what is wrong with the bottoms that the net gives, where their number does not say it."""
        yield from ()

    def top_names(self) -> Sequence[str]:
        """The tops, which may depend on the options."""
        return self.gives

    def top_problems(self, found: int) -> Iterator[Remark]:
        """Yield what is wrong with so many tops, where a range of numbers does not say it."""
        yield from ()

    @classmethod
    def is_loss(cls) -> bool:
        """Whether the first top is a loss, which wants a `loss_weight`."""
        return cls.gives[:1] == ("loss",)

    def has_inside(self) -> Sequence[str]:
        """The types of Caffe's of which it has one inside, as `inside` says, or the options."""
        return (self.inside,)

    def works_in_place(self) -> bool:
        """Whether the first top may be the blob of the first bottom; it has its shape then."""
        return False

    def parts(self, top: str) -> Sequence[str]:
        """The names of the numbers of a top, which may depend on the options; none if they are of one kind."""
        return tuple(self.holds.get(top, ()))

    def mixes(self, bottom: Sequence[int], top: Sequence[int]) -> bool:
        """Whether numbers of the first top lie between those of the first bottom. bottom, top: their shapes."""
        return False

    def sizes(self, shapes: Shapes) -> Sizes:
        """How many numbers a bottom may have, by name, of those that the layer does not look at before its first forward."""
        return {}

    def takes_targets(self, num_labels: int, num_scores: int) -> bool:
        """Whether so many labels of a sample are targets, 0, 1 or -1, for its scores, and not numbers of classes."""
        return False

    def num_blobs(self) -> int:
        """How many parameter blobs the layer has: by default that of its position."""
        return int(getattr(self, "resume", False))

    def counts_iterations(self) -> bool:
        """Whether anything that the layer does depends on the number of the iteration, and so on `iter_size`."""
        return False

    def conflicts(self) -> Iterator[Remark]:
        """Yield what is wrong between options that are right one by one.

        The names are those of every option that a conflict depends on: it is not shown where one of them is wrong by
        itself.
        """
        yield from ()

    def problems(self) -> List[Remark]:
        """Return what is wrong with the options that a schema cannot say: numbers that float32 cannot hold, and conflicts."""
        return [*self._beyond_float32(), *self.conflicts()]

    def _beyond_float32(self) -> Iterator[Remark]:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            zero = "" if any(getattr(rule, "gt", None) == 0 for rule in field.metadata) else "0, or "
            numbers = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            for number in numbers:
                if isinstance(number, float) and not in_range(number):
                    rule = f"must be {zero}from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g} in size"
                    yield Remark((name,), f"option {name!r} {rule}, not {number:g}: Caffe computes in float32")
                    break

    def idle(self) -> Iterator[Tuple[str, str]]:
        """Yield each given option that has no effect, and why: where ... (see :meth:`without_effect`).

        It gets a warning, and its default, so that nothing reads it. Options that contradict each other are
        :meth:`conflicts`.
        """
        yield from ()

    def remarks(self) -> Iterator[Remark]:
        """Yield what to warn of in options that have an effect, but not all that they ask for."""
        yield from ()

    @property
    def warnings(self) -> Tuple[Remark, ...]:
        """What is accepted without having the effect that it asks for, for the layer to log."""
        return (*self._warnings, *(text.within(f"{name}.") for name, inner in self._dicts() for text in inner.warnings))

    def _dicts(self) -> Iterator[Tuple[str, "Options"]]:
        """The options that are dicts with options of their own."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        yield from ((name, value) for name, value in values if isinstance(value, Options))

    def given(self, name: str) -> bool:
        """Return whether the param_str sets this option (to something else than none)."""
        return name in self.model_fields_set and getattr(self, name) is not None

    def changed(self, *names: str) -> Iterator[str]:
        """Yield those of the options whose value is not the default."""
        fields = type(self).model_fields
        yield from (name for name in names if getattr(self, name) != fields[name].default)

    def without_effect(self, names: Iterable[str], where: str) -> Iterator[Tuple[str, str]]:
        """Yield each of these options that is given, for :meth:`idle`; ``where`` names what makes it meaningless."""
        yield from ((name, where) for name in names if self.given(name))

    def paths(self) -> Dict[str, str]:
        """The options that hold a path, and the absolute path that each has."""
        values = self._of_format("path")
        inside = {f"{name}.{own}": path for name, inner in self._dicts() for own, path in inner.paths().items()}
        return {
            **{name: path for name, path in values.items() if isinstance(path, str) and os.path.isabs(path)},
            **inside,
        }

    def plugins(self) -> Dict[str, str]:
        """The options that name code of the user's, and the 'module:name' that each has."""
        return {name: place for name, place in self._of_format("plugin").items() if place and ":" in place}

    def _of_format(self, form: str) -> Dict[str, Any]:
        """The options that may have a format of the JSON Schema, with their values."""
        return {name: getattr(self, name) for name in _names_of_format(type(self), form)}

    @field_validator("*", mode="before")
    @classmethod
    def _spell(cls, value: Any, info: ValidationInfo) -> Any:
        return spell(cls.model_fields[str(info.field_name)].annotation, value)

    @field_validator("*", mode="after")
    @classmethod
    def _keep(cls, value: Any, info: ValidationInfo) -> Any:
        if info.context is not None:  # of validate(): the options that are right, where others are wrong
            info.context[info.field_name] = value
        return value

    @model_validator(mode="after")
    def _refuse_conflicts(self) -> "Options":
        problems = self.problems()
        if problems:
            raise ValueError("\n".join(map(str, problems)))
        idle = dict(self.idle())
        without = [
            Remark((name,), f"option {name!r} has no effect, because {idle[name]}", "leave it out") for name in idle
        ]
        # Its blob stays: Caffe aborts on a layer that has a `param` and no blob.
        self.__dict__.update({name: type(self).model_fields[name].default for name in idle if name != "resume"})
        # Those of a dict are there already: it comes here again with the options that it is one of.
        self._warnings = self._warnings or (*without, *self.remarks())
        return self


def out_of_order(bottoms: Optional[Sequence[str]], *order: str) -> Iterator[Remark]:
    """What is wrong with an option `bottoms`: it names those that are there in their order."""
    given = list(bottoms or ())
    if given != [name for name in order if name in given]:
        rule = f"option 'bottoms' must have each name once, in the order {', '.join(order)}, not {given}"
        yield Remark(("bottoms",), rule)


@functools.lru_cache(maxsize=None)
def _names_of_format(kind: Type[Options], form: str) -> Sequence[str]:
    properties = kind.described()["properties"].items()
    return [
        name for name, schema in properties if any(each.get("format") == form for each in schema.get("anyOf", [schema]))
    ]


def _inlined(part: Any, schemas: Dict[str, Any]) -> Any:
    """A part of a JSON Schema with the schemas that it refers to in their places; what stands beside a reference counts more."""
    if isinstance(part, list):
        return [_inlined(each, schemas) for each in part]
    if not isinstance(part, dict):
        return part
    if len(part.get("allOf", ())) == 1:  # as pydantic before 2.9 refers
        part = {**part["allOf"][0], **{name: value for name, value in part.items() if name != "allOf"}}
    if "$ref" in part:
        referred = schemas[part["$ref"].rpartition("/")[2]]
        part = {**referred, **{name: value for name, value in part.items() if name != "$ref"}}
    return {name: _inlined(value, schemas) for name, value in part.items()}
