"""Every example, deployed, gives in OpenCV and in a Caffe without Python layers what the net gives that was trained."""

import caffe
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.commands.deploy.deploy import deploy
from caffe_pylayers.commands.export.onnx.export import export_onnx
from caffe_pylayers.errors import ConfigError
from tests.deploy.against_caffe import by_caffe, by_opencv
from tests.example_data import EXAMPLES, copy_examples
from tests.export.onnx_nets import compare

NETS = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.prototxt") if "solver" not in path.name)

#: Nets whose images have different sizes: the net takes one.
SIZED = [f"{name}/train_val.prototxt" for name in ("segmentation", "deeplab_metrics", "edges")]

#: Of these nets stock Caffe lacks a layer.
NOT_STOCK = ["cms_rcnn/train_val.prototxt"]


def forward(net):
    """On what its data layers feed, or on random images where it has an Input."""
    for name, layer in net.layer_dict.items():
        if layer.type == "Input":
            blob = net.blobs[net.top_names[name][0]]
            blob.reshape(8, *blob.shape[1:])  # BatchNorm of one sample has no variance
            blob.data[...] = np.random.default_rng(0).normal(size=blob.data.shape)
    net.forward()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function: the net in TEST after a forward, with weights whose BatchNorm has seen some batches."""
    folder = tmp_path_factory.mktemp("deploy")
    copy_examples(folder)
    nets = {}

    def trained(net):
        if net not in nets:
            caffe.set_random_seed(1)
            first = caffe.Net(net, caffe.TRAIN)
            for _ in range(3):
                forward(first)
            weights = f"{net}.caffemodel"
            first.save(weights)
            tested = caffe.Net(net, weights, caffe.TEST)
            forward(tested)
            caffe_pylayers.close()  # the workers of its data layers
            nets[net] = tested, weights
        return nets[net]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield trained


def deployed_beside(trained, net, tmp_path, **options):
    """(what was deployed, its outputs by each program, those of the net as trained), for the first sample that the net has seen."""
    as_trained, weights = trained(net)
    shapes = {"data": as_trained.blobs["data"].shape[1:]} if net in SIZED else {}
    deployed = deploy(net, weights, shapes=shapes, **options)
    files = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    deployed.write(*map(str, files))
    inputs = {
        blob: np.ascontiguousarray(as_trained.blobs[blob].data[: shape[0]]) for blob, shape in deployed.inputs.items()
    }
    wanted = {blob: as_trained.blobs[blob].data[:1].copy() for blob in deployed.outputs}
    return deployed, files, inputs, wanted


#: With `fold` those that have something to fold.
CASES = [(net, False) for net in NETS] + [(net, True) for net in NETS if "BatchNorm" in (EXAMPLES / net).read_text()]


@pytest.mark.parametrize("stock", [False, True], ids=["opencv", "stock"])
@pytest.mark.parametrize("net, fold", CASES)
def test_an_example(trained, tmp_path, net, fold, stock):
    if stock and net in NOT_STOCK:
        with pytest.raises(ConfigError) as refused:
            deployed_beside(trained, net, tmp_path, stock=True)
        assert "pool3" in refused.value.source and "--output" in refused.value.remedy
        return
    deployed, files, inputs, wanted = deployed_beside(trained, net, tmp_path, stock=stock, fold=fold)
    assert deployed.outputs
    assert not any(part.type == "Python" for part in deployed.parts)
    found = (by_caffe if stock else by_opencv)(*files, deployed, inputs)
    # Sums of pixels up to 255 are rounded more than sums of pixels up to 2.
    largest = max(1, *(abs(array).max() for array in (*inputs.values(), *wanted.values())))
    for blob, want in wanted.items():
        assert found[blob].shape == want.shape
        np.testing.assert_allclose(found[blob], want, atol=(1e-4 if fold else 1e-5) * largest, rtol=0)
        assert abs(want).max() > 0
    assert stock or not deployed.unread


@pytest.mark.parametrize("net", [net for net in NETS if net not in NOT_STOCK])
def test_an_example_in_onnx(trained, tmp_path, net):
    """At every batch as the stock net is."""
    for name in ("default", "stock"):
        (tmp_path / name).mkdir()
    _, files, _, _ = deployed_beside(trained, net, tmp_path / "default")
    _, stock, _, _ = deployed_beside(trained, net, tmp_path / "stock", stock=True)
    exported = export_onnx(*map(str, files), str(tmp_path / "net.onnx"))
    compare(caffe.Net(*map(str, stock), caffe.TEST), exported.path)
