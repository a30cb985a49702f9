"""Errors carry their parts, and nobody takes a text apart to get them back."""

import ast
import copy
import pickle
from pathlib import Path

import pytest

import caffe_pylayers
from caffe_pylayers import ConfigError, DataError, config
from caffe_pylayers.caffe_files.prototxt import PrototxtError, parse
from caffe_pylayers.config.bottoms_and_tops import bottoms_of, tops_of
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.data.samplers import triplets
from caffe_pylayers.data.slots import pack_complaints, unpack_complaints
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.errors import ChangedSourceError, did_you_mean
from caffe_pylayers.processes.stock import NoCaffeError

PACKAGE = Path(caffe_pylayers.__file__).parent

ERRORS = [
    ConfigError("option 'k' is 3", remedy="lower it", layer="SiameseDataLayer", option="k"),
    ConfigError.of([ConfigError("one", layer="A", option="a"), ConfigError("two", layer="A", remedy="or; not")]),
    DataError("it is cut short", source="BCF source a.bcf", record=7),
    ChangedSourceError("it has changed", remedy="start again"),
    PrototxtError("net.prototxt", 3, "expected a field", "look at this line"),
    NoCaffeError("`import caffe` fails: OSError: no; yes"),
]


def parts_of(error):
    return error.problem, error.remedy, error.layer, error.option, error.source, error.record


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_keeps_its_parts_on_the_way(error, travel):
    there = travel(error)
    assert type(there) is type(error)
    assert (str(there), repr(there), parts_of(there)) == (str(error), repr(error), parts_of(error))
    problems = getattr(error, "problems", ())
    assert [parts_of(each) for each in getattr(there, "problems", ())] == [parts_of(each) for each in problems]


def test_the_text_is_made_of_the_parts():
    error = DataError("it is cut short", remedy="copy it again", source="record 3", layer="ImageDataLayer", record=3)
    assert str(error) == "record 3: ImageDataLayer: it is cut short; copy it again"
    told = error.within("LMDB source a")
    assert str(told) == f"LMDB source a: {error}"
    assert (told.source, told.found, told.record) == (
        "LMDB source a: record 3",
        "LMDB source a: record 3: it is cut short",
        3,
    )
    assert str(told.renamed("source a", "b")) == "LMDB b: record 3: ImageDataLayer: it is cut short; copy it again"
    assert error.source == "record 3", "the first is as it was"


def test_an_error_that_is_kept_holds_no_frames():
    try:
        raise DataError("no")
    except DataError as error:
        assert error.kept().__traceback__ is None


@pytest.mark.parametrize(
    "layer, values, option, problem, remedy",
    [
        (
            "ComputeH",
            {"n_classes": 3, "rule": "max; count"},
            "rule",
            "option 'rule' must be one of 'max_count', 'balanced', 'inverse_sqrt', 'median_frequency', 'effective_number', not 'max; count'",
            "",
        ),
        (
            "ComputeH",
            {"n_classes": 3, "empti": "zero"},
            "empti",
            "unknown option 'empti'",
            "did you mean 'empty'? Options: ",
        ),
        (
            "ComputeH",
            {},
            "n_classes",
            "option 'n_classes' is required: Number of classes K, 1 to 16777216; labels are 0 to K - 1. With per label: number of labels L.",
            "",
        ),
        (
            "WeightedSoftmaxLoss",
            {"normalize": True, "normalization": "VALID"},
            "normalize",
            "options 'normalize' and 'normalization' are both given",
            "leave one out",
        ),
        (
            "ComputeH",
            {"n_classes": 3, "per": "label"},
            "per",
            "option 'per' cannot be 'label': H has a row per class",
            "use SampleWeight",
        ),
    ],
)
def test_an_error_of_an_option_has_its_parts(layer, values, option, problem, remedy):
    with pytest.raises(ConfigError) as caught:
        config.validate(layer, values)
    error = caught.value
    assert (error.layer, error.option, error.problem) == (layer, option, problem)
    assert error.remedy.startswith(remedy) and bool(error.remedy) == bool(remedy)
    assert str(error) == f"{layer}: {problem}" + (f"; {error.remedy}" if remedy else "")


