"""Records that are cut short, of which `decode: lenient` reads what is there: counted, and told in the log."""

import logging
from typing import Iterable, Set

from caffe_pylayers.data.sources.base import Source

logger = logging.getLogger("caffe_pylayers")


class CutShort:
    """The records of a source of which only a part could be read. The first is told at once, how many they are by `tell`."""

    def __init__(self, source: Source, name: str = "") -> None:
        self._source, self._name = source, f"{name}: " * bool(name)
        self._told = 0
        self.records: Set[int] = set()

    def add(self, records: Iterable[int]) -> None:
        first = not self.records
        self.records.update(records)
        if first and self.records:
            logger.warning(
                "%s%s is cut short: decode lenient reads what is there, as stock ImageData does, and counts such records",
                self._name,
                self._source.describe(min(self.records)),
            )

    def tell(self) -> None:
        """Tell how many records they are, unless that was told before."""
        if len(self.records) > self._told:
            self._told = len(self.records)
            logger.warning(
                "%s%s: %d of %d records are cut short, and were read as far as they go",
                self._name,
                self._source.described,
                self._told,
                len(self._source),
            )
