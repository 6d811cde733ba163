"""Image files: names, reading, writing, and what is refused."""

from __future__ import annotations

import glob
import os
import struct
import unicodedata
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ensir.errors import InputError
from ensir.images import image_files, listing
from ensir.images.depth import to_integers


def paths(folder: Path, *names: str) -> None:
    for name in names:
        image_files.write(folder / name, np.zeros((2, 3, 1), np.uint8))


def test_names_keep_sub_folders_and_lose_declared_suffixes(tmp_path: Path):
    paths(tmp_path, "gt/faces/baby_x4.png", "gt/bird_x4.png", "gt/notes_x4.png")
    (tmp_path / "gt/readme.txt").write_text("no image")
    found = listing.find(f"{tmp_path}/gt/**/*", "key", "_x4", exclude=["note*"])
    assert found == {"bird": f"{tmp_path}/gt/bird_x4.png", "faces/baby": f"{tmp_path}/gt/faces/baby_x4.png"}


def test_one_name_twice(tmp_path: Path):
    paths(tmp_path, "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match=r"the same name 'a'; remove one"):
        listing.find(f"{tmp_path}/*", "key")


def test_undeclared_suffix(tmp_path: Path):
    paths(tmp_path, "a_x4.png", "b.png")
    with pytest.raises(InputError, match=r"key: .*b\.png does not end in the declared suffix '_x4'"):
        listing.find(f"{tmp_path}/*.png", "key", "_x4")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_read_gives_what_was_written(tmp_path: Path, dtype, channels: int, extension: str):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (5, 7, channels)).astype(dtype)
    path = tmp_path / f"image.{extension}"
    if extension == "png":
        image_files.write(path, image)
    else:
        tifffile.imwrite(path, image.squeeze(), compression="lzw")
    read = image_files.read(str(path))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)
    assert image_files.shape(str(path)) == image.shape


