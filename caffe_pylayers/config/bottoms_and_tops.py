"""Which bottoms and tops a layer has, from its options and how many the net gives; without Caffe."""

from typing import List, Optional, Sequence

from caffe_pylayers.config.schema import Options
from caffe_pylayers.errors import ConfigError


def bottoms_of(layer: str, options: Options, found: int) -> List[str]:
    """The names of the `found` bottoms that a net gives a layer, in order.

    Raises ConfigError where the layer has not that many, or an option would have to say which they are.

    >>> from caffe_pylayers.config.loading import load
    >>> bottoms_of("WeightedSoftmaxLoss", load("WeightedSoftmaxLoss", ""), 3)
    ['scores', 'label', 'sample_weight']
    """
    names = options.bottom_names()
    chosen: Optional[Sequence[str]] = getattr(options, "bottoms", None)
    fixed, optional, _ = _parts(names)
    if chosen is not None and len(fixed) + len(chosen) != found:
        raise ConfigError(
            f"option 'bottoms' names {len(chosen)} after {', '.join(fixed)}, but the layer has {_count(found, 'bottom')}",
            remedy=f"give the layer {len(fixed) + len(chosen)}, or change the option",
            layer=layer,
            option="bottoms",
        )
    _check_count(layer, "bottom", names, found)
    if chosen is None:
        chosen = options.implied_bottoms(found - len(fixed))
    if chosen is None and 0 < found - len(fixed) < len(optional):
        choices = " or ".join(f"'bottoms': ['{name}']" for name in optional)
        raise ConfigError(
            f"bottom {found} of {found} may be {' or '.join(optional)}",
            remedy=f"say which in param_str: {choices}",
            layer=layer,
        )
    given = fixed + list(chosen if chosen is not None else optional[: found - len(fixed)])
    for problem in options.bottom_problems(given):
        raise problem.error(layer)
    return given


def tops_of(layer: str, options: Options, found: int) -> List[str]:
    """The names of the `found` tops that a net gives a layer, in order. Raises ConfigError where it has not that many."""
    names = options.top_names()
    for problem in options.top_problems(found):
        raise problem.error(layer)
    _check_count(layer, "top", names, found)
    fixed, optional, last = _parts(names)
    return fixed + optional[: found - len(fixed) - len(last)] + last


def _parts(names: Sequence[str]) -> "tuple[List[str], List[str], List[str]]":
    """The names that must be there, those in brackets, which may be missing, and such behind these as must be there again."""
    places = [number for number, name in enumerate(names) if name.startswith("[")] or [len(names)]
    first, end = places[0], places[-1] + 1
    return [*names[:first]], [name.strip("[]") for name in names[first:end]], [*names[end:]]


def _check_count(layer: str, kind: str, names: Sequence[str], found: int) -> None:
    fixed, _, last = _parts(names)
    few = len(fixed) + len(last)
    if few <= found <= len(names):
        return
    allowed = str(few) if few == len(names) else f"{few} to {len(names)}"
    remedy = "add" if found < few else "remove"
    hint = " (those in brackets may be left out)" if few < len(names) else ""
    raise ConfigError(
        f"found {_count(found, kind)}, expected {allowed}: {', '.join(names) or 'none'}",
        remedy=f"{remedy} {kind}s in the prototxt{hint}",
        layer=layer,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
