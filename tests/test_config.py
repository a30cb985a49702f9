"""The grammar of param_str, and the messages about options."""

import json
import math
import os
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe_pylayers import ConfigError
from caffe_pylayers.config import Options, load, parse, spell, validate
from caffe_pylayers.config.catalogue import SCHEMAS
from tests.refusals import refused

# ---------------------------------------------------------------------------------------- what can be read


def test_numbers_as_numpy_2_writes_them():
    text = "{'margin': np.float64(0.5), 'k': numpy.int64(-3), 'soft': np.True_, 'names': [np.str_('a'), np.float32(1e-05)]}"
    assert parse(text) == {"margin": 0.5, "k": -3, "soft": True, "names": ["a", 1e-05]}
    for other in (
        "{'margin': np.float64()}",
        "{'margin': np.zeros(3)}",
        "{'margin': os.float64(1)}",
        "{'margin': np.float64(x)}",
    ):
        with pytest.raises(ConfigError):
            parse(other)


@pytest.mark.parametrize(
    "param_str, options",
    [
        ("", {}),
        (" \n\t ", {}),
        ("{}", {}),
        ("{'n_classes': 7}", {"n_classes": 7}),
        ('{"n_classes": 7}', {"n_classes": 7}),
        ("'n_classes': 7", {"n_classes": 7}),
        ("'n_classes': 7, 'rule': 'balanced'", {"n_classes": 7, "rule": "balanced"}),
        ("'n_classes': 7,\n'rule': 'balanced',  # a comment", {"n_classes": 7, "rule": "balanced"}),
        ('"shuffle": true, "mean_file": null', {"shuffle": True, "mean_file": None}),
        ("{'shuffle': True, 'm': None, 'resize': (1, 2)}", {"shuffle": True, "m": None, "resize": (1, 2)}),
        ("{'shuffle': true, 'rule': balanced}", {"shuffle": True, "rule": "balanced"}),
        ("n_classes: 7", {"n_classes": 7}),
        ("n_classes: 7, rule: balanced", {"n_classes": 7, "rule": "balanced"}),
        ("n_classes: 7  # a comment\nweights:\n- 1\n- 0.5\n", {"n_classes": 7, "weights": [1, 0.5]}),
        (
            "resize: [256,\n 256]\nshuffle: on\nmirror: no",
            {"resize": [256, 256], "shuffle": True, "mirror": False},
        ),
        ("'weights':\n- 1", {"weights": [1]}),
        ("source: a dir/train.csv", {"source": "a dir/train.csv"}),
        ("source: 'a, b (copy).csv'", {"source": "a, b (copy).csv"}),
        ("'a': {'b': 1}", {"a": {"b": 1}}),
        ("label dim: 3", {"label dim": 3}),
        (r'{"source": "a\/b"}', {"source": "a/b"}),
        (r'{"source": "\ud83d\ude00.csv"}', {"source": "\U0001f600.csv"}),
        ("{'source': 'C:\\data'}", {"source": "C:\\data"}),
        # what YAML 1.1 takes for numbers and dates, and no one means
        ("a: 010, b: 17:24:35, c: 2020-01-01", {"a": "010", "b": "17:24:35", "c": "2020-01-01"}),
        ("d: 1e-3, e: 0x10, f: 1_000, g: .nan", {"d": "1e-3", "e": "0x10", "f": "1_000", "g": ".nan"}),
        ("a: 1.5, b: -2, c: +3, d: .5, e: 1.0e+3", {"a": 1.5, "b": -2, "c": 3, "d": 0.5, "e": 1000.0}),
    ],
)
def test_reads(param_str, options):
    read = parse(param_str)
    assert read == options
    assert [type(value) for value in read.values()] == [type(value) for value in options.values()]


