"""Code of the user's, named in an option as 'module:name'."""

import contextlib
import functools
import importlib
import os
import sys
import traceback
from typing import Any, Iterator

from caffe_pylayers.errors import ConfigError, DataError


@functools.lru_cache(maxsize=None)
def load_plugin(option: str, place: str) -> Any:
    """The object at `place`, 'module:name'; `option` is whose value it is.

    Raises ConfigError where it is not there, or its module fails.
    """
    module, name = place.split(":")
    if module == "__main__":
        raise ConfigError(
            f"option {option!r}: {place!r} is in the main program, and workers cannot import it",
            remedy="move it to a module",
            option=option,
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        folder = os.getcwd()
        on_path = folder in map(os.path.abspath, sys.path)
        raise ConfigError(
            f"option {option!r}: cannot import {module!r}: {error}",
            remedy=f"put its folder on PYTHONPATH (the working directory, {folder}, is {'on it' if on_path else 'not on it'})",
            option=option,
        ) from error
    except Exception as error:
        raise _failed(option, module, error) from error
    if not callable(getattr(found, name, None)):
        raise ConfigError(
            f"option {option!r}: module {module!r} ({getattr(found, '__file__', 'built in')}) has no function or class named {name!r}",
            option=option,
        )
    return getattr(found, name)


@contextlib.contextmanager
def blamed(option: str, place: str) -> Iterator[None]:
    """Whatever goes wrong inside is told as the fault of the user's code at `place`, as a ConfigError; our errors stay."""
    try:
        yield
    except (ConfigError, DataError):
        raise
    except Exception as error:
        raise _failed(option, place, error) from error


def _failed(option: str, what: str, error: Exception) -> ConfigError:
    at = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if isinstance(error, SyntaxError) else f" ({at.filename}:{at.lineno})"  # which says it itself
    return ConfigError(f"option {option!r}: {what!r} failed with {type(error).__name__}: {error}{where}", option=option)
