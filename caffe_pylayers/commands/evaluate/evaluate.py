"""What embeddings are worth: features by a net or of a file, and their evaluation.

In a notebook::

    embedded = embedded_by("fashion_triplet/train_val.prototxt", "embedding.caffemodel", "embedding")
    print(Evaluation(embedded.records).retrieval())  # of caffe_pylayers.evaluation
"""

from typing import Optional, Sequence

from caffe_pylayers.caffe_files.nets import TEST
from caffe_pylayers.commands.evaluate.embedded import Embedded
from caffe_pylayers.commands.evaluate.feature_files import SUFFIXES, read_features, read_integers
from caffe_pylayers.commands.evaluate.features import features_of
from caffe_pylayers.commands.net_or_solver import net_in
from caffe_pylayers.errors import ConfigError


def embedded_by(
    path: str,
    weights: Optional[str] = None,
    blob: Optional[str] = None,
    layer: Optional[str] = None,
    stages: Sequence[str] = (),
    mirror: bool = False,
    gpu: Optional[int] = None,
    labels: Optional[str] = None,
    cameras: Optional[str] = None,
) -> Embedded:
    """The features of a file (.npz, .npy), or of a net or solver, in TEST, with these weights.

    blob, layer, mirror, gpu: see `features_of`; a file needs none of them. labels, cameras: files with an integer per record; labels of a net come from its data layer.
    Raises ConfigError or DataError for what cannot be used.
    """
    if path.endswith(SUFFIXES):
        return read_features(path, labels, cameras)
    if weights is None or blob is None:
        raise ConfigError(
            f"it is a net, but {'its weights are' if weights is None else 'the name of a blob is'} not given",
            remedy=f"caffe-pylayers evaluate {path} WEIGHTS.caffemodel --blob NAME",
            source=path,
        )
    net, state = net_in(path, TEST, stages)
    embedded = features_of(net, state, weights, blob, layer, mirror, gpu)
    return embedded.given(
        {
            what: read_integers(file, len(embedded.source), what)[embedded.numbers]
            for what, file in (("labels", labels), ("cameras", cameras))
            if file is not None
        }
    )