@pytest.mark.parametrize(
    "param_str, reason",
    [
        ("{'n_classes': 7", "a brace is missing: there are 1 { and 0 }"),
        ("'n_classes': 7}", "a brace is missing: there are 0 { and 1 }"),
        ("n_classes: 7}", "a brace is missing"),
        ("n_classes=7", "an option is written 'name': value, not name=value"),
        ("{n_classes=7, rule='balanced'}", "an option is written 'name': value, not name=value"),
        ("dict(n_classes=7)", "must be in quotes"),
        ("n_classes", "this is text, not options"),
        ("7", "this is a number, not options"),
        ("[1, 2]", "this is a list, not options"),
        ("{'n_classes'}", "this is a set, not options"),
        ("~", "this is None, not options"),
        ("{'n_classes' 7}", "'n_classes' has no value (line 1, column 2)"),
        ("'n_classes' 7", "'n_classes' has no value (line 1, column 1)"),
        ("n_classes: 7, rule", "'rule' has no value (line 1, column 15)"),
        ("n_classes: 7\nrule:", "'rule' has no value (line 2, column 1)"),
        ("source: a.csv, b.csv\nn_classes: 7", "must be in quotes: 'a.csv, b.csv' (line 1, column 9)"),
        ("{'a': 1}, {'b': 2}", "this is a list"),
        ("{7: 'n_classes'}", "name of an option must be text, not 7"),
        ("no: 7", "name of an option must be text, not False"),
        ("[1]: 7", "unhashable"),
        ("a: 1\n---\nb: 2", "document"),
        ("\0", "special characters"),
        ("{'n_classes': 7, 'n_classes': 7}", "option 'n_classes' is given twice"),
        ('{"n_classes": 7, "x": true, "n_classes": 8}', "option 'n_classes' is given twice"),
        ("n_classes: 7\nn_classes: 8", "option 'n_classes' is given twice"),
        ("{'a': {'b': 1, 'b': 2}}", "option 'b' is given twice"),
        ("a: &x [1], b: *x", "anchors, aliases and tags"),
        ("a: {<<: &x {b: 1}}", "anchors, aliases and tags"),
    ],
)
def test_says_why_it_cannot_be_read(param_str, reason):
    with pytest.raises(ConfigError) as caught:
        parse(param_str)
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message
    if "cannot read" in message:
        assert "Write a Python dict, JSON or YAML, such as {'n_classes': 7" in message


def test_a_number_of_thousands_of_digits_is_refused_in_few_words():
    """It depends on the release of Python whether such a number can be read, and then it is out of range."""
    with pytest.raises(ConfigError, match="n_classes.*999") as caught:
        load("ComputeH", "n_classes: " + "9" * 5000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "param_str",
    [
        "__import__('os').mkdir('ran')",
        "{'a': __import__('os').mkdir('ran')}",
        "'a': __import__('os').mkdir('ran')",
        "a: __import__('os').mkdir('ran')\nb: 1",
        "{'a': open('ran', 'w')}",
        "{'a': [open(x) for x in ('ran',)]}",
        "{'a': (lambda: open('ran', 'w'))()}",
        "{open('ran', 'w'): 1}",
        "!!python/object/apply:os.mkdir ['ran']",
        "a: !!python/object/apply:os.mkdir ['ran']",
        "{'a': !!python/name:os.mkdir }",
    ],
)
def test_runs_no_code(param_str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="nothing in it is run as code"):
        parse(param_str)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "param_str",
    [
        "[" * 90_000,
        "{'a':" * 15_000,
        "(" * 50_000 + ")" * 50_000,
        "a: " + "[" * 40_000 + "]" * 40_000,
        "- " * 45_000,
        "? " * 45_000,
        "{'a': " + "-" * 90_000 + "1}",
        "{'a': " + "1+" * 45_000 + "1}",
        "{'a': 1" + "[0]" * 30_000 + "}",
        "{'a': '" + "x" * 10**7 + "'}",
    ],
    ids=lambda param_str: param_str[:10],
)
def test_neither_depth_nor_size_crashes(param_str):
    with pytest.raises(ConfigError) as caught:
        load("ComputeH", param_str)  # not parse: where Python gives up, YAML may read text
    assert len(str(caught.value)) < 600


TEXT = st.text(st.characters(codec="utf-8"))  # surrogates cannot be in a prototxt
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | TEXT, st.lists, max_leaves=8)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPTIONS = st.dictionaries(TEXT, VALUES, max_size=5)


