"""What the doctor finds."""

from dataclasses import dataclass

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"

#: From well to ill.
LEVELS = (OK, NOTE, WARNING, ERROR)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    level: ok; note, good to know; warning, something will go wrong one day; error, something does not work now.
    remedy: what to do, with commands ready to copy. see: a heading of docs/troubleshooting.md.
    """

    subject: str
    level: str
    found: str
    remedy: str = ""
    see: str = ""
