import logging

import psutil
import pytest

from caffe_pylayers.commands.convert.convert import Origin
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.csv import write_csv
from tests.data.cached_runs import write_source


@pytest.fixture(scope="session")
def several(photos, tmp_path_factory):
    """Encoded images with names, weights, and one to three labels each."""
    folder = tmp_path_factory.mktemp("several")
    labels = [tuple(range(number % 3, 2 * (number % 3) + 1)) for number in range(37)]
    records = [
        Record(photos.bytes_of(number), labels[number], number / 4, f"class {number % 5}/{name}")
        for number, name in enumerate(photos.names)
    ]
    write_csv(f"{folder}/list.csv", records, f"{folder}/images")
    return Origin("CSV", f"{folder}/list.csv", root=f"{folder}/images", header=True)


@pytest.fixture
def folder(tmp_path, monkeypatch, caplog):
    """An LMDB of images, and a folder for caches; no process is left."""
    caplog.set_level(logging.INFO, "caffe_pylayers")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    write_source(tmp_path / "source", 0)
    yield tmp_path
    assert psutil.Process().children() == []
