import functools

import caffe
import pytest

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.layers import small_source


@pytest.fixture(scope="module")
def small_source_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small source")
    small_source.write_small_source(folder)
    return folder


@pytest.fixture
def resuming_net(small_source_folder, monkeypatch):
    """A function: layer, options -> a net of such a layer that resumes, on the small source."""
    monkeypatch.chdir(small_source_folder)
    monkeypatch.syspath_prepend(str(small_source_folder))
    return functools.partial(small_source.resuming_net, small_source_folder)


@pytest.fixture
def ranks():
    """Make this process that rank of so many; as long as the test runs."""

    def become(rank, num_ranks):
        caffe.set_solver_count(num_ranks)
        caffe.set_solver_rank(rank)
        caffe.set_multiprocess(num_ranks > 1)

    yield become
    become(0, 1)


@pytest.fixture
def data_net(tmp_path):
    """Make a net of one data layer, which has fed a batch."""

    def make(layer, tops, phase=caffe.TRAIN, **options):
        path = tmp_path / "data.prototxt"
        path.write_text(
            f'layer {{ name: "train_data" type: "Python" {" ".join(f"top: {chr(34)}{top}{chr(34)}" for top in tops)} '
            f'python_param {{ module: "caffe_pylayers" layer: "{layer}" param_str: "{options}" }} }}'
        )
        made = caffe.Net(str(path), phase)
        made.forward()
        return made

    return make


@pytest.fixture
def pixels(tmp_path):
    """An LMDB of seven small images, each all of its number."""
    write_lmdb(str(tmp_path / "lmdb"), [Datum(bytes([number] * 12), number % 3, 3, 2, 2) for number in range(7)])
    return {"source_type": "LMDB", "source": str(tmp_path / "lmdb"), "batch_size": 7}
