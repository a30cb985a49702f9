import contextlib
import os
import signal

import pytest

from tests.data.conftest import photos  # noqa: F401
from tests.layers import runs


@pytest.fixture(autouse=True)
def nothing_runs_on():
    """A test that fails must not leave a run behind that slows all others."""
    yield
    while runs.started:
        process = runs.started.pop()
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
