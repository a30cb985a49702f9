"""Our reader and writer of Datum and BlobProto against Caffe's own protobuf classes."""

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.caffe_files.datum import Datum, read_blob, read_datum, read_labels, write_blob, write_datum
from caffe_pylayers.errors import DataError
from tests.refusals import refused

dims = st.integers(0, 300)
int32s = st.integers(-(2**31), 2**31 - 1)
float32s = st.lists(st.floats(width=32, allow_nan=False), max_size=70)


def fork_datum(packed):
    """The Datum class of a fork of Caffe for several labels: as Caffe's, but `label` and `float_data` repeated so."""
    file = descriptor_pb2.FileDescriptorProto(name="fork.proto", package="fork", syntax="proto2")
    message = file.message_type.add()
    caffe_pb2.Datum.DESCRIPTOR.CopyToProto(message)
    for field in message.field:
        if field.name in ("label", "float_data"):
            field.label = field.LABEL_REPEATED
            field.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("fork.Datum"))


FORKS = {packed: fork_datum(packed) for packed in (False, True)}


@given(st.binary(max_size=40), st.one_of(st.none(), int32s), dims, dims, dims, st.booleans(), float32s)
def test_datum_equals_caffes(data, label, channels, height, width, encoded, floats):
    datum = Datum(data, label, channels, height, width, encoded, np.array(floats, "f4") if floats else None)
    theirs = caffe_pb2.Datum(label=label, float_data=floats)
    for name in ("channels", "height", "width", "data", "encoded"):
        if getattr(datum, name):
            setattr(theirs, name, getattr(datum, name))
    assert write_datum(datum) == theirs.SerializeToString()
    back = read_datum(memoryview(theirs.SerializeToString()))
    assert tuple(vars(back).values())[1:-1] == tuple(vars(datum).values())[1:-1]
    assert bytes(back.data) == data
    assert (back.float_data is None) == (not floats)
    if floats:
        assert back.float_data.dtype == np.float32
        np.testing.assert_array_equal(back.float_data, datum.float_data)
    assert read_labels(memoryview(theirs.SerializeToString())) == list(datum.labels)


@pytest.mark.parametrize("packed", FORKS)
@given(st.lists(int32s, max_size=6), st.binary(max_size=20), float32s, st.booleans())
def test_several_labels_equal_those_of_forks(packed, labels, data, floats, encoded):
    theirs = FORKS[packed](channels=3, data=data, label=labels, float_data=floats, encoded=encoded)
    wire = theirs.SerializeToString()
    datum = read_datum(memoryview(wire))
    assert list(datum.labels) == labels == read_labels(wire)
    assert datum.label == (None if not labels else labels[0] if len(labels) == 1 else tuple(labels))
    assert ([] if datum.float_data is None else datum.float_data.tolist()) == floats
    assert (bytes(datum.data), datum.encoded) == (data, encoded)
    if not packed and data and encoded:
        assert write_datum(datum) == wire


def test_long_float_data():
    floats = np.random.default_rng(0).normal(size=100_000).astype("f4")
    for packed, fork in FORKS.items():
        wire = fork(label=[5], float_data=floats.tolist(), encoded=True).SerializeToString()
        np.testing.assert_array_equal(read_datum(wire).float_data, floats)
        assert read_datum(wire).encoded
        with pytest.raises(DataError, match="cut short"):
            read_datum(wire[: -5 if packed else -4])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_datum_or_a_data_error(data):
    try:
        datum = read_datum(data)
        assert read_labels(data) == list(datum.labels)[: len(read_labels(data))]
    except DataError as error:
        assert str(error)


def test_raw_pixels():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    theirs = caffe_pb2.Datum(channels=2, height=3, width=4, data=pixels.tobytes(), label=5)
    datum = read_datum(theirs.SerializeToString())
    assert datum.label == 5
    np.testing.assert_array_equal(datum.raw(), pixels)
    with refused(DataError, "23 bytes", "2 x 3 x 4"):
        Datum(bytes(23), 0, 2, 3, 4).raw()


def test_float_pixels():
    pixels = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7
    theirs = caffe_pb2.Datum(channels=2, height=3, width=4, float_data=pixels.ravel().tolist(), label=5)
    raw = read_datum(theirs.SerializeToString()).raw()
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw, pixels)
    theirs.data = bytes(range(24))  # Caffe looks at float_data where there is no data
    assert read_datum(theirs.SerializeToString()).raw().dtype == np.uint8
    with refused(DataError, "23 float_data", "2 x 3 x 4"):
        Datum(b"", 0, 2, 3, 4, float_data=np.zeros(23, np.float32)).raw()


@pytest.mark.parametrize("shape", [(1 << 22, 1 << 21, 1 << 21), (-2, -3, 1), (0, 0, 0), (2**31 - 1,) * 3])
def test_sizes_that_are_none(shape):
    """The first product is 2^64, which wraps around to the 0 bytes that there are."""
    for data in (b"", bytes(6)):
        wire = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2], data=data).SerializeToString()
        with pytest.raises(DataError, match="bytes, but its channels x height x width"):
            read_datum(wire).raw()


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (6,), (2, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_blob_equals_caffes(shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(shape)
    (blob.data if dtype == "f4" else blob.double_data).extend(values.ravel().tolist())
    np.testing.assert_array_equal(read_blob(blob.SerializeToString()), values)
    assert read_blob(blob.SerializeToString()).dtype == dtype


@pytest.mark.parametrize("shape", [(), (6,), (1, 1, 3, 3), (300, 2, 129)])
def test_a_written_blob_is_what_caffe_writes(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    blob = caffe_pb2.BlobProto(data=values.ravel(), shape=caffe_pb2.BlobShape(dim=values.shape))
    assert write_blob(values) == blob.SerializeToString()


def test_blob_of_before_2014():
    blob = caffe_pb2.BlobProto(num=1, channels=2, height=3, width=1, data=range(6))
    np.testing.assert_array_equal(read_blob(blob.SerializeToString()), np.arange(6.0).reshape(1, 2, 3, 1))


def test_a_blob_without_axes():
    """Caffe writes no shape for it: one slope of a PReLU for all channels."""
    np.testing.assert_array_equal(read_blob(caffe_pb2.BlobProto(data=[0.25]).SerializeToString()), np.float32(0.25))


def test_a_blob_of_negative_sizes():
    with pytest.raises(DataError, match="BlobProto of shape"):
        read_blob(caffe_pb2.BlobProto(num=-1, channels=-2, height=-3, width=-1, data=range(6)).SerializeToString())


@given(st.binary(max_size=60))
def test_any_bytes_are_a_blob_or_a_data_error(data):
    try:
        read_blob(data)
    except DataError as error:
        assert str(error)
