"""`check` and the real Caffe agree on nets of the structure of well-known ones, right and with a mistake."""

import functools
import os

import pytest

from caffe_pylayers.commands.check.checking import check_files
from tests.checks.good_nets import write_good
from tests.checks.public_nets import NETS
from tests.checks.real_caffe import ending, train
from tests.stock_data_layers import parameters


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """The levels of what `check` finds in each solver, right (`hed`) and wrong (`hed_wrong`), by its name."""
    folder = tmp_path_factory.mktemp("nets")
    write_good(folder)
    for name, (net, old, new, solver) in NETS.items():
        assert net.count(old) == 1, name
        for each, text in ((name, net), (f"{name}_wrong", net.replace(old, new))):
            (folder / f"{each}.prototxt").write_text(text)
            rate = 'base_lr: 0.01  lr_policy: "fixed"  max_iter: 4'
            named = f'net: "{each}.prototxt"  snapshot_prefix: "{each}"'
            (folder / f"{each}_solver.prototxt").write_text(f"{named}  {rate}  {solver}")
    before = os.getcwd()
    os.chdir(folder)
    try:
        names = [each for name in NETS for each in (name, f"{name}_wrong")]
        found = check_files([f"{name}_solver.prototxt" for name in names]).findings
        yield {
            name: [each for each in found if each.file.startswith(f"{name}.") or each.file.startswith(f"{name}_s")]
            for name in names
        }
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", parameters(NETS, "alexnet"))
def test_a_net_that_is_right_has_no_error_and_is_trained(name, levels):
    answer = ending(functools.partial(train, f"{name}_solver.prototxt"))
    assert answer.ok, answer.err
    assert [str(each) for each in levels[name] if each.level == "error"] == []


@pytest.mark.parametrize("name", NETS)
def test_a_net_with_a_mistake_has_an_error_and_stops_caffe(name, levels):
    assert "error" in [each.level for each in levels[f"{name}_wrong"]]
    assert not ending(functools.partial(train, f"{name}_wrong_solver.prototxt")).ok


def test_train_trains_layers_without_names_and_a_solver_without_tests(command, tmp_path):
    """HED's: its losses have no names, its test_iter is 0."""
    net, _, _, of_solver = NETS["hed"]
    (tmp_path / "net.prototxt").write_text(net.replace('name: "given"', ""))
    solver = f'net: "net.prototxt"  base_lr: 0.01  lr_policy: "fixed"  snapshot_prefix: "hed"  {of_solver}'
    for iterations, begin in ((2, []), (2, ["--weights", "hed_iter_2.caffemodel"]), (4, ["--resume"])):
        (tmp_path / "solver.prototxt").write_text(f"{solver}  max_iter: {iterations}")
        status, out, err = command("train", "solver.prototxt", "--no-plot", *begin)
        assert status == 0, err
        assert out.startswith(f"trained {iterations} iterations: hed_iter_{iterations}.solverstate")
