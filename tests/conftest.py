"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ensir", deadline=None)  # the first example compiles
settings.load_profile("ensir")


@pytest.fixture(scope="session")
def data():
    """Folder of third-party research data: ENSIR_TEST_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("ENSIR_TEST_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        reason = f"no research data at {folder}; set ENSIR_TEST_DATA"
        if os.environ.get("ENSIR_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
