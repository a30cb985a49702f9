"""The Python layers of this package in a net: class, options, bottoms and tops, the files that options name."""

import functools
import os
import re
from typing import Iterator, List, Optional, Sequence, Tuple, Type

from caffe_pylayers import ALIASES, LAYERS, config
from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.check.findings import Finding, error, listed, warning
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.errors import ConfigError, did_you_mean

#: What python_param takes, share_in_parallel in older Caffes.
_FIELDS = ("module", "layer", "param_str", "share_in_parallel")


def ours(layer: Layer) -> str:
    """The class of this package that a Python layer names; "" where it is another's, or no Python layer."""
    return layer.own if layer.own in LAYERS else ""


_TWINS = {schema.twin: schema for schema in SCHEMAS.values() if schema.twin}


def schema_of(layer: Layer) -> Optional[Type[config.Options]]:
    """What is true of a layer of this package, or of one of Caffe's that one here equals; None for any other."""
    return SCHEMAS.get(layer.own) or _TWINS.get(layer.type)


def bottom_names(layer: Layer) -> List[str]:
    """What such a layer calls its bottoms, those too that it may lack; none where it is another."""
    options, schema = options_of(layer), schema_of(layer)
    names = options.bottom_names() if options else schema.takes if schema else ()
    return [name.strip("[]") for name in names]


def takes_label(layer: Layer, number: int) -> bool:
    """Whether the bottom of that number has numbers of classes."""
    return bottom_names(layer)[number : number + 1] == ["label"]


def options_of(layer: Layer) -> Optional[config.Options]:
    """The checked options of a layer of this package; None where it is none, or they are wrong."""
    kind = ours(layer)
    return _load(kind, layer.python[2], os.getcwd())[0] if kind else None


@functools.lru_cache(maxsize=100_000)  # the layers of a large net
def _load(kind: str, param_str: str, folder: str) -> Tuple[Optional[config.Options], Sequence[ConfigError]]:
    """The options, or what is wrong with them, a problem each. folder: the working directory, where paths start."""
    try:
        return config.load(kind, param_str), ()
    except ConfigError as error:
        return None, error.problems


def check_layer(layer: Layer, _: Report) -> Iterator[Finding]:
    """Everything that a layer of this package says by itself."""
    if layer.type != "Python":
        if "python_param" in layer.message:
            yield warning(
                layer, f"a python_param in a layer of type {layer.type!r}", 'set `type: "Python"`', "python_param"
            )
        return
    yield from _check_python_param(layer)
    yield from _check_module(layer)
    kind, param_str = layer.python[1:]
    name = layer.own
    if not name:
        return
    if name not in LAYERS:
        guess = did_you_mean(kind, [*LAYERS, *ALIASES])
        yield error(
            layer,
            f"caffe_pylayers has no layer {kind!r}",
            guess or f"its layers: {listed(LAYERS, 99)}",
            "python_param.layer",
        )
        return
    options, problems = _load(name, param_str, os.getcwd())
    described = f"`caffe-pylayers describe {name}` lists the options"
    for problem in problems:
        yield error(layer, problem.problem, problem.remedy or described, "python_param.param_str")
    if options is None:
        return
    for remark in options.warnings:
        yield warning(layer, remark.problem, remark.remedy or described, "python_param.param_str")
    yield from _check_counts(layer, name, options)
    yield from _check_in_place(layer, name, options)


def is_module(name: str) -> bool:
    """Whether it is the name of a module, as `import` takes it; `x.py` would be the module `py` of a package `x`."""
    return all(part.isidentifier() for part in name.split(".")) and not name.endswith(".py")


def _check_module(layer: Layer) -> Iterator[Finding]:
    """The module is named as `import` takes it, not as a file."""
    module = layer.python[0]
    if not module or is_module(module):
        return
    last = re.split(r"[/\\]+", re.sub(r"\.py$", "", module.strip()))[-1]
    meant = ".".join(re.sub(r"\W", "_", part) for part in last.split(".") if part)
    known = layer.python[1] in {*LAYERS, *ALIASES} and re.search("caffe.pylayers", module)
    if known or not is_module(meant):
        remedy = 'write `module: "caffe_pylayers"`'
    else:
        remedy = f'write `module: "{meant}"`, and put the folder of that file on PYTHONPATH'
    yield error(layer, f"module {module!r} is no name that Python can import", remedy, "python_param.module")


def _check_python_param(layer: Layer) -> Iterator[Finding]:
    if "python_param" not in layer.message:
        yield error(
            layer,
            "a Python layer without python_param",
            'add `python_param { module: "caffe_pylayers"  layer: "..." }`',
        )
        return
    param = layer.message.message("python_param")
    for field in param.fields:
        if field.name not in _FIELDS:
            guess = did_you_mean(field.name.rstrip("_"), _FIELDS[:3])
            yield error(
                layer,
                f"unknown field {field.name!r} in python_param",
                guess or f"it has: {', '.join(_FIELDS[:3])}",
                f"python_param.{field.name}",
            )
    for name in ("module", "layer"):
        if not param.get(name):
            example = "caffe_pylayers" if name == "module" else "TripletLoss"
            yield error(
                layer,
                f"python_param has no {name}",
                f'add `{name}: "..."`, as in `{name}: "{example}"`',
                "python_param",
            )


def _check_counts(layer: Layer, kind: str, options: config.Options) -> Iterator[Finding]:
    for given, names_of, at in ((layer.bottoms, bottoms_of, "bottom"), (layer.tops, tops_of, "top")):
        try:
            names_of(kind, options, len(given))
        except ConfigError as problem:
            yield error(layer, problem.problem, problem.remedy or "see `caffe-pylayers describe`", at)


def _check_in_place(layer: Layer, kind: str, options: config.Options) -> Iterator[Finding]:
    for number, (bottom, top) in enumerate(zip(layer.bottoms, layer.tops)):
        if bottom == top and not (number == 0 and options.works_in_place()):
            yield error(
                layer,
                f"top {top!r} is also its bottom, but {kind} cannot work in place",
                "give the top a name of its own",
                "top",
                number,
            )


def check_files(layer: Layer, _: Report) -> Iterator[Finding]:
    """The files and folders that options name are there."""
    options = options_of(layer)
    if options is None:
        return
    for name, path in options.paths().items():
        if not os.path.exists(path):
            yield error(
                layer,
                f"option {name!r}: no file or folder {path}",
                f"relative paths start at the working directory, {os.getcwd()}",
                "python_param.param_str",
            )
