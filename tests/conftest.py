"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# On a busy machine any example of a property can take any time.
settings.register_profile("attentio", deadline=None)
settings.load_profile("attentio")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora that stands beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real corpora are not at {folder}")
    return folder
