import os

import pytest

from tests.evaluation import digits


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained net on real images."""
    folder = tmp_path_factory.mktemp("digits")
    here = os.getcwd()
    os.chdir(folder)
    try:
        digits.write_digits(folder)
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def evaluate(trained, command, monkeypatch):
    """Run `caffe-pylayers evaluate` in the folder of the trained net; returns status, stdout and stderr."""
    monkeypatch.chdir(trained)
    return lambda *arguments: command("evaluate", *map(str, arguments))
