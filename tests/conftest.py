"""What is kept for speed is kept apart from the user's while tests run."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESLIFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
