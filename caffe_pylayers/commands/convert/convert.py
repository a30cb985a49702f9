"""Conversion of a source into another format: what `caffe-pylayers convert` does.

Workers make the images of some records at a time and leave them as files, the segments, in `TARGET.partial`. This process
puts the target together from those, in order, while they come. So whatever a run has finished is there for the next one,
and what is put together is the same however often that was interrupted and however many workers there were.
"""

import os
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Optional, Sequence, Union

from caffe_pylayers.commands.convert.images import Images
from caffe_pylayers.data.sources import Source, open_source

__all__ = ["Conversion", "Images", "Origin", "convert"]


@dataclass(frozen=True)
class Origin:
    """Where records come from, in the options of the data layers."""

    source_type: str
    source: str
    root: Optional[str] = None
    header: bool = False
    missing: str = "error"
    datasets: Optional[Dict[str, str]] = None
    labels: Union[str, Sequence[str], None] = None
    label_format: str = "indices"
    label_order: Optional[str] = None
    sample_weights: Optional[str] = None

    def open(self, tolerant: bool = False) -> Source:
        """Raises DataError where it cannot be read. tolerant: its damaged records are left for who reads them."""
        options = asdict(self)
        source_type, source = options.pop("source_type"), os.path.abspath(options.pop("source"))
        return open_source(source_type, source, tolerant=tolerant, **options)


@dataclass(frozen=True)
class Conversion:
    """What is to be made of what. shuffle: in the random order of `seed`. skip: leave out records that cannot be read."""

    origin: Origin
    target: str
    images: Images
    shuffle: bool = False
    seed: int = 0
    skip: bool = False


def convert(
    conversion: Conversion, workers: int = 1, force: bool = False, say: Callable[[str], None] = lambda line: None
) -> Dict[str, Any]:
    """Make the target, read it back and compare it; returns its provenance, as it is in `TARGET.provenance.json`.

    Nothing is at the target's place until all of it is there. A run that was interrupted, by whatever, leaves what it
    finished in `TARGET.partial`, and the same conversion goes on there. workers: processes that decode and encode.
    force: replace what an earlier conversion wrote there. say: told, a line each, what a user should know meanwhile.
    Raises ConfigError or DataError, saying what is in the way or wrong; then the target is as it was.
    """
    from caffe_pylayers.commands.convert.run import Run  # here, for it takes the time that cv2 and lmdb take

    return Run(conversion, say).convert(workers, force)
