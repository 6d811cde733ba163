"""Source files that change behind a result's back."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ensir.errors import InputError
from ensir.storage import sources
from ensir.storage.digests import sha256
from ensir.storage.layout import Layout
from ensir.storage.sources import Known, Record

OLD = 1_500_000_000 * 10**9
Made = tuple[Path, list[str]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    files = [str(tmp_path / name) for name in ("a", "b")]
    for file in files:
        Path(file).write_text(file)
    record = tmp_path / "records/part.json"
    with sources.recorded(record, 0, files):
        pass
    return record, files


def unread(made: Made) -> list[str]:
    record, files = made
    return sources.unread(sources.read(record), files)


def compared(made: Made, known: Known | None = None) -> Record:
    record, files = made
    return sources.compared(sources.read(record), files, lambda: known)


def renewed(made: Made, known: Known | None = None) -> int | str:
    """Renew the record, after which nothing has to be read; return the generation that the result should have."""
    sources.write(made[0], compared(made, known))
    assert unread(made) == []
    held = sources.read(made[0])
    assert held is not None
    return held.wanted


def test_files_as_they_were(made):
    assert unread(made) == []
    assert sources.read(made[0]).wanted == 0


@pytest.mark.parametrize("date", [OLD, None])
def test_another_date_is_no_other_content(made, date):
    _, files = made
    os.utime(files[0], **({"ns": (date, date)} if date else {}))
    assert unread(made) == files[:1]
    assert renewed(made) == 0


def test_another_inode_is_no_other_content(made):
    _, files = made
    shutil.copy2(files[1], f"{files[1]}.copy")
    os.replace(f"{files[1]}.copy", files[1])
    assert unread(made) == files[1:]
    assert renewed(made) == 0


def replaced_in_place(file: str) -> None:
    Path(file).write_text("x" * os.stat(file).st_size)


def by_an_older_one(file: str) -> None:
    replaced_in_place(file)
    os.utime(file, ns=(OLD, OLD))


def with_its_date_kept(file: str) -> None:
    """By one of the same size and date in the same inode, as `cp -p` leaves it: only the inode's own date tells."""
    before = os.stat(file)
    replaced_in_place(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_a_link_to_one_of_equal_size_and_date(file: str) -> None:
    before, other = os.stat(file), Path(f"{file}.other")
    other.write_text("y" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    Path(file).unlink()
    Path(file).symlink_to(other)


def by_a_hard_link(file: str) -> None:
    other = Path(f"{file}.other")
    other.write_text("z" * os.stat(file).st_size)
    Path(file).unlink()
    os.link(other, file)


REPLACEMENTS = [
    replaced_in_place, by_an_older_one, with_its_date_kept, by_a_link_to_one_of_equal_size_and_date, by_a_hard_link,
]  # fmt: skip


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_file_is_replaced(made, replace):
    record, files = made
    replace(files[0])
    assert unread(made) == files[:1]
    wanted = renewed(made)
    assert wanted != 0
    assert renewed(made) == wanted  # still, until the result is made again
    with sources.recorded(record, wanted, files):
        pass
    assert sources.read(record).wanted == wanted
    replaced_in_place(files[1])
    assert renewed(made) not in (0, wanted)


def test_a_file_is_put_back(made):
    _, files = made
    before = Path(files[0]).read_text()
    Path(files[0]).write_text("other")
    assert renewed(made) != 0
    Path(files[0]).write_text(before)
    assert renewed(made) == 0


def test_two_files_are_exchanged(made):
    """Also where only the result itself says what it was made from."""
    _, files = made
    known = Known([sha256(file) for file in files], [])
    contents = [Path(file).read_text() for file in files]
    for file, content in zip(files, reversed(contents), strict=True):
        Path(file).write_text(content)
    assert sources.compared(None, files, lambda: known).wanted != 0
    assert renewed(made) != 0


@pytest.mark.parametrize("damage", ["", "{}", '{"generation": 0, "files": 3}', "null", '{"generation": 0, "files": {"a": [1, "b"]}, "found": {}}'])  # fmt: skip
def test_a_lost_or_damaged_record_is_settled_by_content(made, damage):
    record, files = made
    first, second = map(sha256, files)

    def lose() -> None:
        record.write_text(damage) if damage else record.unlink()

    for known, same in (
        (Known([first, second], []), True),
        (Known([first], ["0" * 64, second]), True),
        (Known([second, first], []), False),
        (Known([first], []), False),
        (Known([first, "0" * 64], []), False),
        (None, True),
    ):
        lose()
        assert unread(made) == files
        assert (renewed(made, known) == 0) == same, known


def test_after_a_loss_each_content_has_a_generation_of_its_own(made):
    """A result was made again from changed files, its record is lost, and the files change once more."""
    record, files = made
    replaced_in_place(files[0])
    wanted = renewed(made)
    known = Known([sha256(file) for file in files], [])
    record.unlink()
    Path(files[0]).write_text("more")
    assert renewed(made, known) not in (0, wanted)


def test_a_file_that_is_being_written(tmp_path):
    file = tmp_path / "a"
    file.write_text("one")
    with (
        pytest.raises(InputError, match="changed while it was read; run again"),
        sources.recorded(tmp_path / "record", 0, [str(file)]),
    ):
        file.write_text("three")
    assert not (tmp_path / "record").exists()


def test_nothing_is_recorded_of_what_has_no_sources(tmp_path):
    with sources.recorded(tmp_path / "record", 0, []):
        pass
    assert not (tmp_path / "record").exists()


def verified(path: Path, root: Path) -> Sequence[tuple[str, list[str]]]:
    return [
        (os.path.relpath(result, root), problems)
        for result, problems in sources.verify(path, Layout(str(root)))
    ]


def test_verification_compares_content_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, files = tmp_path / "results", ["a", "b"]
    for file in files:
        Path(file).write_text(file)
    layout = Layout(str(root))
    parts = [f"{root}/datasets/d.zarr/p", f"{root}/predictions/d/m.zarr/p"]
    for part, file in zip(parts, files, strict=True):
        with sources.recorded(layout.sources(part), 0, [file]):
            pass
    Path(layout.renewed).write_text("[]")
    os.utime("a", ns=(OLD, OLD))
    assert verified(root, root) == [("datasets/d.zarr/p", []), ("predictions/d/m.zarr/p", [])]
    with_its_date_kept("b")
    wrong = ("predictions/d/m.zarr/p", ["b: is not what it was made from"])
    assert verified(root, root) == [("datasets/d.zarr/p", []), wrong]
    assert verified(root / "predictions", root) == [wrong]
    assert verified(root / "datasets", root) == [("datasets/d.zarr/p", [])]
    (tmp_path / "a").unlink()
    assert verified(root / "datasets", root) == [("datasets/d.zarr/p", ["a: is missing"])]
