from tests.data.conftest import photos  # noqa: F401
