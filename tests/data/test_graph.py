"""Similarity graphs: every form read, what is wrong told, and the command that makes one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_pylayers.data.samplers.graph import Graph, neighbours, read_graph, write_graph
from caffe_pylayers.data.samplers.graph.__main__ import main
from caffe_pylayers.errors import DataError
from tests.data.references import similarity, source_of
from tests.refusals import refused

SOURCE = source_of([0, 0, 1, 1])
EDGES = {(0, 2): 0.5, (2, 0): 0.25, (3, 0): -1.0, (1, 2): 2.0}


def matrix_of(graph, size):
    return graph.similarity(np.arange(size)[:, None], np.arange(size))


def nested(name):
    found = {}
    for (one, other), value in EDGES.items():
        found.setdefault(name(one), {})[name(other)] = value
    return found


def dense():
    matrix = np.zeros((4, 4), np.float32)
    for place, value in EDGES.items():
        matrix[place] = value
    return matrix


def key(number):
    return f"record {number}"


FORMS = {
    "json": (json.dumps(nested(str)), "number"),
    "json by key": (json.dumps(nested(key)), "key"),
    "dict": (repr(nested(int)), "number"),
    "dict of bytes": (repr(nested(lambda number: key(number).encode())), "key"),
    "edges": ("a,b,similarity\n" + "".join(f"{a},{b}, {value}\n" for (a, b), value in EDGES.items()), "number"),
    "edges by key": ("a,b,similarity\n" + "".join(f'"{key(a)}",{key(b)},{v}\n' for (a, b), v in EDGES.items()), "key"),
    "edges by tabs": (
        "\ufeffa\tb\tsimilarity\r\n" + "".join(f"{a}\t{b}\t{v}\r\n" for (a, b), v in EDGES.items()),
        "number",
    ),
    "edges by blanks": (
        "a b similarity\n" + "".join(f'"{key(a)}"  "{key(b)}" {v}\n' for (a, b), v in EDGES.items()),
        "key",
    ),
    "square by blanks": ("\r".join("  ".join(map(str, line)) for line in dense().tolist()), "number"),
    "json with a byte order mark": ("\ufeff" + json.dumps(nested(str)), "number"),
    "square": ("\n".join(",".join(map(str, line)) for line in dense().tolist()), "number"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_text(tmp_path, form):
    text, by = FORMS[form]
    (tmp_path / "graph").write_text(text)
    np.testing.assert_array_equal(matrix_of(read_graph(str(tmp_path / "graph"), SOURCE, by), 4), dense())


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_matrices(tmp_path, form):
    path = str(tmp_path / "graph.npz")
    write_graph(path, scipy.sparse.csr_matrix(dense()).asformat(form))
    np.testing.assert_array_equal(matrix_of(read_graph(path, SOURCE, "number"), 4), dense())
    assert os.listdir(tmp_path) == ["graph.npz"]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 9).flatmap(
        lambda size: st.tuples(
            st.just(size),
            st.dictionaries(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), st.floats(-9, 9, width=32)),
        )
    )
)
def test_any_edges(case):
    size, edges = case
    one, other = np.array([*edges], np.int64).reshape(-1, 2).T
    found = matrix_of(Graph("graph", size, one, other, np.array([*edges.values()], np.float32)), size)
    assert found.dtype == np.float32
    for place in np.ndindex(size, size):
        assert found[place] == np.float32(edges.get(place, 0))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "graph: it is not a graph"),
        ("hello\n", "graph: it is not a graph"),
        ("{", "graph: it is neither JSON nor a Python dict"),
        ("{'0': open('x')}", "graph: it is neither JSON nor a Python dict"),
        ("{" * 5000, "graph: it is neither JSON nor a Python dict"),
        ('{"0": 3}', "graph: a dict of dicts of numbers"),
        ('{"0": {"1": "x"}}', "graph: the similarity of '1' to '0' is 'x'; a number is expected"),
        ('{"0": {"1": true}}', "graph: the similarity of '1' to '0' is True; a number is expected"),
        ('{"0": {"1": NaN}}', "graph: the similarity of record 1 to record 0 \\(nan\\) is not a finite number"),
        ('{"0": {"1": 1' + "0" * 400 + "}}", "\\(inf\\) is not a finite number"),
        ('{"0": {"1": 1e300}}', "\\(inf\\) is not a finite number"),
        ('{"0": {"4": 1}}', "graph: '4' is not a record of labels.csv: .* 0 to 3"),
        ("{0: {'1': 1, 1: 2}}", "graph: the similarity of record 1 to record 0 \\(2.0\\) is given twice"),
        ("a,b,similarity\n0,1\n", "graph, line 2: 2 columns; a, b and similarity are expected"),
        ("a,b,similarity\n0,1,2\n\n0,x,2\n", "graph, line 4: 'x' is not a record"),
        ("a,b,similarity\n0,1,high\n", "graph, line 2: 'high' is not a number"),
        ("a,b,similarity\n0,1,inf\n", "\\(inf\\) is not a finite number"),
        ("0,1\n1,0\n", "graph, line 1: 2 numbers in line 1 of the matrix; labels.csv has 4 records"),
        ("0,1,0,0\n" * 3, "graph: 3 lines of numbers, but labels.csv has 4 records"),
        ("0,1,0,0\n" * 5, "graph, line 5: 4 numbers in line 5 of the matrix"),
        ("0,1,0,x\n" * 4, "graph, line 1: 'x' is not a number"),
        ("PK not a zip", "graph: it is not a scipy sparse matrix"),
    ],
)
def test_what_is_no_graph(tmp_path, text, message):
    (tmp_path / "graph").write_text(text)
    with pytest.raises(DataError, match=message):
        read_graph(str(tmp_path / "graph"), SOURCE, "number")


def test_graphs_of_another_size_and_none_at_all(tmp_path):
    write_graph(str(tmp_path / "graph.npz"), scipy.sparse.identity(3, format="csr"))
    with refused(DataError, "(3, 3)", "4 records"):
        read_graph(str(tmp_path / "graph.npz"), SOURCE, "number")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with refused(DataError, "scipy sparse matrix", source="arrays.npz"):
        read_graph(str(tmp_path / "arrays.npz"), SOURCE, "number")
    write_graph(str(tmp_path / "complex.npz"), scipy.sparse.identity(4, dtype=complex, format="csr"))
    with refused(DataError, "complex128", source="complex.npz"):
        read_graph(str(tmp_path / "complex.npz"), SOURCE, "number")
    write_graph(str(tmp_path / "huge.npz"), 1e300 * scipy.sparse.identity(4, format="csr"))
    with refused(DataError, "(inf)"):
        read_graph(str(tmp_path / "huge.npz"), SOURCE, "number")
    for path in (tmp_path / "none", tmp_path):
        with refused(DataError, "cannot read it"):
            read_graph(str(path), SOURCE, "number")


def plain_neighbours(similarities, top, classes=None):
    """By the definition: the edges of the `top` largest of each record, both ways; classes: those it is none of."""
    size = len(similarities)
    classes = range(size) if classes is None else classes
    edges = np.zeros((size, size), bool)
    for one in range(size):
        others = [other for other in range(size) if classes[other] != classes[one]]
        others.sort(key=lambda other: -similarities[one][other])
        edges[one, others[:top]] = True
    return np.where((edges | edges.T) & (similarities > 0), similarities, 0)


@pytest.mark.parametrize("top", [1, 4, 100])
def test_neighbours_of_features(top):
    features = np.random.default_rng(0).normal(size=(60, 5))
    features[7] = 0
    lengths = np.linalg.norm(features, axis=1)
    lengths[7] = 1
    cosines = features @ features.T / np.outer(lengths, lengths)
    found = neighbours(features, top)
    assert found.dtype == np.float32
    assert found.nnz <= 2 * 60 * top
    cosines[np.diag_indices(60)] = 0
    np.testing.assert_allclose(found.toarray(), plain_neighbours(cosines, top), atol=1e-6)
    classes = np.arange(60) % 3
    rows = np.stack([classes // 2, classes % 2 - 1], axis=1)  # the row is the class
    for labels in (classes, rows):
        found = neighbours(features, top, unlike=labels)
        np.testing.assert_allclose(found.toarray(), plain_neighbours(cosines, top, classes.tolist()), atol=1e-6)


def test_every_record_has_as_many_neighbours_of_other_classes_as_asked_for():
    """Where its nearest ones are all of its own class, which without classes leaves no edge that is of use."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 30)
    features = 1 + np.eye(4)[classes] + rng.normal(0, 0.01, (120, 4))
    other = classes[:, None] != classes
    assert not neighbours(features, 10).toarray()[other].any()
    found = neighbours(features, 10, unlike=classes).toarray()
    assert not found[~other].any()
    assert ((found > 0).sum(1) >= 10).all()