def test_jpeg(tmp_path: Path):
    image = np.full((16, 16, 3), 90, np.uint8)
    PIL.Image.fromarray(image).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(image_files.read(str(tmp_path / "a.jpg")).astype(int) - 90).max() <= 1


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def broken_files() -> dict[str, tuple[bytes, str]]:
    whole = imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8))
    deep = imagecodecs.png_encode(np.random.default_rng(0).integers(0, 9999, (20, 20, 3)).astype(np.uint16))
    return {
        "truncated.png": (whole[:-300], "cannot be read as an image"),
        "truncated16.png": (deep[:-300], "cannot be read as an image"),
        "empty.png": (b"", "cannot be read as an image"),
        "text.jpg": (b"no image at all", "cannot be read as an image"),
        "text.tif": (b"no image at all", "cannot be read as an image"),
        "huge.png": (png(16_500, 16_500), "claims 16500×16500 pixels"),
        "lying.png": (png(4000, 4000), "cannot be read as an image"),
        "alpha.png": (
            imagecodecs.png_encode(np.zeros((4, 4, 4), np.uint8)),
            "the last is no opaque alpha channel",
        ),
        "grey_alpha.png": (
            imagecodecs.png_encode(np.zeros((4, 4, 2), np.uint8)),
            "the last is no opaque alpha channel",
        ),
    }


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_are_named(tmp_path: Path, name: str):
    content, message = broken_files()[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        image_files.read(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_colours_one_after_the_other(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "planes.tif"
    tifffile.imwrite(path, image.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(image_files.read(str(path)), image)
    assert image_files.shape(str(path)) == (5, 7, 3)


def test_the_size_of_a_tiff_is_read_from_its_header(tmp_path: Path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 256, (64, 48), np.uint8))
    path.write_bytes(path.read_bytes()[:-1000])
    assert image_files.shape(str(path)) == (64, 48, 1)
    with pytest.raises(InputError, match=r"cut\.tif"):
        image_files.read(str(path))


# ── find ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_may_have_any_name(tmp_path: Path):
    paths(tmp_path, "my photos [2024]*/deep/a.png")
    folder = f"{tmp_path}/my photos [2024]*"
    assert listing.find("**/*", "key", folder=folder) == {"deep/a": f"{folder}/deep/a.png"}


def found(pattern: str, **options) -> set[str]:
    return set(listing.find(pattern, "key", **options))


@pytest.mark.parametrize(
    "pattern",
    [
        "gt/*.png", "gt/*", "gt/a.png", "g*/a.png", "./gt/[a-b].png", "*/*.png", "**/a.png", "**/*.png", "gt/**", "**",
        "gt/**/*", "gt/../gt/*.png", "gt//*.png", "*/deep/*.png", "gt/.*.png", "**/deep/**/*.png", ".h/*", "*/*/*.png",
        "?t/?.png", "no/*.png", "gt/a.png/*", "[!x]*/a.*",
    ],
)  # fmt: skip
@pytest.mark.parametrize("absolute", [False, True])
def test_patterns_match_what_glob_matches(tmp_path: Path, monkeypatch, pattern: str, absolute: bool):
    paths(
        tmp_path,
        "a.png",
        "gt/a.png",
        "gt/b.png",
        "gt/.hidden.png",
        "gt/deep/c.png",
        "gt/deep/er/d.png",
        ".h/e.png",
    )
    (tmp_path / "gt/notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    pattern = f"{tmp_path}/{pattern}" if absolute else pattern
    expected = {
        os.path.normpath(path) for path in glob.glob(pattern, recursive=True) if path.endswith(".png")
    }
    if not expected:
        with pytest.raises(InputError, match="no image matches"):
            listing.find(pattern, "key")
    else:
        assert {os.path.normpath(path) for path in listing.find(pattern, "key").values()} == expected


def test_a_folder_stands_for_its_images(tmp_path: Path, monkeypatch):
    paths(tmp_path, "gt/a.png", "gt/b.png", "gt/deep/c.png")
    (tmp_path / "gt/readme.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    assert listing.find("gt", "key") == listing.find("gt/", "key") == {"a": "gt/a.png", "b": "gt/b.png"}
    monkeypatch.setenv("HOME", str(tmp_path))
    for pattern in ("~/gt", "~/gt/*.png"):
        assert listing.find(pattern, "key") == {name: f"{tmp_path}/gt/{name}.png" for name in "ab"}
    with pytest.raises(InputError, match=r"no image matches '\*/deep'.*; it matches folders: add /\*"):
        listing.find("*/deep", "key")


def test_folders_that_link_to_themselves(tmp_path: Path):
    paths(tmp_path, "gt/a.png", "gt/sub/b.png")
    os.symlink(".", tmp_path / "gt/latest")
    os.symlink(".", tmp_path / "gt/current")
    os.symlink("..", tmp_path / "gt/sub/up")
    os.symlink("sub", tmp_path / "gt/alias")
    assert found(f"{tmp_path}/gt/**/*.png") == {"a", "sub/b"}
    assert found("**/*", folder=f"{tmp_path}/gt") == {"a", "sub/b"}


def test_a_folder_behind_a_link_is_found(tmp_path: Path):
    paths(tmp_path, "elsewhere/a.png", "elsewhere/deep/b.png")
    (tmp_path / "gt").mkdir()
    os.symlink("../elsewhere", tmp_path / "gt/set")
    os.symlink("../elsewhere/a.png", tmp_path / "gt/c.png")
    os.symlink("nowhere", tmp_path / "gt/gone")
    os.symlink("itself", tmp_path / "gt/itself")
    assert found(f"{tmp_path}/gt/**/*.png") == {"c", "set/a", "set/deep/b"}


@pytest.mark.parametrize(
    ("aim", "fix"),
    [
        (".git/annex/objects/W1/Xk/SHA256E-s9--0.png/SHA256E-s9--0.png", "run `git annex get`"),
        ("/home/me/.cache/dvc/files/md5/ab/cdef", "run `dvc pull`"),
        ("../originals/a.png", "restore the file, or remove the link"),
    ],
)
def test_broken_links(tmp_path: Path, aim: str, fix: str):
    paths(tmp_path, "gt/whole.png")
    os.symlink(aim, tmp_path / "gt/a.png")
    os.symlink(aim, tmp_path / "gt/b.png")
    message = rf"key: .*gt/a.png links to {aim}, which does not exist \(as do 1 others in .*gt\); {fix}"
    with pytest.raises(InputError, match=message):
        listing.find(f"{tmp_path}/gt/*.png", "key")
    assert found(f"{tmp_path}/gt/*.png", exclude=["a", "b"]) == {"whole"}
    os.symlink("missing", tmp_path / "linked")
    with pytest.raises(InputError, match="linked links to missing, which does not exist; restore"):
        listing.find(f"{tmp_path}/linked/*.png", "key")


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("ensir")]
    caplog.clear()
    return messages


def test_images_that_are_passed_over_are_told_of(tmp_path: Path, caplog):
    paths(
        tmp_path,
        "gt/a.png",
        "gt/b.PNG",
        "gt/.c.png",
        "gt/._a.png",
        "gt/a_x4.png",
        "gt/d.jpg",
        "elsewhere/e.JPG",
    )
    (tmp_path / "gt/notes.txt").write_text("")
    (tmp_path / "gt/f.gif").write_text("")
    gt = f"{tmp_path}/gt"
    assert found(f"{gt}/*.png") == {"a", "a_x4"}
    (message,) = warnings_of(caplog)
    assert message.startswith(
        f"key: {gt + '/*.png'!r} passes over 4 images beside those it finds, the first {gt}/.c.png"
    )
    assert listing.find(f"{gt}/*.png", "key", exclude=["a_*"]).beside == 4 + 1
    warnings_of(caplog)
    assert listing.find(f"{gt}/*_x4.png", "key").beside == 0
    assert found(f"{gt}/*_x4.png") == {"a_x4"}  # other names are passed over on purpose
    assert found(f"{gt}/a.png") == {"a"}
    assert not warnings_of(caplog)
    assert found(f"{gt}/*") == {"a", "b", "a_x4", "d"}
    (message,) = warnings_of(caplog)
    assert "passes over 2 images" in message
    with pytest.raises(
        InputError, match=r"no image matches.*\(1, the first .*elsewhere/e.JPG\): fix the pattern"
    ):
        listing.find(f"{tmp_path}/elsewhere/*.png", "key")


def test_what_is_excluded_must_be_there(tmp_path: Path):
    paths(tmp_path, "gt/baby.png", "gt/bird.png")
    pattern = f"{tmp_path}/gt/*.png"
    assert found(pattern, exclude=["ba*"]) == {"bird"}
    with pytest.raises(
        InputError, match="key: `exclude` names 'babby', which matches no image; did you mean 'baby'"
    ):
        listing.find(pattern, "key", exclude=["babby"])
    with pytest.raises(
        InputError, match="`exclude` names 'zzz', which matches no image; fix the name, or remove it"
    ):
        listing.find(pattern, "key", exclude=["zzz", "bird"])
    with pytest.raises(InputError, match="`exclude` leaves none of 2 images; narrow it"):
        listing.find(pattern, "key", exclude=["b*"])
    assert found(pattern, exclude=["zzz"], unmatched_excludes=True) == {"baby", "bird"}


def test_brackets_of_a_folder(tmp_path: Path):
    paths(tmp_path, "[test]/gt/a1.png", "[test]/gt/[b].png")
    for below, right in (("[test]/gt/*.png", "[[]test]/gt/*.png"), ("[test]/gt/a[0-9].png", "[[]test]/gt/a[0-9].png"),
                         ("[test]/gt/[b].png", "[[]test]/gt/[[]b].png")):  # fmt: skip
        with pytest.raises(
            InputError, match="brackets stand for one of the characters in them; write"
        ) as error:
            listing.find(f"{tmp_path}/{below}", "key")
        assert str(error.value).endswith(f"write '{tmp_path}/{right}'")
        assert listing.find(f"{tmp_path}/{right}", "key")


def test_folders_that_may_not_be_read(tmp_path: Path, caplog, monkeypatch):
    paths(tmp_path, "gt/a.png", "gt/closed/b.png")
    scandir = os.scandir

    def listed(folder: str):
        if folder.endswith("closed"):
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", listed)
    assert found(f"{tmp_path}/gt/**/*.png") == {"a"}
    assert f"key: 1 folders cannot be read, the first {tmp_path}/gt/closed" in warnings_of(caplog)
    with pytest.raises(InputError, match="closed cannot be read; change its permissions"):
        listing.find(f"{tmp_path}/gt/closed/*.png", "key")


def test_many_files_are_listed_fast(tmp_path: Path, monkeypatch):
    (tmp_path / "gt").mkdir()
    for i in range(2000):
        (tmp_path / f"gt/{i:05}.png").touch()
    scanned, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: scanned.append(folder) or scandir(folder))
    monkeypatch.setattr(os, "stat", None)
    assert len(found(f"{tmp_path}/gt/*.png")) == 2000
    assert scanned == [f"{tmp_path}/gt"]


# ── match ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_that_are_missing_or_have_other_names():
    names = {name: name for name in ("a", "b", "c")}
    assert listing.match(names, {name: f"{name}.png" for name in "dcba"}, "key") == {
        n: f"{n}.png" for n in "abc"
    }
    with pytest.raises(InputError) as error:
        listing.match(names, {"a": "a.png"}, "key")
    assert str(error.value) == (
        "key: no file for 'b', 'c' (2 of 3 images); add the files, or exclude the images from the dataset"
    )
    with pytest.raises(InputError) as error:
        listing.match(names, {"a": "a.png", "b_x4": "", "c_x4": ""}, "key")
    assert str(error.value) == (
        "key: no file for 'b', 'c' (2 of 3 images); it holds 'b_x4', 'c_x4' instead: if these are the same images, "
        "rename the files, or declare a suffix; if not, add the files, or exclude the images from the dataset"
    )
    found = listing.Images({"a_x4": "", "b_x4": "", "c_x4": ""})
    found.parts = ("image",)
    with pytest.raises(
        InputError, match=r"rename the files, or write what is no part of the names into the pattern; if"
    ):
        listing.match(names, found, "key")
    assert listing.match({"a": "a.png"}, {"a": "a", "b": "b"}, "key").unmatched == ["b"]


def test_accents_are_written_in_two_ways(tmp_path: Path, caplog):
    composed, decomposed = (unicodedata.normalize(form, "Zürich/é") for form in ("NFC", "NFD"))
    assert listing.match({composed: "t"}, {decomposed: "p", "x": "q"}, "key") == {composed: "p"}
    (message,) = warnings_of(caplog)
    assert "1 names match except for how Unicode writes their accents" in message
    listing.match({composed: "t"}, {composed: "p"}, "key")
    assert not warnings_of(caplog)
    with pytest.raises(InputError, match="differ only in how Unicode writes the accents"):
        listing.match({composed: "t"}, {decomposed: "p", composed: "q"}, "key")
    paths(tmp_path, f"{composed}.png", f"{decomposed}.png")
    with pytest.raises(InputError, match="differ only in how Unicode writes the accents"):
        listing.find(f"{tmp_path}/**/*.png", "key")
    os.remove(tmp_path / f"{decomposed}.png")
    with pytest.raises(InputError, match="leaves none of 1 images"):
        listing.find(f"{tmp_path}/**/*.png", "key", exclude=[decomposed])


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


@given(arrays.arrays(np.float64, 20, elements=st.floats(-1e6, 1e6)))
def test_rounding(value: np.ndarray):
    rounded = to_integers(value, np.uint8, "x")
    assert rounded.dtype == np.uint8
    assert (np.abs(rounded - np.clip(value, 0, 255)) <= 0.5).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(bad: float):
    with pytest.raises(InputError, match="prediction: 1 of 3 values are NaN or infinite"):
        to_integers(np.array([0.0, bad, 1.0]), np.uint8, "prediction")
