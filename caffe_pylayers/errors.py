"""The two errors that this package raises on bad input."""


class ConfigError(ValueError):
    """An option, a bottom or a top of a layer is wrong; the message names it and what is allowed."""


class DataError(ValueError):
    """A data source or one of its records is wrong; the message names the source, the record and the remedy."""


class ChangedSourceError(DataError):
    """A source is not what it was at set-up: none of its records can be trusted, so that `on_error` leaves out none for it."""
