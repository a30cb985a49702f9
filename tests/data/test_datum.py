"""Our reader and writer of Datum and BlobProto against Caffe's own protobuf classes."""

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.data.datum import Datum, read_blob, read_datum, write_datum
from caffe_pylayers.errors import DataError

dims = st.integers(0, 300)


@given(st.binary(max_size=40), st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), dims, dims, dims, st.booleans())
def test_datum_equals_caffes(data, label, channels, height, width, encoded):
    datum = Datum(data, label, channels, height, width, encoded)
    theirs = caffe_pb2.Datum()
    theirs.ParseFromString(write_datum(datum))
    assert (theirs.data, theirs.channels, theirs.height, theirs.width) == (data, channels, height, width)
    assert theirs.encoded == encoded
    assert theirs.HasField("label") == (label is not None)
    assert label is None or theirs.label == label
    back = read_datum(memoryview(theirs.SerializeToString()))
    assert (bytes(back.data), *vars(back).values())[2:] == tuple(vars(datum).values())[1:]
    assert bytes(back.data) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_a_datum_or_a_data_error(data):
    try:
        read_datum(data)
    except DataError as error:
        assert str(error)


def test_raw_pixels():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    theirs = caffe_pb2.Datum(channels=2, height=3, width=4, data=pixels.tobytes(), label=5)
    datum = read_datum(theirs.SerializeToString())
    assert datum.label == 5
    np.testing.assert_array_equal(datum.raw(), pixels)
    with pytest.raises(DataError, match="23 bytes says channels x height x width = 2 x 3 x 4"):
        Datum(bytes(23), 0, 2, 3, 4).raw()


def test_float_data_is_refused_by_name():
    with pytest.raises(DataError, match="float_data"):
        read_datum(caffe_pb2.Datum(float_data=[1.0, 2.0]).SerializeToString())


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (6,), (2, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_blob_equals_caffes(shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(shape)
    (blob.data if dtype == "f4" else blob.double_data).extend(values.ravel().tolist())
    np.testing.assert_array_equal(read_blob(blob.SerializeToString()), values)
    assert read_blob(blob.SerializeToString()).dtype == dtype


def test_blob_of_before_2014():
    blob = caffe_pb2.BlobProto(num=1, channels=2, height=3, width=1, data=range(6))
    np.testing.assert_array_equal(read_blob(blob.SerializeToString()), np.arange(6.0).reshape(1, 2, 3, 1))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_blob_or_a_data_error(data):
    try:
        read_blob(data)
    except DataError as error:
        assert str(error)
