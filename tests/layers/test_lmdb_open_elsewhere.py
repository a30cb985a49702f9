"""An LMDB that a script or another process has open too: both go on, whoever came first."""

import subprocess
import sys

import caffe
import lmdb
import numpy as np
import pytest

import caffe_pylayers
from caffe_pylayers.caffe_files.datum import Datum, write_datum
from caffe_pylayers.data.sources.lmdb import LMDBSource, read_table
from caffe_pylayers.errors import DataError

MODES = {
    "for writing": {"map_size": 1 << 24},
    "readonly": {"readonly": True},
    "without a lock": {"map_size": 1 << 24, "lock": False},
    "readonly, without a lock": {"readonly": True, "lock": False},
}
KEY, OTHER = b"00000003", write_datum(Datum(bytes([99] * 12), 99, 3, 2, 2))


@pytest.fixture(autouse=True)
def closed():
    yield
    caffe_pylayers.close()


@pytest.fixture
def net(data_net, pixels):
    """Makes a net on the small LMDB; fed(net) is True where its next batch is right."""
    return lambda **options: data_net("ImageDataLayer", ["data", "label"], **pixels, **options)


def fed(net):
    net.forward()
    labels_are_right = net.blobs["label"].data.tolist() == [number % 3 for number in range(7)]
    return labels_are_right and (net.blobs["data"].data == np.arange(7)[:, None, None, None]).all()


def is_read(environment):
    with environment.begin() as transaction:
        return transaction.get(KEY) == write_datum(Datum(bytes([3] * 12), 0, 3, 2, 2))


@pytest.mark.parametrize("prefetch", [False, 2])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_script_has_it_open(net, pixels, mode, prefetch):
    path = pixels["source"]
    with lmdb.open(path, **mode) as environment, environment.begin() as reader:
        first = net(prefetch=prefetch)
        assert fed(first) and reader.get(KEY)
        if "readonly" not in mode:
            with environment.begin(write=True) as writer:
                for number in range(1000):
                    writer.put(b"%08d" % number, OTHER)
                second = net(prefetch=prefetch)
                assert fed(first) and fed(second)
                assert len(LMDBSource(path)) == len(read_table(path)[0]) == 7
                writer.abort()
        assert fed(first) and reader.get(KEY)
    assert fed(first)
    with lmdb.open(path, **mode) as environment:  # behind the net
        assert is_read(environment) and fed(first)
        caffe_pylayers.close()
        assert is_read(environment)
    with lmdb.open(path, **mode) as environment:
        assert is_read(environment) and fed(first)


OTHER_PROCESS = """
import lmdb, sys
with lmdb.open(sys.argv[1], map_size=1 << 24) as environment, environment.begin(write=True) as writer:
    for number in range(1000):
        writer.put(b"%08d" % number, b"other")
    print("open", flush=True)
    sys.stdin.read()
    writer.abort()
with lmdb.open(sys.argv[1], readonly=True) as environment, environment.begin() as reader:
    print(environment.stat()["entries"])
"""


@pytest.mark.parametrize("prefetch", [False, 2])
def test_another_process_writes_it(net, pixels, prefetch):
    first = net(prefetch=prefetch)
    command = [sys.executable, "-c", OTHER_PROCESS, pixels["source"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        second = net(prefetch=prefetch)
        assert fed(first) and fed(second)
        assert process.communicate()[0] == "7\n"
    assert fed(first) and fed(second)


@pytest.mark.parametrize("stock_first", [False, True])
@pytest.mark.stock_data
def test_stock_data_reads_it_too(net, pixels, tmp_path, stock_first):
    path = pixels["source"]
    text = 'layer {{ name: "d" type: "Data" top: "data" top: "label" data_param {{ source: "{}" backend: LMDB batch_size: 7 }} }}'
    (tmp_path / "stock.prototxt").write_text(text.format(path))
    ours = None if stock_first else net(prefetch=1)
    stock = caffe.Net(str(tmp_path / "stock.prototxt"), caffe.TRAIN)
    ours = ours or net(prefetch=1)
    with lmdb.open(path, map_size=1 << 24) as environment:
        for _ in range(5):
            assert fed(stock) and fed(ours) and is_read(environment)
    caffe_pylayers.close()
    assert fed(stock)


def test_a_map_for_writing_is_named_with_what_helps(net, pixels):
    """It makes the file longer, which cannot be told from another file that was copied over it."""
    path = pixels["source"]
    first = net()
    with lmdb.open(path, writemap=True) as environment:
        with pytest.raises(DataError, match="has changed while in use") as error:
            fed(first)
        assert "`writemap=True`" in error.value.remedy and "`readonly=True`" in error.value.remedy
        assert fed(net()) and is_read(environment)
    with lmdb.open(path, readonly=True) as environment:
        assert fed(net()) and is_read(environment)


@pytest.mark.parametrize("writemap", [False, True])
def test_records_that_are_not_committed_yet(tmp_path, writemap):
    path = str(tmp_path / "new")
    with lmdb.open(path, map_size=1 << 24, writemap=writemap) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(KEY, OTHER)
            for read in (LMDBSource, read_table):
                with pytest.raises(DataError, match="it has no records") as error:
                    read(path)
                assert "commit" in error.value.remedy
        assert len(LMDBSource(path)) == 1
