import pytest

from tests.training.runs import Folder


@pytest.fixture
def folder(tmp_path, photos):
    """Called with what is to be special about net and solver."""
    return _maker(tmp_path, photos)


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory, photos):
    """The same for a run that several tests look at."""
    return _maker(tmp_path_factory.mktemp("module"), photos)


def _maker(path, photos):
    return lambda name="run", **special: Folder(path / name, photos.lmdb, **special)
