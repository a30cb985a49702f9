"""Trained weights of a fork's net, as the moved net loads them."""

from typing import Iterable, Iterator, List

from caffe_pylayers.caffe_files.weights import LayerWeights, read_weights
from caffe_pylayers.commands.migrate.migrate import Migration
from caffe_pylayers.commands.migrate.norms import NORMS, norm_blobs


def moved_weights(path: str, migrations: Iterable[Migration]) -> List[LayerWeights]:
    """The layers of a .caffemodel, those whose blobs are others now in their new form."""
    moved = {name: types for each in migrations for name, types in each.moved.items()}
    return [new for old in read_weights(path) for new in _moved(old, *moved.get(old.name, (old.type, old.type)))]


def _moved(old: LayerWeights, before: str, now: str) -> Iterator[LayerWeights]:
    """A layer that was of one type, and is of another now."""
    if before not in NORMS or not old.blobs:
        yield LayerWeights(old.name, now, old.blobs, old.legacy)
        return
    for name, blobs in norm_blobs(old.name, old.blobs).items():
        yield LayerWeights(name, now if name == old.name else "BatchNorm", blobs)