@pytest.mark.parametrize(
    "layer, values, names",
    [
        ("SampleWeight", {"n_classes": 3, "weights": (1.0, 2.0)}, {"weights", "n_classes"}),
        ("SampleWeight", {"n_classes": 2, "weights": (0.0, 0.0), "scale": "sum_one"}, {"weights", "scale"}),
        ("SampleWeight", {"n_classes": 3, "per": "label", "rule": "median_frequency"}, {"rule", "per"}),
        ("LabelNoise", {"distribution": "gaussian"}, {"std", "distribution"}),
        ("LabelNoise", {"distribution": "gaussian", "std": 1.0, "one_hot": True}, {"n_classes", "one_hot"}),
        ("LabelNoise", {"distribution": "uniform", "low": 2.0, "high": 1.0}, {"low", "high"}),
        ("TripletLoss", {"soft": True, "average": "active"}, {"soft", "average"}),
        ("TripletLoss", {"soft": True, "bottoms": ("margin",)}, {"soft", "bottoms"}),
        ("BatchTripletLoss", {"mining": "distance", "cutoff": 2.0}, {"cutoff", "nonzero_loss_cutoff"}),
        ("ImageDataLayer", {"resize": (8, 8), "crop_size": (9, 9)}, {"resize", "crop_size"}),
        ("ImageDataLayer", {"color": False, "mean_value": (1.0, 2.0, 3.0)}, {"color", "mean_value"}),
        ("ImageDataLayer", {"sampler": "a:B", "on_error": "skip"}, {"sampler", "on_error"}),
        ("ImageDataLayer", {"crop_size": (10_000, 10_000)}, {"crop_size", "batch_size"}),
        ("SiameseDataLayer", {"type": "HARD"}, {"type", "m"}),
        ("SiameseDataLayer", {"pairs": "p.csv", "sampler": "a:B"}, {"pairs", "sampler"}),
    ],
)
def test_a_conflict_names_the_options_that_it_depends_on(layer, values, names):
    (remark,) = SCHEMAS[layer].model_construct(**{"source": "a", **values}).problems()
    assert set(remark.names) == names
    assert all(f"{name!r}" in remark.problem for name in names)


def test_each_of_several_problems_has_its_parts():
    with pytest.raises(ConfigError) as caught:
        config.load(
            "ImageDataLayer", "{'source': 'a', 'batch_size': 0, 'sorce': 'b', 'mean_file': 'm', 'mean_value': 1}"
        )
    problems = caught.value.problems
    assert [problem.option for problem in problems] == ["sorce", "batch_size", "mean_file"]
    assert {problem.layer for problem in problems} == {"ImageDataLayer"}
    assert str(caught.value) == "\n".join(map(str, problems))


def test_a_param_str_that_cannot_be_read_is_told_of_its_layer():
    with pytest.raises(ConfigError) as caught:
        config.load("ComputeH", "{'n_classes'")
    assert caught.value.layer == "ComputeH"
    assert caught.value.remedy == "nothing in it is run as code"


def test_errors_of_bottoms_and_tops_have_parts():
    with pytest.raises(ConfigError) as bottoms:
        bottoms_of("FocalLoss", config.load("FocalLoss", ""), 1)
    assert (bottoms.value.layer, bottoms.value.remedy) == (
        "FocalLoss",
        "add bottoms in the prototxt (those in brackets may be left out)",
    )
    with pytest.raises(ConfigError) as none_in_brackets:
        bottoms_of("ROIPooling", config.load("ROIPooling", "{'pooled_h': 2, 'pooled_w': 2}"), 1)
    assert none_in_brackets.value.remedy == "add bottoms in the prototxt"
    with pytest.raises(ConfigError) as tops:
        tops_of("SiameseDataLayer", config.load("SiameseDataLayer", "source: a"), 4)
    assert parts_of(tops.value)[:3] == (
        "found 4 tops",
        "expected 3, or 5 with the labels of both images",
        "SiameseDataLayer",
    )


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of two images, of which the second has no label."""
    monkeypatch.chdir(tmp_path)
    for name in ("no; such.jpg", "b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "train.csv").write_text("no; such.jpg,1\nb.jpg,-1\n")
    return open_source("CSV", str(tmp_path / "train.csv"))


def test_an_error_of_a_record_has_its_number(listed, tmp_path):
    (tmp_path / "no; such.jpg").unlink()
    with pytest.raises(DataError) as caught:
        listed.read(0)
    assert (caught.value.record, caught.value.source, caught.value.remedy) == (0, listed.describe(0), "")
    assert caught.value.problem.endswith("no; such.jpg: No such file or directory")


def test_what_is_added_to_an_error_leaves_its_parts(listed):
    options = config.validate("TripletDataLayer", {"source": listed.path})
    with pytest.raises(DataError) as caught:
        triplets(listed, options, training=True, ranks=1)
    assert caught.value.source == listed.path
    assert caught.value.problem.endswith("(1 of 2 records have no label: a negative label means none)")


def test_a_prototxt_error_has_a_remedy_beside_its_problem():
    with pytest.raises(PrototxtError) as caught:
        parse("name: 'a; b\n", "net.prototxt")
    assert caught.value.problem == """a string without its closing quote: "'a; b\""""
    assert (caught.value.where, caught.value.line, caught.value.remedy) == (
        "net.prototxt",
        1,
        "close it in the same line",
    )


