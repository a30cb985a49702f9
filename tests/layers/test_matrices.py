import caffe
import numpy as np
import pytest

from caffe_pylayers import DataError
from caffe_pylayers.files.matrix import read_matrix
from tests.data.mutations import mutations
from tests.refusals import refused

MATRIX = np.arange(9.0).reshape(3, 3)


def saved(folder, name, matrix):
    path = folder / name
    if name.endswith(".npy"):
        np.save(str(path), matrix)
    else:
        path.write_bytes(caffe.io.array_to_blobproto(np.asarray(matrix)).SerializeToString())
    return str(path)


@pytest.mark.parametrize("name", ["h.npy", "h.binaryproto", "h"])
@pytest.mark.parametrize("shape", [(3, 3), (1, 1, 3, 3), (9,)])
def test_any_shape_of_that_many_numbers(tmp_path, name, shape):
    matrix = read_matrix(saved(tmp_path, name, MATRIX.reshape(shape)), 3)
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, MATRIX)


@pytest.mark.parametrize("dtype", ["<i4", ">f8", "<f2", "u1"])
def test_numbers_of_any_type(tmp_path, dtype):
    np.testing.assert_array_equal(read_matrix(saved(tmp_path, "h.npy", MATRIX.astype(dtype)), 3), MATRIX)


@pytest.mark.parametrize("name", ["h.npy", "h.binaryproto"])
@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3)), r"has 6 numbers, of shape \(2, 3\); expected 3 x 3 for 3 classes"),
        (np.where(MATRIX == 5, np.nan, MATRIX), "the number at row 1, column 2 is nan; it must be finite"),
        (np.where(MATRIX == 6, -np.inf, MATRIX), "the number at row 2, column 0 is -inf; it must be finite"),
    ],
)
def test_wrong_matrices_are_errors_that_name_the_file(tmp_path, monkeypatch, name, matrix, message):
    saved(tmp_path, name, matrix)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        read_matrix(name, 3)
    assert error.value.source == f"matrix {tmp_path / name}"


def test_files_that_are_absent_or_hold_something_else(tmp_path):
    for name in ("none.npy", "none.binaryproto"):
        with refused(DataError, "No such file", source=str(tmp_path / name)):
            read_matrix(str(tmp_path / name), 3)
    with pytest.raises(DataError, match="cannot read it"):
        read_matrix(str(tmp_path), 3)
    (tmp_path / "h.binaryproto").write_text("1 0 0 0 1 0 0 0 1")
    with pytest.raises(DataError, match=r"expected a .npy file or a BlobProto"):
        read_matrix(str(tmp_path / "h.binaryproto"), 3)
    np.savez(str(tmp_path / "h.npz"), MATRIX)
    (tmp_path / "h.npz").rename(tmp_path / "h.npy")
    with pytest.raises(DataError, match=r"not a .npy file of numbers"):
        read_matrix(str(tmp_path / "h.npy"), 3)


@pytest.mark.parametrize("name", ["h.npy", "h.binaryproto"])
def test_damaged_files_are_errors_or_other_numbers(tmp_path, name):
    path = saved(tmp_path, name, MATRIX)
    data = (tmp_path / name).read_bytes()
    outcomes = set()
    for mutated in [b"", *mutations(data, 300, seed=2)]:
        (tmp_path / name).write_bytes(mutated)
        try:
            matrix = read_matrix(path, 3)
            assert np.isfinite(matrix).all()
            outcomes.add(matrix.shape)
        except DataError as error:
            assert path in str(error)
            outcomes.add("refused")
    assert outcomes == {(3, 3), "refused"}
