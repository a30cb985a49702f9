import pytest

from tests.data.conftest import photos  # noqa: F401
from tests.layers.conftest import nothing_runs_on  # noqa: F401
from tests.training.runs import Folder


@pytest.fixture
def folder(tmp_path, photos):  # noqa: F811
    """Called with what is to be special about net and solver."""
    return _maker(tmp_path, photos)


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory, photos):  # noqa: F811
    """The same for a run that several tests look at."""
    return _maker(tmp_path_factory.mktemp("module"), photos)


def _maker(path, photos):  # noqa: F811
    return lambda name="run", **special: Folder(path / name, photos.lmdb, **special)
