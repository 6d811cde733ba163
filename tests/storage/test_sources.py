"""Source files that change behind a result's back."""

import os
from pathlib import Path

import pytest

from ensir.errors import InputError
from ensir.storage import sources
from ensir.storage.digests import sha256

OLD = 1_500_000_000 * 10**9


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[str]]:
    files = [str(tmp_path / name) for name in ("a", "b")]
    for file in files:
        Path(file).write_text(file)
    record = tmp_path / "records/part.json"
    with sources.recorded(record, 0, files):
        pass
    return record, files


def test_files_as_they_were(made):
    record, files = made
    assert sources.state(record, files, lambda: None) == (0, True)


@pytest.mark.parametrize("date", [OLD, None])
def test_another_date_is_no_other_content(made, date):
    record, files = made
    os.utime(files[0], **({"ns": (date, date)} if date else {}))
    assert sources.state(record, files, lambda: None) == (0, False)
    sources.renew(record)
    assert sources.state(record, files, lambda: None) == (0, True)


@pytest.mark.parametrize("date", [OLD, None])
def test_a_file_is_replaced(made, date, tmp_path):
    """By one of the same size, an older date, under the same name, as `cp -p` and archives leave it."""
    record, files = made
    before = os.stat(files[0]).st_size
    Path(files[0]).write_text("x" * before)
    os.utime(files[0], **({"ns": (date, date)} if date else {}))
    assert sources.state(record, files, lambda: None) == (1, False)
    sources.renew(record)  # which it does only for unchanged content
    assert sources.state(record, files, lambda: None) == (1, False)
    with sources.recorded(record, 1, files):
        pass
    assert sources.state(record, files, lambda: None) == (1, True)


def test_a_link_points_elsewhere(made, tmp_path):
    record, files = made
    target = tmp_path / "other"
    target.write_text("other")
    os.utime(target, ns=(OLD, OLD))
    Path(files[1]).unlink()
    Path(files[1]).symlink_to(target)
    assert sources.state(record, files, lambda: None) == (1, False)


@pytest.mark.parametrize("damage", ["", "{}", '{"generation": 0, "files": 3}', "null"])
def test_a_lost_or_damaged_record_is_settled_by_content(made, damage):
    record, files = made
    record.write_text(damage) if damage else record.unlink()
    assert sources.state(record, files, lambda: [sha256(file) for file in files]) == (0, False)
    assert sources.state(record, files, lambda: ["0" * 64]) == (1, False)
    assert sources.state(record, files, lambda: None) == (0, True)  # nothing was made yet


def test_a_file_that_is_being_written(tmp_path):
    file = tmp_path / "a"
    file.write_text("one")
    with (
        pytest.raises(InputError, match="changed while it was read; run again"),
        sources.recorded(tmp_path / "record", 0, [str(file)]),
    ):
        file.write_text("three")
    assert not (tmp_path / "record").exists()
