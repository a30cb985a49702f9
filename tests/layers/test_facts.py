"""What the options of a layer say of it is so in Caffe."""

import caffe
import pytest

from caffe_pylayers.config import load
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.caffe_nets import build, layer_text, net_text, python_layer, write
from tests.layers.every_layer import LAYERS, OTHERS
from tests.layers.small_source import LAYERS as DATA_LAYERS

CASES = [*((name, *case) for name, case in LAYERS.items()), *OTHERS]
RESUMED = [
    ("BatchTripletLoss", LAYERS["BatchTripletLoss"][0], {"mining": "distance", "resume": True}),
    ("BatchPairLoss", LAYERS["BatchPairLoss"][0], {"type": "margin", "mining": "distance", "resume": True}),
    ("BatchPairLoss", LAYERS["BatchPairLoss"][0], {"type": "margin", "memory": 9, "resume": True}),
    ("SampleWeight", LAYERS["SampleWeight"][0], {"n_classes": 3, "counts": "running", "resume": True}),
    ("ComputeH", LAYERS["ComputeH"][0], {"n_classes": 3, "defer": 3, "resume": True}),
    ("LabelNoise", LAYERS["LabelNoise"][0], {**LAYERS["LabelNoise"][1], "resume": True}),
    ("GradientScaler", LAYERS["GradientScaler"][0], {"max_iter": 9, "resume": True}),
    *(
        (layer, LAYERS[layer][0], {**LAYERS[layer][1], "resume": True})
        for layer in ("MarginInnerProduct", "LargeMarginInnerProduct")
    ),
    ("L2Normalize", LAYERS["L2Normalize"][0], {}),
]


def num_blobs(made):
    (blobs,) = made.params.values() or [[]]
    return len(blobs)


@pytest.mark.parametrize(("layer", "inputs", "options"), [*CASES, *RESUMED])
def test_blobs_and_shape_in_place(layer, inputs, options):
    checked = load(layer, repr(options))
    made = build([python_layer(layer, list(inputs), ["top"], options, 1 if checked.is_loss() else None)], inputs)
    made.forward()
    assert num_blobs(made) == checked.num_blobs()
    if checked.works_in_place():
        assert tuple(made.blobs["top"].shape) == tuple(made.blobs[next(iter(inputs))].shape)


@pytest.mark.parametrize("layer", [*LAYERS, *DATA_LAYERS])
def test_every_layer_that_resumes_is_here(layer):
    assert ("resume" in SCHEMAS[layer].model_fields) == (layer in {*DATA_LAYERS, *(case[0] for case in RESUMED[:-1])})


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("layer", DATA_LAYERS)
def test_images_and_blobs_of_data_layers(layer, stacked, resuming_net):
    several = layer in ("SiameseDataLayer", "TripletDataLayer")
    made = resuming_net(layer, **({"stacked": stacked} if several else {}))
    made.forward()
    (images, *_) = made.blobs.values()
    assert num_blobs(made) == 1
    assert made.layers[0].images_a_batch == 6 * len(SCHEMAS[layer].images)
    assert images.shape[0] == 6 * (len(SCHEMAS[layer].images) if stacked and several else 1)
    assert sum(blob.data.ndim == 4 and blob.shape[1] == 3 for blob in made.blobs.values()) == (
        1 if stacked else len(SCHEMAS[layer].images)
    )


@pytest.mark.parametrize("layer", [layer for layer, schema in SCHEMAS.items() if schema.twin])
def test_a_twin_takes_and_gives_the_same(layer):
    schema = SCHEMAS[layer]
    shapes = {"label": (2,), "sim": (2,), "H": (1, 1, 3, 3)}
    inputs = {name: shapes.get(name, (2, 3)) for name in load(layer, "").bottom_names() if name != "[sample_weight]"}
    made = caffe.Net(write(net_text([layer_text(schema.twin, list(inputs), ["top"])], inputs, False)), caffe.TRAIN)
    assert made.blob_loss_weights["top"] == int(schema.is_loss())
