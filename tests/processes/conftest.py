from tests.data.conftest import photos  # noqa: F401
from tests.layers.conftest import nothing_runs_on  # noqa: F401