@unhurried
@given(OPTIONS)
def test_round_trip_through_python_and_json(options):
    json_str = json.dumps(options)
    for param_str in (repr(options), json_str, json.dumps(options, ensure_ascii=False), json_str[1:-1]):
        assert parse(param_str) == options


WORDS = ("yes", "no", "true", "false", "on", "off", "null")  # YAML leaves "nO" unquoted, which is false here
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="[](){}'\",=")).filter(  # YAML may leave it unquoted
    lambda text: text.lower() not in WORDS or text in (text.lower(), text.upper(), text.capitalize())
)


@unhurried
@given(st.dictionaries(PLAIN, st.recursive(st.none() | st.booleans() | NUMBERS | PLAIN, st.lists)), st.booleans())
def test_round_trip_through_yaml(options, flow_style):
    assert parse(yaml.safe_dump(options, default_flow_style=flow_style)) == options


def _parses_or_raises_config_error(param_str):
    try:
        options = parse(param_str)
    except ConfigError:
        return
    assert isinstance(options, dict)
    assert all(isinstance(name, str) for name in options)


@unhurried
@given(st.text() | st.text("{}[]()'\":,=-+.*&!#%@\\ \n01eEaTNx_"))
def test_random_text_raises_nothing_else(param_str):
    _parses_or_raises_config_error(param_str)


VALID = [
    "{'source_type': 'CSV', 'source': 'a.csv', 'resize': [256, 256], 'prefetch': True}",
    '{"source": "a.csv", "scale": 1e-3, "shuffle": false, "mean_file": null}',
    "source: a.csv\nresize: [256, 256]\nshuffle: yes\nscale: 1e-3",
]


@unhurried
@given(st.sampled_from(VALID), st.data())
def test_mutations_raise_nothing_else(param_str, data):
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(param_str)))
        end = data.draw(st.integers(start, min(start + 5, len(param_str))))
        param_str = param_str[:start] + data.draw(st.text(max_size=3)) + param_str[end:]
    _parses_or_raises_config_error(param_str)
    try:
        assert isinstance(load("TripletDataLayer", param_str), Options)
    except ConfigError as error:
        assert {problem.layer for problem in error.problems} == {"TripletDataLayer"}


@unhurried
@given(st.sampled_from(sorted(SCHEMAS)), st.data())
def test_any_value_gives_options_or_a_readable_message(layer, data):
    names = map(st.just, sorted(SCHEMAS[layer].model_fields))
    values = data.draw(st.dictionaries(st.one_of(*names, TEXT), VALUES | st.floats(), max_size=6))
    try:
        assert isinstance(validate(layer, values), SCHEMAS[layer])
    except ConfigError as error:
        assert {problem.layer for problem in error.problems} == {layer}
        for pydantic_speaks in ("Input should", "https://", "validation error", "pydantic"):
            assert pydantic_speaks not in str(error)


# ------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    "kind, value, spelled",
    [
        (float, "1e-3", 0.001),
        (float, ".5", 0.5),
        (float, 7, 7),
        (int, "7", 7),
        (int, 7.0, 7),
        (int, "7.0", 7),
        (int, "1e2", 100),
        (int, "12345678901234567890", 12345678901234567890),
        (bool, "TRUE", True),
        (bool, "false", False),
        # what stays as it is, for the schema to refuse
        (int, 7.5, 7.5),
        (int, "7.5", 7.5),
        (int, "010", "010"),
        (int, "1_000", "1_000"),
        (int, "\u0663", "\u0663"),
        (int, True, True),
        (float, "nan", "nan"),
        (float, "inf", "inf"),
        (bool, 1, 1),
        (bool, "yes", "yes"),
    ],
)
def test_spell(kind, value, spelled):
    result = spell(kind, value)
    assert result == spelled
    assert type(result) is type(spelled)


