import functools

import pytest

from tests.layers import small_source


@pytest.fixture(scope="module")
def small_source_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small source")
    small_source.write_small_source(folder)
    return folder


@pytest.fixture
def resuming_net(small_source_folder, monkeypatch):
    """A function: layer, options -> a net of such a layer that resumes, on the small source."""
    monkeypatch.chdir(small_source_folder)
    monkeypatch.syspath_prepend(str(small_source_folder))
    return functools.partial(small_source.resuming_net, small_source_folder)
