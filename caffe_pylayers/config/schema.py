"""What the options of every layer have in common: :class:`Options`, and the types that several of them use."""

import functools
import os
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Type,
    Union,
)

from pydantic import (
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
from typing_extensions import Annotated

from caffe_pylayers.blob_limits import LARGEST_NUMBER, SMALLEST_NUMBER, in_range
from caffe_pylayers.config.facts import Facts
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.spelling import spell


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


class Options(Facts):
    """The options of one layer: a field per option, with its type, range, default and help; and all else that is true of it.

    A field may have other names: ``Field(..., json_schema_extra={"aliases": ["root_folder"]})``. It may be a dict with
    options of its own: then its type is a class of this kind, or a union with one. Messages call them 'resize.width'.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    _warnings: Tuple[Remark, ...] = PrivateAttr(())

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
        """The options that are dicts with options of their own, and the entries of those that are lists of such."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            several = {f"{name}[{number}]": each for number, each in enumerate(value)} if type(value) is tuple else {}
            yield from ((place, each) for place, each in {name: value, **several}.items() if isinstance(each, Options))

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
        return {name: path for name, path in values.items() if isinstance(path, str) and os.path.isabs(path)}

    def plugins(self) -> Dict[str, str]:
        """The options that name code of the user's, and the 'module:name' that each has."""
        return {name: place for name, place in self._of_format("plugin").items() if place and ":" in place}

    def _of_format(self, form: str) -> Dict[str, Any]:
        """The options that may have a format of the JSON Schema, those in dicts too, with their values."""
        own = {name: getattr(self, name) for name in _names_of_format(type(self), form)}
        inside = (
            ({f"{place}.{name}": value for name, value in each._of_format(form).items()})
            for place, each in self._dicts()
        )
        return {name: value for found in (own, *inside) for name, value in found.items()}

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
