"""Prototxt, read and written without protobuf, against protobuf's own text format."""

import random
import re
import resource
from pathlib import Path

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caffe_pylayers.caffe_files.prototxt import Field, Message, NotDecimal, PrototxtError, Word, parse, read, text_of
from caffe_pylayers.commands.check.fields import check_fields
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes.boot import fork, status_of
from tests.checks.good_nets import FILES

ROOT = Path(__file__).parent.parent

# ------------------------------------------------------------------------------------------------ what can be read

_names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
_words = st.builds(Word, st.from_regex(r"[A-Z][A-Z_]{2,5}", fullmatch=True).filter(lambda word: word != "INF"))
_values = st.one_of(st.text(), _words, st.integers(-(2**63), 2**64), st.floats(allow_nan=False))


def _message(values):
    fields = st.lists(st.builds(Field, _names, values, st.just(1)), max_size=5)
    return st.builds(Message, fields)


_messages = _message(st.recursive(_values, _message, max_leaves=10))


@given(_messages)
def test_what_is_written_is_read_again(message):
    read_again = parse(text_of(message))
    assert read_again == message
    assert [type(field.value) for field in read_again.fields] == [type(field.value) for field in message.fields]


_floats = st.floats(width=32, allow_nan=False)
_texts = st.text(st.characters(exclude_categories=["Cs"]))
_layers = st.builds(
    caffe_pb2.LayerParameter,
    name=_texts,
    type=_texts,
    bottom=st.lists(_texts, max_size=3),
    loss_weight=st.lists(_floats, max_size=3),
    propagate_down=st.lists(st.booleans(), max_size=3),
    phase=st.sampled_from([caffe_pb2.TRAIN, caffe_pb2.TEST]),
    python_param=st.builds(caffe_pb2.PythonParameter, module=_texts, param_str=_texts),
    pooling_param=st.builds(
        caffe_pb2.PoolingParameter, pool=st.sampled_from([0, 1, 2]), kernel_size=st.integers(0, 2**32 - 1)
    ),
    reshape_param=st.builds(
        caffe_pb2.ReshapeParameter,
        axis=st.integers(-(2**31), 2**31 - 1),
        shape=st.builds(caffe_pb2.BlobShape, dim=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)),
    ),
)
_nets = st.builds(
    caffe_pb2.NetParameter, name=_texts, force_backward=st.booleans(), layer=st.lists(_layers, max_size=3)
)


@given(_nets, st.booleans())
def test_nets_that_protobuf_writes_are_read(net, as_one_line):
    text = text_format.MessageToString(net, as_one_line=as_one_line)
    message = parse(text)
    assert text_format.Parse(text_of(message), caffe_pb2.NetParameter()) == net
    assert list(check_fields(message, caffe_pb2.NetParameter.DESCRIPTOR, "net")) == []


#: Those of forks have fields that this Caffe's protobuf does not know.
_OF_STOCK = [path for path in sorted(ROOT.rglob("*.prototxt")) if path.parent.name != "nets_of_forks"]


@pytest.mark.parametrize("path", _OF_STOCK, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_mean_what_protobuf_reads_in_them(path):
    kind = caffe_pb2.SolverParameter if "solver" in path.name else caffe_pb2.NetParameter
    expected = text_format.Parse(path.read_text(), kind())
    assert text_format.Parse(text_of(read(str(path))), kind()) == expected


@pytest.mark.parametrize(
    "text, value",
    [
        ("a: 7", 7),
        ("a: -7", -7),
        ("a: - 7", -7),
        ("a: 0x1F", NotDecimal(31)),
        ("a: 017", NotDecimal(15)),
        ("a: 0", 0),
        ("a: 1.5", 1.5),
        ("a: .5", 0.5),
        ("a: 1e-3", 0.001),
        ("a: 1.5f", 1.5),
        ("a: 2f", 2.0),
        ("a: inf", float("inf")),
        ("a: -inf", -float("inf")),
        ("a: MAX", Word("MAX")),
        ("a: true", Word("true")),
        ("a:'x'", "x"),
        ('a: "x" \'y\'\n"z"', "xyz"),
        (r'a: "\n\t\\\"\x41\101\303\244"', '\n\t\\"AAä'),
        (r'a: "A"', "A"),
        ("a # why\n: 7", 7),
        ("\ufeffa: 7", 7),
        ('a: "# no comment"', "# no comment"),
    ],
)
def test_values(text, value):
    (field,) = parse(text).fields
    assert (field.value, type(field.value)) == (value, type(value))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a { b: 1 }", "a { b: 1 }"),
        ("a: { b: 1 }", "a { b: 1 }"),
        ("a < b: 1; c: 2, >", "a { b: 1 c: 2 }"),
        ("a: [1, 2]", "a: 1 a: 2"),
        ("a [{ b: 1 }, { b: 2 }]", "a { b: 1 } a { b: 2 }"),
        ("a: []", ""),
    ],
)
def test_ways_to_write_the_same(text, expected):
    assert parse(text) == parse(expected)


def test_lines_are_those_of_the_fields():
    message = parse('# a net\nname: "x"\nlayer {\n  top: "a"\n  top:\n  "b"\n}\nlayer { }\n')
    assert [field.line for field in message.fields] == [2, 3, 8]
    (first, second) = message.all("layer")
    assert (first.line, first.line_of("top"), first.line_of("none"), second.line) == (3, 5, 3, 8)


