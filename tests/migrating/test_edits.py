"""Edits of prototxt keep what they do not name, and nets that are stock already stay as they are."""

from pathlib import Path

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.edits import Edits, as_bytes, read_text
from caffe_pylayers.caffe_files.prototxt import Field, Message, parse, read
from caffe_pylayers.caffe_files.tokens import tokens
from caffe_pylayers.commands.migrate.migrate import migrate
from tests.checks.good_nets import FILES
from tests.checks.public_nets import NETS

ROOT = Path(__file__).parents[2]

#: Blanks and comments that may stand between any two tokens.
_BLANKS = st.sampled_from(["", " ", "\n", "\t", "  # a comment\n", "\r\n", '\n\n  # {two} "lines"\n# x\n'])
_WORDS = st.sampled_from(["a", "b_1", "name", "include", "scale"])
_VALUES = st.sampled_from(["1", "-2.5e-3", '"text"', "'it # is'", "MAX", "true", "0x1f", '"two" "parts"'])
_ENDS = st.sampled_from([" ", "\n", ";", ",", " # behind\n"])
_BODIES = st.lists(st.tuples(_WORDS, _BLANKS, _VALUES, _BLANKS, _ENDS), max_size=3)


def body(fields):
    return "".join(f"{name}:{one}{value}{two}{end} " for name, one, value, two, end in fields)


@st.composite
def layers(draw):
    """A layer of a fork or of Caffe, written in many ways; its fields around the type and the parameter are any."""
    kind, param, said = draw(
        st.sampled_from([
            ("Axpy", "", ""), ("ShuffleChannel", "shuffle_channel_param", "group: 2"), ("ReLU", "relu_param", "negative_slope: 0.1"),
            ("Permute", "permute_param", "order: 0 order: 2"), ("NoSuchLayer", "x_param", "y: 1"),
        ])
    )  # fmt: skip
    blanks = [draw(_BLANKS) for _ in range(6)]
    bottoms = 'bottom: "a" bottom: "b" bottom: "c" ' if kind == "Axpy" else 'bottom: "a" '
    inside = f"{param} {blanks[0]}{{{blanks[1]}{said}{blanks[2]}}} " if param else ""
    parts = [body(draw(_BODIES)), f'type:{blanks[3]}"{kind}"{blanks[4]} ', inside, bottoms + 'top: "t" ']
    order = draw(st.permutations(parts))
    return f"layer {{{blanks[5]}{''.join(order)}}}"


_NETS = st.lists(st.tuples(_BLANKS, layers(), _BLANKS), max_size=4).map(
    lambda parts: 'name: "net"\n' + "".join(f"{before}{layer}{after}\n" for before, layer, after in parts)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("edits")


def comments(text):
    return [token.text.rstrip() for token in tokens(text, "", comments=True) if token.kind == "comment"]


def of_net(text):
    return parse(text).messages("layer")


@given(text=_NETS)
def test_messages_comments_and_order_survive(text, folder):
    path = folder / "net.prototxt"
    path.write_bytes(as_bytes(text))
    (moved,) = migrate(str(path))
    before, after = of_net(moved.old), of_net(moved.new)
    assert len(before) == len(after)
    for old, new in zip(before, after):
        changed = new.get("type") != old.get("type")
        assert changed == (old.get("type") in ("Axpy", "ShuffleChannel", "Permute"))
        gone = {"type", "python_param", *(name for name in ("shuffle_channel_param", "permute_param") if changed)}
        kept = [[(each.name, each.value) for each in layer.fields if each.name not in gone] for layer in (old, new)]
        assert kept[0] == kept[1]
    kept = comments(moved.new)
    for comment in comments(moved.old):
        assert any(each.endswith(comment) for each in kept), (comment, moved.new)
        kept.remove(next(each for each in kept if each.endswith(comment)))
    path.write_bytes(as_bytes(moved.new))
    assert migrate(str(path))[0].new == moved.new


@given(text=_NETS, number=st.integers(0, 20))
def test_a_field_that_is_removed_leaves_all_others(text, number):
    fields = [field for layer in of_net(text) for field in layer.fields]
    if not fields:
        return
    gone = fields[number % len(fields)]
    edits = Edits(text)
    edits.remove(gone.span)
    left = [(each.name, each.value) for layer in of_net(edits.result()) for each in layer.fields]
    assert left == [(each.name, each.value) for each in fields if each is not gone]


@given(text=_NETS)
def test_spans_are_those_of_the_fields(text):
    for field in parse(text).fields:
        (again,) = parse(text[slice(*field.span)]).fields
        assert (again.name, again.value) == (field.name, field.value)


def test_new_lines_are_those_of_the_file():
    text = "a: 1\r\nb: 2\r\n"
    edits = Edits(text)
    long = Message([Field("x", "y" * 60, 0), Field("z", "y" * 60, 0)])
    edits.put_fields(parse(text).fields[0].span, [Field("long", long, 0)])
    assert edits.result().count("\r\n") == edits.result().count("\n") == 5


#: All nets of the examples and of the tests that are in today's form.
_STOCK = [path for path in sorted(ROOT.rglob("*.prototxt")) if path.parent.name != "nets_of_forks"]


@pytest.mark.parametrize("path", _STOCK, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_do_not_change(path, monkeypatch):
    monkeypatch.chdir(path.parents[1])  # where the nets of the examples' solvers begin
    for moved in migrate(str(path)):
        assert (moved.new, moved.left) == (read_text(moved.path), [])


_TEXTS = {**FILES, **{name: net for name, (net, *_) in NETS.items()}}


@pytest.mark.parametrize("name", [name for name, text in _TEXTS.items() if "layer" in text])
def test_stock_nets_do_not_change(name, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(_TEXTS[name])
    (moved,) = migrate(str(path))
    assert moved.left == []
    if nets.read_net(str(path)).upgrades == []:
        assert moved.new == _TEXTS[name]
    kind = caffe_pb2.NetParameter
    text_format.Parse(moved.new, kind())
    assert read(str(path)) == parse(moved.old)