def test_neighbours_of_more_records_than_go_at_once():
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(3000, 4)).astype(np.float32), rng.integers(0, 3, 3000)
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = np.where(classes[:, None] == classes, -1, directions @ directions.T)
    found = neighbours(features, 1, unlike=classes)
    one, other = found.nonzero()
    assert (classes[one] != classes[other]).all()
    np.testing.assert_allclose(found.max(axis=1).toarray().ravel(), cosines.max(1), atol=1e-6)


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros(4, int), np.zeros((3, 1, 1), int), np.zeros((3, 0), int)])
def test_classes_that_are_none(wrong):
    with refused(DataError, "3 records", remedy="(3, L)"):
        neighbours(np.eye(3), unlike=wrong)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-1, 5)] * 3), min_size=1, max_size=15))
def test_neighbours_of_label_sets(rows):
    sets = [frozenset(row) - {-1} for row in rows]
    found = neighbours(np.array(rows), len(rows), labels=True).toarray()
    for one, other in np.ndindex(found.shape):
        wanted = similarity(sets[one], sets[other]) if one != other else 0
        assert abs(found[one, other] - wanted) < 1e-6


def command(*arguments):
    line = [sys.executable, "-m", "caffe_pylayers.data.samplers.graph", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


def test_the_command(tmp_path):
    np.save(tmp_path / "features.npy", np.random.default_rng(0).normal(size=(20, 3)))
    np.save(tmp_path / "labels.npy", np.arange(20) % 4)
    path = tmp_path / "graph.npz"
    done = command(tmp_path / "features.npy", path, "--top", 3)
    assert done.returncode == 0, done.stderr
    graph = scipy.sparse.load_npz(path)
    assert done.stdout == f"{path}: {graph.nnz} edges between 20 records\n"
    assert command("--labels", tmp_path / "labels.npy", path).returncode == 0
    assert scipy.sparse.load_npz(path).nnz == 20 * 4
    done = command(tmp_path / "features.npy", path, "--top", 20, "--unlike", tmp_path / "labels.npy")
    assert done.returncode == 0, done.stderr
    one, other = scipy.sparse.load_npz(path).nonzero()
    assert len(one) > 0
    assert (one % 4 != other % 4).all()
    assert sorted(os.listdir(tmp_path)) == ["features.npy", "graph.npz", "labels.npy"]
    assert "example:" in command("--help").stdout


def test_the_command_says_what_is_wrong_in_a_line(tmp_path, monkeypatch, capsys):
    def error_of(*arguments):
        monkeypatch.setattr(sys, "argv", ["graph", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        return capsys.readouterr().err

    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "nan.npy", np.full((3, 2), np.nan))
    np.save(tmp_path / "eye.npy", np.eye(3))
    np.savez(tmp_path / "several.npz", one=np.eye(3))
    (tmp_path / "text.npy").write_text("hello")
    out = tmp_path / "graph.npz"
    for arguments, message in (
        ((tmp_path / "none.npy", out), "No such file"),
        ((tmp_path / "text.npy", out), "text.npy: "),
        ((tmp_path / "flat.npy", out), "an array of shape (3,); features are (N, D)"),
        ((tmp_path / "flat.npy", out, "--labels"), "label sets must be integers, but the array is float64"),
        ((tmp_path / "nan.npy", out), "the features have numbers that are not finite"),
        ((tmp_path / "several.npz", out), "several.npz: an archive of several arrays; one array is expected"),
        (
            (tmp_path / "eye.npy", out, "--unlike", tmp_path / "flat.npy"),
            f"eye.npy with --unlike {tmp_path / 'flat.npy'}: labels of type float64 and shape (3,), but there are 3 records",
        ),
        ((tmp_path / "eye.npy", out, "--unlike", tmp_path / "none.npy"), "No such file"),
        ((tmp_path / "eye.npy", out, "--unlike", tmp_path / "text.npy"), "text.npy: "),
        ((tmp_path / "nan.npy", out, "--top", 0), "--top is 0; at least 1 is allowed"),
        ((tmp_path / "nan.npy", tmp_path / "graph.csv"), "its name must end with .npz"),
        ((tmp_path / "nan.npy", "/nowhere/graph.npz"), "nan.npy: the features have"),
    ):
        assert message in error_of(*arguments).splitlines()[-1]
    assert "/nowhere/graph.npz" in error_of(tmp_path / "eye.npy", "/nowhere/graph.npz")
    assert not out.exists()