@pytest.mark.parametrize("digits", [10, 400, 5000])
def test_numbers_of_many_digits(digits):
    big = int("0x" + "f" * digits, 16)
    for value in (big, -big, "9" * digits, "1e" + "9" * digits):
        with refused(ConfigError, "at least 0 and below 1", option="smoothing"):
            validate("ComputeH", {"n_classes": 7, "smoothing": value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_no_numbers(value):
    with refused(ConfigError, "a number, not", option="scale"):
        validate("ImageDataLayer", {"source": "a.csv", "scale": value})


def test_relative_paths_resolve_against_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = load("ImageDataLayer", "source: data/../train.csv, root: /images, mean_file: mean.npy")
    assert options.source == str(tmp_path / "train.csv")
    assert options.root == "/images"
    assert options.mean_file == str(tmp_path / "mean.npy")


def test_options_are_frozen():
    options = load("ComputeH", "n_classes: 7, weights: [1, 1, 1, 1, 1, 1, 1]")
    with pytest.raises(ValueError, match="frozen"):
        options.n_classes = 8
    assert hash(options) == hash(load("ComputeH", "{'weights': (1, 1, 1, 1, 1, 1, 1.0), 'n_classes': '7'}"))


# ---------------------------------------------------------------------------------------- messages


def problems(layer, param_str):
    with pytest.raises(ConfigError) as caught:
        load(layer, param_str)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "layer, param_str, message",
    [
        (
            "ComputeH",
            "n_clases: 7, n_classes: 7",
            "ComputeH: unknown option 'n_clases'; did you mean 'n_classes'? Options: n_classes, per, rule, "
            "beta, weights, scale, counts, decay, defer, iter_size, resume, empty, ignore_label, smoothing, source",
        ),
        ("L2Normalize", "EPS: 1", "unknown option 'EPS'; did you mean 'eps'? Options: axis, across_spatial"),
        ("L2Normalize", "qqq: 1", "unknown option 'qqq'. Options: axis, across_spatial, eps, scale"),
        ("ImageDataLayer", "source: a, root_foldr: b", "'root_foldr'; did you mean 'root_folder'?"),
        ("ComputeH", "", "ComputeH: option 'n_classes' is required: Number of classes"),
        (
            "ComputeH",
            "n_classes: 7.5",
            "option 'n_classes' must be an integer of at least 1 and of at most 16777216, not 7.5",
        ),
        (
            "ComputeH",
            "n_classes: true",
            "option 'n_classes' must be an integer of at least 1 and of at most 16777216, not True",
        ),
        (
            "ComputeH",
            "n_classes: 010",
            "option 'n_classes' must be an integer of at least 1 and of at most 16777216, not '010'",
        ),
        (
            "ComputeH",
            "n_classes: null",
            "option 'n_classes' must be an integer of at least 1 and of at most 16777216, not None",
        ),
        ("ComputeH", "n_classes: 7, smoothing: 1", "must be a number of at least 0 and below 1, not 1"),
        (
            "ComputeH",
            "n_classes: 7, rule: most",
            "'median_frequency', 'effective_number', not 'most'",
        ),
        ("ComputeH", "n_classes: 2, weights: [1, -1]", "a list, each entry a number of at least 0, or a path, or none"),
        (
            "ComputeH",
            "n_classes: 2, counts: 5",
            "option 'counts' must be one of 'batch', 'running', or a list, each entry a number of at least 0, or a path, not 5",
        ),
        (
            "ComputeH",
            "n_classes: 2, counts: ''",
            "option 'counts' must be one of 'batch', 'running', or a list, each entry a number of at least 0, or a path, not ''",
        ),
        ("ImageDataLayer", "source: a, mirror: 1", "option 'mirror' must be true or false, not 1"),
        ("ImageDataLayer", "source: 3", "option 'source' must be a path, or none, not 3"),
        ("ImageDataLayer", "source: a, is_color: 3", "option 'is_color' must be true or false, or 'any', not 3"),
        ("ImageDataLayer", "source: a, root: b, root_folder: b", "'root' is given twice: 'root_folder'"),
        ("Nonsense", "", "no layer 'Nonsense'; layers: ComputeH, SampleWeight"),
        ("ComputeH", "{'n_classes': 7", "ComputeH: cannot read the param_str \"{'n_classes': 7\": a brace"),
        ("ComputeH", "{'n_classes': '" + "7x" * 999 + "'}", "7x7x7 ... x7x7x"),
    ],
)
def test_message(layer, param_str, message):
    (problem,) = problems(layer, param_str)
    assert message in problem


@pytest.mark.parametrize(
    ("layer", "word", "instead"),
    [
        ("ImageDataLayer", "new_height", "'resize': [height, width]"),
        ("ImageDataLayer", "new_width", "'resize': [height, width]"),
        ("ImageDataLayer", "backend", "'source_type': 'LMDB'"),
        ("ImageDataLayer", "force_color", "'color': true"),
        ("ImageDataLayer", "force_gray", "'color': false"),
        ("ImageDataLayer", "mean_values", "'mean_value': [b, g, r]"),
        ("ImageDataLayer", "cache_images", "'compressed': false"),
        ("ImageDataLayer", "transform_param", "an option of its own"),
        ("WeightedSoftmaxLoss", "loss_param", "an option of its own"),
        ("WeightedSoftmaxLoss", "ignore", "'ignore_label'"),
    ],
)
def test_words_of_caffe_are_answered_with_ours(layer, word, instead):
    (problem,) = problems(layer, repr({word: 1, **({"source": "a"} if layer == "ImageDataLayer" else {})}))
    assert f"unknown option '{word}'" in problem and instead in problem
    if ":" in instead:  # what is printed is an option
        load(layer, "{'source': 'a', " + instead.replace("height, width", "6, 8").replace("b, g, r", "1, 2, 3") + "}")


@pytest.mark.parametrize(
    "param_str",
    [
        "{'source': 'a', 'scale': 2.5~'batch_size': 4}",
        "{'source': 'a',\n 'resize': [6, 8]~\n 'batch_size': 4}",
        "'source': 'a'~'batch_size': 4",
        "{'resize': 6, 'source': 'a:b c'~'batch_size': 4}",
    ],
)
def test_a_missing_comma_is_told(param_str):
    (problem,) = problems("ImageDataLayer", param_str.replace("~", " "))
    assert "a comma is missing before 'batch_size'" in problem
    load("ImageDataLayer", param_str.replace("~", ", "))


def test_all_problems_come_in_one_message():
    lines = problems("TripletLoss", "marginn: 1, distance: cosine, soft: true, margin: 0.1, average: ACTIVE, foo: 1")
    assert [line[: len("TripletLoss: ")] for line in lines] == ["TripletLoss: "] * 4
    for line, text in zip(
        lines,
        [
            "unknown option 'marginn'; did you mean 'margin'?",
            "unknown option 'foo'. Options: distance,",
            "option 'distance' must be one of",
            "option 'average' cannot be 'active'",
        ],
    ):
        assert text in line


def test_no_problem_is_a_mere_consequence_of_another():
    assert len(problems("LabelNoise", "distribution: uniform, low: x, high: 1")) == 1  # low is not missing
    assert len(problems("LabelNoise", "distribution: unifrom, low: 0, high: 1")) == 1  # low is not meaningless
    assert len(problems("ComputeH", "weights: [1, 2]")) == 1  # the count of weights cannot be judged


# ------------------------------------------------------------------------------------------ imports


def test_a_schema_is_built_when_it_is_first_used():
    """To build those that a net does not name would take longer than to import all of the package."""

    class Another(SCHEMAS["ComputeH"]):
        pass

    assert not Another.__pydantic_complete__
    assert Another.model_validate({"n_classes": 3}).n_classes == 3
    assert Another.__pydantic_complete__


@pytest.mark.parametrize(
    "module, absent",
    [
        ("caffe_pylayers", ["caffe", "numpy", "cv2", "pydantic", "yaml", "caffe_pylayers.config"]),
        ("caffe_pylayers.config", ["caffe", "numpy", "cv2"]),
        ("caffe_pylayers.config.catalogue", ["caffe", "numpy", "cv2", "caffe_pylayers.config.images"]),
    ],
)
def test_imports_no_more_than_it_needs(module, absent):
    code = f"import sys, {module}; print(*sorted(set({absent}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    assert done.stdout.split() == []