def test_complaints_of_workers_are_errors_and_long_ones_are_cut():
    long = DataError("x" * 100_000, remedy="mend it", source="record 1", record=1)
    short = DataError("it is cut short", remedy="mend it", source="record 2", record=2)
    assert parts_of(unpack_complaints(pack_complaints({5: short}))[5]) == parts_of(short)
    message = pack_complaints(dict.fromkeys(range(16), long))
    assert len(message) < 1 << 16
    assert unpack_complaints(message)[3].problem.startswith("x" * 500)


def test_a_wrong_name_is_answered_with_the_nearest():
    assert did_you_mean("TRIPLETLOS", ["FocalLoss", "TripletLoss"]) == "did you mean 'TripletLoss'?"
    assert did_you_mean("q", ["FocalLoss"]) == ""
    asking = [path.name for path in PACKAGE.rglob("*.py") if "did you mean" in path.read_text()]
    assert asking == ["errors.py"], "one function asks"


#: Methods that take a text apart.
_APART = {
    "find",
    "index",
    "partition",
    "removeprefix",
    "replace",
    "rpartition",
    "rsplit",
    "split",
    "splitlines",
    "startswith",
}
_ERRORS = {"error", "problem", "problems"}  # what is called so has a text of ours
_NAMES = {"ConfigError", "DataError"}


def is_text_of_an_error(node):
    """Whether it is `str(error)`, or a part of that."""
    named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    attributes = [each for each in ast.walk(node) if isinstance(each, ast.Attribute)]
    return isinstance(node, (ast.Call, ast.Subscript)) and "str" in named and bool(named & _ERRORS) and not attributes


def taken_apart(path):
    """Lines in which the text of an error is taken apart, or looked for in a log."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _APART:
            separators = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if is_text_of_an_error(node.func.value) or separators == ["; "]:
                yield f"{path}:{node.lineno}"
        elif isinstance(node, ast.Compare):
            words = [str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)]
            if any(word in _NAMES or "caffe_pylayers.errors." in word for word in words):
                yield f"{path}:{node.lineno}"


def test_nobody_takes_the_text_of_an_error_apart(tmp_path):
    bad = [
        "text.rpartition('; ')",
        "str(error).replace('A: ', '')",
        "str(problem)[3:].split('b')",
        "'DataError' in log",
    ]
    (tmp_path / "bad.py").write_text("\n".join(bad))
    assert len(list(taken_apart(tmp_path / "bad.py"))) == len(bad), "they would be found"
    assert [place for path in PACKAGE.rglob("*.py") for place in taken_apart(path)] == []


#: What is called to make an error with its problem first.
MAKERS = {"ConfigError", "DataError", "ChangedSourceError", "error"}


def remedies_in_a_problem(path):
    """Lines of errors without a remedy whose text has a semicolon, outside of what is put in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in MAKERS:
            continue
        if len(node.args) != 1 or "remedy" in {each.arg for each in node.keywords}:
            continue
        words = getattr(node.args[0], "values", node.args)
        if any("; " in str(word.value) for word in words if isinstance(word, ast.Constant)):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_a_remedy_is_a_part_of_its_own():
    found = {place.split(":")[0] for path in PACKAGE.rglob("*.py") for place in remedies_in_a_problem(path)}
    assert found == {"data/ring.py", "data/samplers/graph/__main__.py"}, "no remedy, and a text of argparse"
