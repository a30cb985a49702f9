"""Options of a source on the command line have the names of the layers' options, and messages name them so."""

import importlib

import click
import h5py
import numpy as np
import pytest

from caffe_pylayers.config.images import ImageDataLayerOptions
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5


@pytest.mark.parametrize("name", ["balance", "convert"])
def test_flags_are_called_as_the_options_of_layers(name):
    command = getattr(importlib.import_module(f"caffe_pylayers.commands.{name}.cli"), name)
    flags = {option.name: option.opts for option in command.params if isinstance(option, click.Option)}
    shared = set(flags) & set(ImageDataLayerOptions.model_fields)
    assert shared >= {"source_type", "root", "header", "missing", "labels", "label_format", "label_order"}
    for option in shared:
        assert flags[option] == [f"--{option.replace('_', '-')}"]


@pytest.fixture
def photo_list(photos, tmp_path):
    (tmp_path / "list").write_text(f"{photos.names[0]},3\n{photos.names[1]},1\n")
    return str(photos.folder)


def test_names_of_old_still_work_but_are_not_shown(photo_list, command):
    for old, new in (("--type", "--source-type"), ("--type=CSV", "--source-type=CSV")):
        values = [] if "=" in old else ["CSV"]
        one, other = (command("balance", "list", name, *values) for name in (old, new))
        assert one == other and one[0] == 0, one
    status, out, err = command("convert", "list", "it", "--from", "CSV", "--to", "LMDB", "--root", photo_list)
    assert status == 0 and out.startswith("it: LMDB, 2 records"), err
    for name, old in (("balance", ["--type"]), ("convert", ["--from", "--to"])):
        assert not set(old) & set(command(name, "--help")[1].split())


@pytest.mark.parametrize("name", ["balance", "convert"])
def test_a_remedy_names_the_flag_and_works(name, photo_list, command):
    arguments = [
        name,
        "list",
        *["it_lmdb"] * (name == "convert"),
        "--source-type",
        "CSV",
        "--missing",
        "skip" if name == "balance" else "error",
    ]
    status, _, err = command(*arguments)
    assert status == 2 and "set --root to the folder" in err
    status, _, err = command(*arguments, "--root", photo_list)
    assert (status, err) == (0, "")


WITHOUT_EFFECT = {
    "--root": (["--root", "x"], "BCF"),
    "--header": (["--header"], "BCF"),
    "--missing": (["--missing", "skip"], "BCF"),
    "--label-order": (["--label-order", "key"], "BCF"),
    "--datasets": (["--datasets", "{'data': 'X'}"], "BCF"),
}


@pytest.mark.parametrize("name", ["balance", "convert"])
@pytest.mark.parametrize("flag", WITHOUT_EFFECT)
def test_a_flag_without_effect_is_refused(flag, name, command, tmp_path):
    write_bcf(str(tmp_path / "a.bcf"), [])
    arguments, kind = WITHOUT_EFFECT[flag]
    status, _, err = command(name, "a.bcf", *["it.h5"] * (name == "convert"), *arguments)
    assert status == 2
    assert err == f"caffe-pylayers {name}: {flag} has no effect, because --source-type is '{kind}'; leave it out\n"


@pytest.mark.parametrize("name", ["balance", "convert"])
def test_the_remedy_for_other_data_sets_works(name, command, tmp_path):
    write_hdf5(str(tmp_path / "a.h5"), [Record(np.full((2, 2, 1), number, np.uint8), (number,)) for number in (3, 5)])
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.move("data", "X")
    arguments = [name, "a.h5", *["it_lmdb"] * (name == "convert")]
    status, _, err = command(*arguments)
    assert status == 2 and "set --datasets, as in {'data': 'X'}" in err
    status, _, err = command(*arguments, "--datasets", "{'data': 'X'}")
    assert (status, err) == (0, "")
    status, _, err = command(*arguments, "--datasets", "{'dta': 'X'}")
    assert status == 2 and "unknown option 'datasets.dta'" in err and "did you mean 'data'?" in err
    status, _, err = command(*arguments, "--datasets", "X")
    assert status == 2 and "'X' is no dict such as {'data': 'X', 'label': 'y'}" in err


def test_a_value_is_given_behind_its_flag(photos, command, tmp_path):
    np.save(tmp_path / "rows.npy", np.tile([0, 1, 1], (len(photos.names), 1)))
    arguments = ["balance", photos.csv, "--root", str(photos.folder), "--labels", "rows.npy"]
    status, out, err = command(*arguments)
    assert "set --label-format indicator" in out + err
    status, out, err = command(*arguments, "--label-format", "indicator")
    assert status == 0 and "labels of 37 records" in out and "warning" not in out, err
