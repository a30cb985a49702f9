"""Features, and the source whose records they are of."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Dict, List, Optional, Tuple

import numpy as np

from caffe_pylayers.data.samplers.lists import read_pairs
from caffe_pylayers.data.sources import Source
from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.evaluation import Records


@dataclass(frozen=True)
class Embedded:
    """records: the features. source: what they are features of. numbers: the record of the source that each is of, (N,).

    has_images: whether the source can be read. notes: what there is to say of them.
    """

    records: Records
    source: Source
    numbers: np.ndarray
    has_images: bool
    notes: List[str] = field(default_factory=list)

    def given(self, known: Dict[str, np.ndarray]) -> "Embedded":
        """The same with these labels or cameras, by name."""
        if not known:
            return self
        of = self.records
        labels, cameras = (known.get(what, getattr(of, what)) for what in ("labels", "cameras"))
        return replace(self, records=Records(of.features, labels, cameras, of.source, of.name))

    def require_images(self) -> None:
        """Raise ConfigError where there are none to draw."""
        if not self.has_images:
            raise ConfigError(
                "it has features, but no images to draw",
                remedy="take the features from a net, or leave out --picture",
                source=self.records.source,
            )

    def pairs(self, path: str, names: str) -> Tuple[np.ndarray, np.ndarray, Optional[int]]:
        """The pairs of a file, (2, M) places of features, bool (M,), whether both are of one class, and in how many sets they come, if the file says so.

        names: number or key.

        Raises DataError where the file is wrong, or names a record without a feature.
        """
        numbers, sims, sets = read_pairs(path, self.source, names, graded=False, option="--names {}")
        if names == "key" and not self.has_images:
            self._require_one_of_each_name(numbers, path)
        places = self._places[numbers]
        if (places < 0).any():
            record = int(numbers[places < 0][0])
            raise DataError(
                f"it is in a pair of {path}, but the data layer has left it out",
                remedy="does it have a label, and can it be read? Or take the pair out of the list",
                source=self.source.describe(record),
                record=record,
            )
        return places, sims == 1, sets

    def _require_one_of_each_name(self, numbers: np.ndarray, path: str) -> None:
        """Raise DataError where a name of these records has another feature too, as in the features of a mixture of folders with names alike."""
        features, names = self.records.features, self.source.names
        first = {names[number]: number for number in np.unique(numbers).tolist()}
        for record in range(len(names)):
            of_name = first.get(names[record], record)
            if of_name != record and not np.allclose(features[of_name], features[record], rtol=1e-3, atol=1e-6):
                raise DataError(
                    f"records {of_name} and {record} have the same name, {self.records.name(record)!r}, which is in a pair of {path}, but other features",
                    remedy="name records by their places: `--names number`",
                    source=self.records.source,
                )

    @cached_property
    def _places(self) -> np.ndarray:
        places = np.full(len(self.source), -1)
        places[self.numbers] = np.arange(len(self.numbers))
        return places