# ---------------------------------------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    "text, line, says",
    [
        ("a {\nb: 1\n", 2, "the file ends, but a '}' is missing for the brace opened in line 1; add it"),
        ("a: 1\n}", 2, "expected a field, because no brace is open here, found '}'"),
        ("a <\n}", 2, "expected a field or '>', found '}'"),
        ("a: 1\nb 2", 2, "expected ':' or '{' after 'b', found '2'"),
        ("a:", 1, "expected a value, found the end of the file"),
        ("a: }", 1, "expected a value, found '}'"),
        ("\n7: a", 2, "expected the name of a field, found '7'"),
        ('a: "x\nb: 1', 1, "a string without its closing quote: '\"x'"),
        ("a: 1\nb: $", 2, "cannot read '$'"),
        ("a [1]", 1, "expected ':' after 'a', found '['"),
        ("a: [1 2]", 1, "expected ',' or ']', found '2'"),
        ("a: 08", 1, "'08' is not a number: with a leading 0 it is octal"),
        (r"a: 'C:\data'", 1, r"unknown escape '\d' in a string; write \\ for a backslash"),
        (r"a: '\Uffffffff'", 1, r"unknown escape '\Uffffffff' in a string"),
        ('a: "{"b": 1}"', 1, "is one missing, or should those inside it be single quotes?"),
        ("a {" * 101, 1, "braces more than 100 deep"),
    ],
)
def test_errors_say_the_line_and_what_was_expected(text, line, says):
    with pytest.raises(PrototxtError) as error:
        parse(text, "net.prototxt")
    assert (error.value.where, error.value.line) == ("net.prototxt", line)
    assert says in str(error.value)


_PIECES = [
    *"{}<>[]:;,\"'-#\n1f", "0x1f", "1e3", "1.5f", ".5", "inf", "nan", "true", "t", "MAX", "010", "08", '"a""b"', "-5", "99999999999",
    "layer", "top", "1.", "\\n", "[1,2]", "3.0",
]  # fmt: skip


def _damaged(seed):
    """One of the good nets with one or two pieces put in, taken out, or changed for another of its words."""
    rng = random.Random(seed)
    text = rng.choice([text for name, text in FILES.items() if name != "solver.prototxt"])
    for _ in range(rng.randint(1, 2)):
        words = list(re.finditer(r"[\w.]+|\"[^\"\n]*\"|\S", text))
        word, piece = rng.choice(words), rng.choice([rng.choice(_PIECES), rng.choice(words)[0]])
        start, end = rng.choice([(word.start(), word.start()), word.span(), word.span()])
        text = text[:start] + piece * rng.randint(0, 1) + text[end:]
    return text


#: What C++ protobuf, which Caffe reads with, takes otherwise than Python's: unknown escapes, a sign apart, floats with a 0 in front; and an empty list leaves nothing to see.
_OTHERWISE = re.compile(r"-\s+[\d.]|\[\s*\]|\b0\d")


@settings(max_examples=400)
@example(23564)  # 0x1f for a float
@given(st.integers(0, 2**32))
def test_what_protobuf_refuses_is_found_and_nothing_else(seed):
    text = _damaged(seed)
    try:
        expected = text_format.Parse(text, caffe_pb2.NetParameter())
    except text_format.ParseError:
        expected = None
    try:
        message = parse(text)
        found = [str(finding) for finding in check_fields(message, caffe_pb2.NetParameter.DESCRIPTOR, "net")]
    except PrototxtError as error:
        found = [str(error)]
    if _OTHERWISE.search(text) or "unknown escape" in " ".join(found):
        return
    assert (expected is None) == bool(found), (text, found)
    if expected is not None:
        assert text_format.Parse(text_of(message), caffe_pb2.NetParameter()) == expected


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        parse(text)
    except PrototxtError as error:
        assert 1 <= error.line <= text.count("\n") + 1


def test_a_file_that_cannot_be_opened():
    with pytest.raises(ConfigError) as error:
        read("nowhere.prototxt")
    assert error.value.source == "nowhere.prototxt" and "No such file" in error.value.problem


def test_a_file_of_another_encoding_is_read_and_written_as_it_is(tmp_path):
    (tmp_path / "net.prototxt").write_bytes(b'name: "caf\xe9"  # \xff\n')
    message = read(str(tmp_path / "net.prototxt"))
    assert text_of(message).encode("utf-8", "surrogateescape") == b'name: "caf\xe9"\n'


@pytest.mark.parametrize("content", ["a", "\\n", "\\x41", "\\'"])
def test_a_text_of_any_size_takes_a_few_times_its_memory(content):
    """A param_str may hold a table; `re` alone takes a hundred bytes for each letter of a group."""
    written = 'name: "' + content * (10_000_000 // len(content)) + '"'

    def read_in_little_memory():
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 10 * len(written),) * 2)
        assert len(parse(written).get("name")) == 10_000_000 // len(content)

    assert status_of(fork(read_in_little_memory)) == 0


@pytest.mark.parametrize("number", ["1" * 1001, "1" * 300_000 + "x", "0" + "7" * 1001, "-" + "9" * 1001 + ".5"])
def test_a_number_of_very_many_digits_is_refused_at_once(number):
    with pytest.raises(PrototxtError) as refused:
        parse(f"a: {number}")
    assert len(str(refused.value)) < 200
