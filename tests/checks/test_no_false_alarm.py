"""Nets that are right: the examples, and the models that come with Caffe."""

import pytest

from caffe_pylayers.commands.check.checking import check_files
from tests.caffe_models import folder_with_models
from tests.example_data import EXAMPLES, copy_examples


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    copy_examples(folder)
    return folder


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_nothing_is_wrong_with_an_example(example, examples, monkeypatch):
    """Its solvers, train and deploy nets, which load the same weights; with its data, and set up by Caffe."""
    monkeypatch.chdir(examples)
    files = sorted(str(path.relative_to(examples)) for path in (examples / example).glob("*.prototxt"))
    report = check_files(files)
    assert report.findings == []
    assert report.skipped == []
    assert report.sources > 0
    assert len(report.solvers) == sum("solver" in file for file in files)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return folder_with_models(tmp_path_factory.mktemp("caffe"))


def test_nothing_is_wrong_with_caffes_own_models_but_for_their_data(models, monkeypatch):
    monkeypatch.chdir(models)
    files = sorted(str(path.relative_to(models)) for path in (models / "models").rglob("*.prototxt"))
    assert len(files) >= 14
    for file in files:
        report = check_files([file], data=False, build=False)
        notes = [finding for finding in report.findings if "this Caffe is built without GPU support" in finding.message]
        assert [finding for finding in report.findings if finding not in notes] == []
        found = [finding for finding in check_files([file], build=False).findings if finding not in notes]
        assert all("there is no such file" in finding.message for finding in found)
        assert all(any(name in finding.message for name in ("source", "mean_file")) for finding in found)
    deploys = [file for file in files if file.endswith("deploy.prototxt")]
    report = check_files([deploys[0], deploys[-1]])
    assert (report.findings, report.skipped) == ([], [])
