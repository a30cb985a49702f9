import pytest

from tests.data.conftest import photos  # noqa: F401
from tests.layers.conftest import nothing_runs_on  # noqa: F401
from tests.training.runs import Folder


@pytest.fixture
def folder(tmp_path, photos):  # noqa: F811
    """Called with what is to be special about net and solver."""

    def make(name="run", **special):
        return Folder(tmp_path / name, photos.lmdb, **special)

    return make
