"""The options of data layers that mix several sources."""

from typing import Any, ClassVar, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from pydantic import Field, model_validator
from typing_extensions import Annotated

from caffe_pylayers.blob_limits import LARGEST_BLOB
from caffe_pylayers.config.labelled_data import LabelledDataLayerOptions
from caffe_pylayers.config.order import InOrder
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Path
from caffe_pylayers.config.source import SOURCE, LabelledSourceOptions, SampleWeights
from caffe_pylayers.config.spelling import spell
from caffe_pylayers.data.shares import ROUND_SIZE, Shares


class MixedSourceOptions(LabelledSourceOptions):
    """One of several sources. What it leaves out it takes from the options of the layer."""

    source: Path = Field(description=SOURCE)
    sample_weights: SampleWeights = None
    weight: Annotated[Optional[float], InOrder()] = Field(
        None,
        gt=0,
        description="Share of the samples that are from it in TRAIN, above 0: its part of the sum of all weights; none: its part of the "
        "records.",
    )

    def completed(self, layer: Any) -> "MixedSourceOptions":
        """The same, with what it leaves out, in which the options of the layer count as given too."""
        own, fields = self.model_fields_set, set(type(self).model_fields)
        values = {name: getattr(self if name in own or name == "weight" else layer, name) for name in fields}
        return type(self).model_construct(own | (layer.model_fields_set & fields), **values)


class MixtureOptions(LabelledDataLayerOptions):
    """What layers that can mix sources share."""

    source: Optional[Path] = Field(None, description=f"{SOURCE} Required without `sources`.")
    sample_weights: SampleWeights = None
    sources: Annotated[
        Optional[Annotated[Tuple[MixedSourceOptions, ...], Field(min_length=1)]],
        InOrder(),
    ] = Field(
        None,
        description="Several sources in place of `source`: a list of dicts. What a dict leaves out it takes from the option of that name.",
    )
    per_batch: Annotated[
        Optional[Annotated[Tuple[Annotated[int, Field(ge=1, le=LARGEST_BLOB)], ...], Field(min_length=1)]],
        InOrder(),
    ] = Field(
        None,
        description="Samples of each of `sources` in every batch, at least 1 each, one source after the other; none: by `weight`.",
    )
    domain: bool = Field(
        False, description="Feed the number of its source, from 0, of each sample in a last top `domain`, (B,)."
    )
    #: Options that choose what `sources` choose, and the value that they must have.
    _alone: ClassVar[Dict[str, Any]] = {"type": "ALL", "sampler": None}

    @model_validator(mode="before")
    @classmethod
    def _batch_of_sources(cls, values: Dict[str, Any]) -> Dict[str, Any]:
        counts = spell(cls.model_fields["per_batch"].annotation, values.get("per_batch"))
        whole = isinstance(counts, tuple) and all(type(count) is int and count > 0 for count in counts)
        return {**values, "batch_size": sum(counts)} if whole and values.get("batch_size") is None else values

    @model_validator(mode="after")
    def _complete_sources(self) -> "MixtureOptions":
        if self.sources is not None:
            fields = type(self).model_fields
            handed_on = {name: fields[name].default for name in MixedSourceOptions.model_fields if name in fields}
            parts = tuple(self.each_source().values())
            for part in parts:
                part.__dict__.update(
                    {name: type(part).model_fields[name].default for name, _ in part.idle_for_source()}
                )
            self.__dict__.update({**handed_on, "sources": parts})
        return self

    def each_source(self) -> Mapping[str, Any]:
        if self.sources is None:
            return super().each_source()
        return {f"sources[{number}].": each.completed(self) for number, each in enumerate(self.sources)}

    def top_names(self) -> Sequence[str]:
        return (*super().top_names(), *("domain",) * self.domain)

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.sources is not None:
            yield from self._wrong_mixture(self.sources)
            return
        if self.source is None:
            required = f"option 'source' is required: {SOURCE[:-1]}"
            yield Remark(("source", "sources"), required, "or name several with 'sources'")
        for name in self.changed("per_batch", "domain"):
            yield Remark((name, "sources"), f"option {name!r} is given, but there are no 'sources'", "leave it out")

    def _wrong_mixture(self, sources: Sequence[MixedSourceOptions]) -> Iterator[Remark]:
        if self.source is not None:
            yield Remark(("source", "sources"), "options 'source' and 'sources' are both given", "leave one out")
        for name in self.changed(*self._alone):
            rule = f"option {name!r} must be {self._alone[name] or 'none'} with 'sources', which have an order of their own"
            yield Remark((name, "sources"), rule, "leave it out")
        formats = {place: part.label_format for place, part in self.each_source().items()}
        other = next((place for place in formats if (formats[place] == "values") != self.has_values), "")
        if other:
            of_values = next(place for place in formats if formats[place] == "values")
            rule = f"option '{of_values}label_format' is 'values', but '{other}label_format' is {formats[other]!r}"
            yield Remark(("sources", "label_format"), rule, "give the sources labels of one kind")
        yield from self._wrong_weights([each.weight for each in sources])
        if self.per_batch is not None:
            yield from self._wrong_counts(self.per_batch, len(sources))

    def _wrong_weights(self, weights: Sequence[Optional[float]]) -> Iterator[Remark]:
        given = [weight for weight in weights if weight is not None]
        if given and self.per_batch is not None:
            both = f"options 'per_batch' and 'sources[{weights.index(given[0])}].weight' are both given"
            yield Remark(("per_batch", "sources"), both, "leave one out")
        elif given and len(given) < len(weights):
            missing = f"option 'sources[{weights.index(None)}].weight' is required, because another source has one"
            yield Remark(("sources",), missing, "give one to all sources, or to none")
        elif given:
            small = Shares(given).too_small
            if small is not None:
                rule = f"option 'sources[{small}].weight' is {given[small]:g}, but the least is 2/{ROUND_SIZE} of the sum, {sum(given):g}"
                yield Remark(("sources",), rule, "raise it, or use 'per_batch'")

    def _wrong_counts(self, counts: Sequence[int], num_sources: int) -> Iterator[Remark]:
        if len(counts) != num_sources:
            rule = f"option 'per_batch' has {len(counts)} numbers, but 'sources' has {num_sources} sources"
            yield Remark(("per_batch", "sources"), rule, "give a number for each source")
        if sum(counts) != self.batch_size:
            rule = f"option 'batch_size' is {self.batch_size}, but the sum of 'per_batch' is {sum(counts)}"
            yield Remark(("batch_size", "per_batch"), rule, "leave 'batch_size' out")

    def idle_for_source(self) -> Iterator[Tuple[str, str]]:
        if self.sources is None:
            yield from super().idle_for_source()
            return
        idle = [
            {*each.model_fields_set, *dict(part.idle_for_source())}
            for each, part in zip(self.sources, self.each_source().values())
        ]
        yield from self.without_effect(sorted(set.intersection(*idle)), "none of the 'sources' takes it from the layer")

    def remarks(self) -> Iterator[Remark]:
        yield from super().remarks()
        for each, (place, part) in zip(self.sources or (), self.each_source().items()):
            for name, why in part.idle_for_source():
                if name in each.model_fields_set:
                    idle = f"option {name!r} has no effect, because {why}"
                    yield Remark((name,), idle, "leave it out").within(place)
