"""The Caffe that is there."""

import os
from typing import Any

from caffe_pylayers.errors import ConfigError

_LOG_LEVEL = "GLOG_minloglevel"


def import_caffe() -> Any:
    """The module `caffe`, whose log is quiet below errors unless GLOG_minloglevel says otherwise.

    Raises NoCaffeError, a ConfigError, where it cannot be imported.
    """
    os.environ.setdefault(_LOG_LEVEL, "2")  # read once, at the import
    try:
        import caffe
    except Exception as error:  # a shared library that is missing, another NumPy: whatever its import may raise
        raise NoCaffeError(f"`import caffe` fails: {type(error).__name__}: {error}") from error
    return caffe


def log_shows_info() -> bool:
    """Whether Caffe's log shows what is only information, as it does unless somebody has turned it down."""
    return os.environ.get(_LOG_LEVEL, "") in ("", "0")


class NoCaffeError(ConfigError):
    """Caffe cannot be imported; `why` is the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this needs Caffe, but {why}", remedy="`caffe-pylayers doctor` says why")
        self.why = why
