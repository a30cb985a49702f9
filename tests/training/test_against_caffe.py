"""`caffe-pylayers train` and `caffe train` end with the same bytes, and tell the same numbers."""

import csv
import re

import pytest

from tests.training.runs import DROPOUT

_FLOAT = r"(-?[\d.]+(?:e-?\d+)?)"

CASES = {
    "SGD with dropout": {"more": DROPOUT},
    "iter_size 2, Adam, poly, two test nets, no test at first": {
        "more": DROPOUT,
        "iter_size": 2,
        "type": '"Adam"',
        "lr_policy": '"poly"',
        "power": 1,
        "test_initialization": "false",
        "snapshot": 4,
        "test_iter": "3\ntest_iter: 2",
    },
    "no tests, one snapshot at the end": {
        "test_iter": None,
        "test_interval": None,
        "test_initialization": None,
        "snapshot": 0,
        "display": 0,
        "max_iter": 7,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_snapshots_and_numbers(folder, case):
    ours, theirs = folder("ours", **CASES[case]), folder("theirs", **CASES[case])
    printed = ours.train() if case == "SGD with dropout" else ours.train_here()
    log = theirs.caffe()
    snapshots = theirs.snapshots()
    assert len(snapshots) >= 2
    assert ours.snapshots() == snapshots
    with open(ours.snap / "net_log.csv") as file:
        rows = list(csv.DictReader(file))
    last = 7 if "max_iter" in CASES[case] else 12
    assert [row["iteration"] for row in rows if row["loss"]] == [str(i) for i in range(last)]
    for iteration, rate in re.findall(rf"Iteration (\d+), lr = {_FLOAT}", log):
        assert rows[int(iteration)]["lr"] == rate
    shown = re.findall(rf"Iteration (\d+) \(.*\), loss = {_FLOAT}", log)
    assert len(shown) == (0 if last == 7 else 12)
    for iteration, loss in shown:  # both are smoothed over average_loss
        mine = re.search(rf"^Iteration {iteration}, loss = {_FLOAT}, lr", printed, re.MULTILINE)
        assert float(mine[1]) == pytest.approx(float(loss), rel=1e-5)
    assert _tests(rows) == _tests_of_caffe(log)


def _tests(rows):
    """(iteration, net, output, 6 digits) of all tests."""
    return [
        (row["iteration"], name[4:].split()[0] if name[4] != " " else "0", name.split()[1], f"{float(row[name]):.6g}")
        for row in rows
        for name in row
        if name.startswith("test") and row[name]
    ]


def _tests_of_caffe(log):
    tests, iteration, net = [], "", ""
    for line in log.splitlines():
        begun = re.search(r"Iteration (\d+), Testing net \(#(\d+)\)", line)
        if begun:
            iteration, net = begun.groups()
        output = re.search(rf"Test net output #\d+: (\w+) = {_FLOAT}", line)
        if output:
            tests.append((iteration, net, *output.groups()))
    return tests


def test_begin_with_weights(folder):
    """Of a net whose last layer had another name: that one begins with its filler."""
    first = folder("first", max_iter=2, snapshot=0)
    first.train_here()
    weights = first.snap / "net_iter_2.caffemodel"
    ours, theirs = folder("ours"), folder("theirs")
    for each in (ours, theirs):
        net = each.path / "net.prototxt"
        net.write_text(net.read_text().replace('"scores"', '"new_scores"'))
    printed = ours.train_here("--weights", str(weights))
    assert f"{weights}: weights of 2 layers; from their fillers: new_scores\n" in printed
    assert (
        printed.count(
            f"layer 'train_data': it goes on with its position in {weights}; under another name it begins again\n"
        )
        == 1
    )
    theirs.caffe(f"--weights={weights}")
    assert ours.snapshots() == theirs.snapshots()
