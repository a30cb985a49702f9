"""Nets with a mistake each: what the command prints names file, line, layer and remedy."""

import functools
import shutil

import pytest

from caffe_pylayers.commands.program import main
from tests.checks import broken_data, broken_layers, broken_layouts, broken_solvers
from tests.checks.broken import NET, SOLVER
from tests.checks.good_nets import write_good
from tests.checks.real_caffe import ending, train
from tests.stock_data_layers import parameters

BROKEN = [*broken_layouts.BROKEN, *broken_layers.BROKEN, *broken_solvers.BROKEN, *broken_data.BROKEN]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    write_good(folder)
    return folder


def check(capsys, *arguments):
    """What `caffe-pylayers check` prints, and its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out, ended.value.code


#: Errors at which Caffe neither stops nor loses a weight, but what it learns is wrong.
SILENT = {
    "labels beyond the classes, in stock": "it takes numbers behind the row of scores, as the scores of a class",
    "a list without labels": "it takes the name's first digits, or 0, for the label",
}
#: Nets that are trained, with a data layer of Caffe's own.
TRAINED_WITH_STOCK_DATA = (
    "label maps that are resized, of stock's",
    "a transform in data_param",
    "a list without labels",
    "16-bit images",
    "labels beyond the classes, in stock",
)
#: Images of which only the header is written here.
HOLLOW = ("images of many pixels",)


@pytest.mark.parametrize(
    "broken",
    parameters(
        (each for each in BROKEN if each.name not in HOLLOW),
        *(each for each in BROKEN if each.name in TRAINED_WITH_STOCK_DATA),
    ),
    ids=lambda broken: broken.name,
)
def test_an_error_stops_caffe_or_loses_the_training_and_a_warning_does_not(broken, good, tmp_path, monkeypatch):
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # the working directory, as with PYTHONPATH=.
    broken.write(tmp_path)
    files = [*broken.checks] or [broken.file]
    if files[0] == NET:
        files[0] = SOLVER
    answer = ending(functools.partial(train, *files))
    fails = broken.level == "error" and broken.name not in SILENT
    assert (answer.status != 0) == fails, answer.err


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_mistake_is_found(broken, good, tmp_path, monkeypatch, capsys):
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    broken.write(tmp_path)
    out, status = check(capsys, *(broken.checks or [broken.file]), *broken.options)
    lines = out.splitlines()
    layer = f"layer {broken.layer!r}: " if broken.layer else ""
    first = f"{broken.place}: {broken.level}: {layer}"
    found = [number for number, line in enumerate(lines) if line.startswith(first) and broken.says in line]
    assert found, out
    assert broken.remedy in lines[found[0] + 1], out
    assert status == int(broken.level == "error")
