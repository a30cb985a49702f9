"""Weights against the nets that are to load them: Caffe finds them by a layer's name, and stops where shapes differ."""

from typing import Dict, Iterator, List, Tuple

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.caffe_files.weights import LayerWeights, fits
from caffe_pylayers.commands.check.findings import NOTE, WARNING, Finding, error, listed, of_layer
from caffe_pylayers.commands.check.python_layers import options_of, ours
from caffe_pylayers.commands.check.report import Report, Shape
from caffe_pylayers.commands.check.resume import kept_by, num_blobs
from caffe_pylayers.commands.check.shapes import size
from caffe_pylayers.commands.check.views import View
from caffe_pylayers.config.facts import Kept


def check_format(path: str, _: Report) -> Iterator[Finding]:
    """Weights in HDF5 are loaded by some Caffes alone."""
    if path.endswith(".h5"):
        trouble = "weights in HDF5: only some builds of Caffe load them; others stop, or keep the fillers"
        remedy = "save them as .caffemodel: `net.load_hdf5(...)`, `net.save(...)` in pycaffe"
        yield Finding(path, 1, "", WARNING, trouble, remedy)


def check_weights(view: View, report: Report) -> Iterator[Finding]:
    """What Caffe makes of the weights in a net that it has set up."""
    if not report.weights or view not in report.built:
        return
    built, weights, path = report.built[view], report.trained, report.weights
    by_name: Dict[str, Layer] = {}
    for layer in view.layers:
        by_name.setdefault(layer.name, layer)
    for source in weights:
        target = by_name.get(source.name)
        if target is not None:
            wrong = list(_check_layer(target, built.params.get(source.name, []), source, path))
            yield from wrong
            kept = kept_by(target)
            if view.training and kept is not None and len(source.blobs) == num_blobs(target) and not wrong:
                yield _continues(target, kept, path)
    there = {source.name for source in weights}
    without = [layer for name, layer in by_name.items() if built.params.get(name) and name not in there]
    for layer in without:
        yield of_layer(
            layer,
            NOTE,
            f"{path} has no weights for it: it starts from its fillers",
            "that is right for a new layer; otherwise give the layer its name in that file",
            "name",
        )
    anywhere = {layer.name for layer in view.net.layers}
    ignored = [source.name for source in weights if source.blobs and source.name not in anywhere]
    if ignored:
        yield Finding(
            view.net.path,
            view.net.message.line,
            "",
            NOTE,
            f"{path} has weights for layers that are not in the net, and Caffe ignores them: {listed(ignored)}",
            "that is right if they are not needed; otherwise give layers these names",
        )


def _check_layer(layer: Layer, expected: List[Shape], source: LayerWeights, path: str) -> Iterator[Finding]:
    found = [blob.shape for blob in source.blobs]
    rename = f'rename the layer, for example `name: "{layer.name}_new"`, to learn it from the start'
    if len(found) != len(expected):
        yield error(
            layer,
            f"{path} has {_blobs(found)} for it, but the layer has {_blobs(expected)}: Caffe stops",
            _why_not(layer, source, len(expected)) or rename,
            "name",
        )
        return
    kept = kept_by(layer)
    learned = len(expected) - (kept.blobs if kept is not None else 0)
    misfit = [not fits(theirs, ours_, source.legacy) for theirs, ours_ in zip(found, expected)]
    for number, (theirs, ours_) in enumerate(zip(found[:learned], expected)):
        if misfit[number]:
            what = {0: "weights", 1: "bias"}.get(number, f"blob {number}")
            yield error(
                layer,
                f"its {what} in {path} are {size(theirs)}, but the net's are {size(ours_)}: Caffe stops",
                f"{rename}, or give the layer the size that it has in that file",
                "name",
            )
    if kept is not None and any(misfit[learned:]):
        yield error(
            layer,
            f"its {kept.what} in {path} has {_blobs(found[learned:])}, but the net's has {_blobs(expected[learned:])}: Caffe stops",
            f'rename the layer, for example `name: "{layer.name}_new"`, to begin with a new {kept.what}, or set its options as in that run',
            "name",
        )


def _continues(layer: Layer, kept: Kept, path: str) -> Finding:
    """What a file brings along besides weights."""
    begins, remedy = "there in the data", "rename the layer to begin with the first batch"
    if kept.option != "resume":
        begins, remedy = "what is in it", "rename the layer to begin with an empty one"
    return of_layer(layer, NOTE, f"{path} has its {kept.what}: training continues from {begins}", remedy, "name")


def _why_not(layer: Layer, source: LayerWeights, expected: int) -> str:
    blobs, options, kept = len(source.blobs), options_of(layer), kept_by(layer)
    for each in options.may_keep if ours(layer) and options is not None else ():
        if blobs == expected + each.blobs:
            which = "they are" if not expected else "the last is" if each.blobs == 1 else f"the last {each.blobs} are"
            params = "the param block" if each.blobs == 1 else f"{each.blobs} param blocks"
            return f"{which} its {each.what} in a run with {each.text}: set this and {params}, or rename the layer"
    if kept is not None and blobs == expected - kept.blobs:
        return f"they are from a run without {kept.text}: rename the layer, or leave '{kept.option}' out"
    if source.type == "Python" and not ours(layer):
        return f"they are the position of a data layer with this name: rename this {layer.type}, or the data layer, for example to train_data"
    return ""


def check_sharing(pair: Tuple[View, View], report: Report) -> Iterator[Finding]:
    """A test net shares the blobs of the train net's layers of its names: as many, of the same shapes."""
    train, test = (report.built[view] for view in pair)
    for layer in pair[1].layers:
        own, shared = test.params.get(layer.name, []), train.params.get(layer.name)
        if shared is not None and own != shared:
            yield error(
                layer,
                f"it has {_shapes(own)} in TEST, but the layer with this name has {_shapes(shared)} in TRAIN: they are shared, so Caffe stops",
                "make them equal, or give them different names",
                "name",
            )


def _shapes(shapes: List[Shape]) -> str:
    return " and ".join(map(size, shapes)) if shapes else "no blobs"


def _blobs(shapes: List[Shape]) -> str:
    if not shapes:
        return "no blobs"
    return f"{len(shapes)} blob{'s' if len(shapes) > 1 else ''} ({' and '.join(map(size, shapes))})"
