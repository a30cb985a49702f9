"""`caffe-pylayers balance` of labels that are any numbers."""

import json

import cv2
import numpy as np
import pytest

from tests.caffe_nets import python_layer


@pytest.fixture
def ages(tmp_path):
    """A list whose images are not there: ages with some missing, a constant, and a column of which all is missing."""
    ages = np.random.default_rng(0).gamma(4, 9, 200).astype(np.float32)
    ages[::9] = np.nan
    lines = ["name,age,one,none\n"]
    lines += [f"{number}.jpg,{'' if np.isnan(age) else repr(float(age))},-1,\n" for number, age in enumerate(ages)]
    (tmp_path / "ages.csv").write_text("".join(lines))
    return ages


VALUES = ("ages.csv", "--header", "--label-format", "values")


def expected(values):
    """By a slow loop."""
    there = [float(value) for value in values if value == value]
    low, high = min(there), max(there)
    bins = [0] * 10
    for value in there:
        bins[min(9, int((value - low) / (high - low) * 10))] += 1
    mean = sum(there) / len(there)
    std = (sum((value - mean) ** 2 for value in there) / len(there)) ** 0.5
    return {
        "count": len(there),
        "missing": len(values) - len(there),
        "min": low,
        "mean": mean,
        "max": high,
        "std": std,
    }, bins


def test_numbers_and_bins(ages, command):
    status, out, err = command("balance", *VALUES, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["records"] == 200 and [column["name"] for column in found["values"]] == ["age", "one", "none"]
    age, one, none = found["values"]
    numbers, bins = expected(ages)
    assert {name: age[name] for name in numbers} == pytest.approx(numbers, rel=1e-9)
    assert age["bins"] == bins and age["edges"][0] == age["min"] and age["edges"][-1] == pytest.approx(age["max"])
    assert (one["count"], one["min"], one["max"], one["std"], one["bins"]) == (200, -1, -1, 0, [200] + [0] * 9)
    assert (none["count"], none["missing"], none["mean"], none["edges"], sum(none["bins"])) == (0, 200, None, None, 0)


def test_table_and_plot(ages, tmp_path, command):
    status, out, err = command("balance", *VALUES, "--plot", "ages.png")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("ages.csv: 377 values of 200 records")
    assert lines[2].split() == ["value", "count", "missing", "min", "mean", "max", "std", "min", "to", "max"]
    assert lines[3].split()[:3] == ["age", "177", "23"] and "\u2588" in lines[3]
    assert lines[5].split() == ["none", "0", "200", "nan", "nan", "nan", "nan"]
    assert lines[-1] == "wrote ages.png"
    picture = cv2.imread(str(tmp_path / "ages.png"))
    assert (picture == (0xB2, 0x72, 0x00)).all(2).sum() > 1000


def test_columns_of_a_list_by_name_and_of_a_net(ages, tmp_path, command):
    status, out, _ = command("balance", *VALUES, "--labels", "one", "--labels", "age", "--json")
    assert (status, [column["name"] for column in json.loads(out)["values"]]) == (0, ["one", "age"])
    options = {"source": "ages.csv", "header": True, "label_format": "values", "labels": "age", "batch_size": 8}
    (tmp_path / "net.prototxt").write_text(python_layer("ImageDataLayer", [], ["data", "label"], options))
    status, out, err = command("balance", "net.prototxt")
    assert (status, err) == (0, "")
    assert "177 values of 200 records" in out and "25 batches" in out and "\nage " in out
    status, out, err = command("balance", "net.prototxt", "--rule", "balanced", "--n-classes", "3")
    assert status == 2 and "leave --n-classes and --rule out" in err


@pytest.mark.parametrize(
    "given, named",
    [
        (["--write-h", "H.binaryproto"], "--write-h"),
        (["--write-weights", "w.txt", "--rule", "balanced"], "--rule and --write-weights"),
        (["--scale", "mean_one"], "--scale"),
        (["--classes", "names.txt", "--write-counts", "c.txt"], "--classes and --write-counts"),
    ],
)
def test_values_have_no_classes(given, named, ages, tmp_path, command):
    status, out, err = command("balance", *VALUES, *given)
    assert (status, out) == (2, "")
    assert "have no classes" in err and f"leave {named} out" in err
    assert [path.name for path in tmp_path.iterdir()] == ["ages.csv"]


def test_many_columns(tmp_path, command):
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(5, 136)))
    (tmp_path / "list.txt").write_text("".join(f"{number}.jpg\n" for number in range(5)))
    given = ("list.txt", "--labels", "points.npy", "--label-format", "values")
    status, out, _ = command("balance", *given)
    assert status == 0 and out.splitlines()[-1] == "... and 96 more, which --json has too"
    status, out, _ = command("balance", *given, "--json")
    assert status == 0 and len(json.loads(out)["values"]) == 136
