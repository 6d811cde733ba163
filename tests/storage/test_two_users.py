"""One results folder of several users: who may replace what, by the rights of files alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_store import place_of, some_images, write_part

from ensir.storage import failures, reading, verification
from ensir.storage.layout import Layout

ONE, OTHER, GROUP = 2001, 2002, 3000


@pytest.fixture
def shared() -> Iterator[Layout]:
    """A results folder in which members of a group write."""
    if os.geteuid():
        pytest.skip("acting as other users needs root")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 0, GROUP)
        os.chmod(name, 0o2775)
        layout = Layout(name)
        write_part(place_of(layout, "f" * 12), some_images([(3, 3)]))  # what is imported late, root may read
        yield layout


@contextmanager
def acting_as(user: int, umask: int) -> Iterator[None]:
    before, groups = os.umask(umask), os.getgroups()
    os.setgroups([])
    os.setegid(GROUP)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        os.umask(before)


def test_a_group_replaces_its_results(shared: Layout):
    os.chmod(shared.unfinished, 0o2775)
    for folder in (Path(shared.root), *Path(shared.root).rglob("*")):
        if folder.is_dir():
            os.chown(folder, 0, GROUP)
            os.chmod(folder, 0o2775)
    with acting_as(ONE, 0o002):
        write_part(place_of(shared), some_images([(5, 7)]))
    with acting_as(OTHER, 0o022):
        write_part(place_of(shared), some_images([(9, 9)]))
        assert reading.Part(place_of(shared).path).shapes == [(9, 9, 3)]
        assert not any(found.problems for found in verification.verify(shared.root, shared))
    with acting_as(ONE, 0o002), pytest.raises(OSError, match="Permission denied") as raised:
        write_part(place_of(shared), some_images([(5, 7)]))
    assert "Permission denied; make it readable and writable" in str(failures.described(raised.value))
    assert reading.Part(place_of(shared).path).shapes == [(9, 9, 3)]
