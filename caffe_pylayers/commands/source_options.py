"""A source on the command line: options of the data layers, each as the flag of its name."""

import contextlib
import re
from typing import Any, Dict, Iterator, Optional, Tuple

import click

from caffe_pylayers.errors import PartedError, in_words

#: An option as messages of sources and options name it.
_NAMED = re.compile(r"option '(?P<option>\w+)'|'(?P<other>\w+)'(?= is )|`(?P<spelled>\w+)(?:: (?P<value>\w+))?`")


def one_or_several(context: click.Context, option: click.Parameter, values: Tuple[str, ...]) -> Any:
    """The callback of an option that may be given again and again: what is given once as it is, several as a list; None for none."""
    return list(values) if len(values) > 1 else next(iter(values), None)


def checked(source_type: str, source: str, given: Dict[str, Any], layer: str = "ImageDataLayer") -> Any:
    """The options of a layer of that kind that reads a source. Raises click.UsageError for those that are wrong or have no effect."""
    from caffe_pylayers import config
    from caffe_pylayers.errors import ConfigError

    try:
        options = config.validate(layer, {"source_type": source_type, "source": source, **given})
        wrong = [(str(warning), "") for warning in options.warnings]
    except ConfigError as error:
        wrong = [(each.found, each.remedy) for each in error.problems]
    if wrong:
        raise click.UsageError(as_flags("\n".join(in_words(*each) for each in wrong)))
    return options


def datasets_flag(command: Any) -> Any:
    """Give a command the flag --datasets."""
    text = "HDF5: what its data sets are called, as in \"{'data': 'X', 'label': 'y'}\"."
    return click.option("--datasets", metavar="DICT", callback=_dict_of, help=text)(command)


def _dict_of(context: click.Context, parameter: click.Parameter, text: Optional[str]) -> Optional[Dict[str, Any]]:
    if text is None:
        return None
    from caffe_pylayers.config.param_str import parse
    from caffe_pylayers.errors import ConfigError

    try:
        return parse(text)
    except ConfigError:
        raise click.BadParameter(f"{text!r} is no dict such as {{'data': 'X', 'label': 'y'}}") from None


@contextlib.contextmanager
def flags_in_errors() -> Iterator[None]:
    """While it lasts, errors name the options of the command that runs by their flags."""
    try:
        yield
    except PartedError as error:
        raise error.reworded(as_flags) from error


def as_flags(text: str) -> str:
    """A message in which the options that the running command has are named by their flags, as `--root` for `root`."""
    options = click.get_current_context().command.params
    flags = {option.name: option.opts[0] for option in options if isinstance(option, click.Option)}

    def flag(named: "re.Match[str]") -> str:
        name = flags.get(named["option"] or named["other"] or named["spelled"])
        value = named["value"]
        return named[0] if name is None else name if value in (None, "true") else f"{name} {value}"

    return _NAMED.sub(flag, text)
