"""The tests of a file run on one worker, which makes what they share once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")


@pytest.mark.parametrize("number", range(6))
def test_a_file_is_of_one_worker(once: Callable[..., Path], number: int):
    first = once("worker", lambda folder: (folder / "name").write_text(WORKER))
    assert (first / "name").read_text() == WORKER
