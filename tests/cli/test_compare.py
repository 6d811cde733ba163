"""`ensir compare`: what differs between two runs."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ensir.cli import app

PACKAGES = {"numpy": "2.4.6", "zarr": "3.1.6"}
SCORES = {
    ("denoise", "set5", "average", "psnr"): {"baby": 30.0, "bird": 31.0},
    ("denoise", "set5", "ensir", "psnr"): {"baby": 30.5, "bird": 31.2},
}


def run(folder: Path, packages: dict[str, str], bin_width: int, scores: dict, **results: str) -> Path:
    """Write what a run leaves of itself."""
    folder.mkdir()
    config = {"experiments": {"denoise": {"methods": {"ensir": {"kind": "ensir", "bin_width": bin_width}}}}}
    record = {
        "run": {
            "host": folder.name,
            "time": folder.name,
            "commit": "ab12",
            "packages": packages,
            "config": config,
        },
        "results": {f"{folder}/{path.replace('__', '/')}": {"sha256": sha} for path, sha in results.items()},
    }
    (folder / "provenance.json").write_text(json.dumps(record))
    header = ["experiment", "dataset", "method", "metric"]
    rows = [(*key, image, value) for key, values in scores.items() for image, value in values.items()]
    write(folder / "scores.csv", [*header, "image", "value"], rows)
    means = [(*key, sum(values.values()) / len(values)) for key, values in scores.items()]
    write(folder / "summary.csv", [*header, "mean"], means)
    return folder


def write(path: Path, header: list[str], rows: list[tuple[Any, ...]]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def compared(*folders: Path, code: int = 0, more: tuple[str, ...] = ()) -> str:
    done = CliRunner().invoke(app, ["compare", *map(str, folders), *more])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return run(tmp_path / "a", PACKAGES, 32, SCORES, datasets__x="1", luts__x="2", fused__y="3")


def test_what_differs(before: Path, tmp_path: Path):
    """A change of a setting, a version, a LUT and a score; a method more; one image less."""
    scores = {key: dict(values) for key, values in SCORES.items()}
    scores["denoise", "set5", "ensir", "psnr"] = {"baby": 30.9, "butterfly": 28.0}
    scores["denoise", "set5", "zzpm", "psnr"] = {"baby": 30.0}
    packages = {"numpy": "2.4.7", "zarr": "3.1.6", "pytest": "9"}
    after = run(tmp_path / "b", packages, 16, scores, datasets__x="1", luts__x="other", luts__z="4")
    printed = compared(before, after)
    for line in (
        "made differently:",
        "  packages.numpy: 2.4.6 → 2.4.7",
        "  config.experiments.denoise.methods.ensir.bin_width: 32 → 16",
        "scores: 1 row equal to the bit, 1 different",
        "only in B: 1 row",
        "  denoise set5 zzpm psnr",
    ):
        assert line in printed.splitlines()
    assert "packages.pytest" not in printed
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line[:1] == "│"
    ]
    assert ["datasets", "0", "0", "0", "1"] in rows
    assert ["luts", "0", "1", "1", "0"] in rows
    assert ["fused", "1", "0", "0", "0"] in rows
    # Over the image that both have, of which no interval can be.
    assert ["denoise", "set5", "ensir", "psnr", "30.5000", "30.9000", "+0.4000", "–", "1"] in rows


def test_what_one_run_lacks_is_one_line(before: Path, tmp_path: Path):
    """An experiment, a test set of one that both have, a method there; in the terminal and on the page."""
    more = [("sharpen", "set5", "average"), ("sharpen", "set14", "ensir"), ("denoise", "set14", "average")]
    more += [("denoise", "set14", "ensir"), ("denoise", "set5", "zzpm")]
    added = {(*key, metric): {"baby": 30.0} for key in more for metric in ("psnr", "ssim")}
    after = run(tmp_path / "b", PACKAGES, 32, SCORES | added, datasets__x="1")
    file = tmp_path / "changes.html"
    lines = compared(before, after, more=("--html", str(file))).splitlines()
    start = lines.index("only in B: 10 rows") + 1
    assert lines[start : start + 3] == [
        "  sharpen (4 rows)", "  denoise set14 (4 rows)", "  denoise set5 zzpm (2 rows)"
    ]  # fmt: skip
    assert "only in A" not in "".join(lines[start:])
    page = file.read_text(encoding="utf-8")
    assert "<summary>Only in B: 10</summary>" in page
    assert re.findall("<li>(.*rows.*)</li>", page) == [
        "sharpen (4 rows)", "denoise · set14 (4 rows)", "denoise · set5 · zzpm (2 rows)"
    ]  # fmt: skip


def test_equal_runs(before: Path, tmp_path: Path):
    after = run(tmp_path / "b", PACKAGES, 32, SCORES, datasets__x="1", luts__x="2", fused__y="3")
    printed = compared(before, after)
    assert "made alike" in printed
    assert "scores: 2 rows equal to the bit, 0 different" in printed


def test_equal_images_are_equal_however_they_were_made(before: Path, tmp_path: Path):
    """Those of a run and of its published copy, of which parts and seals tell another story."""
    after = run(tmp_path / "b", PACKAGES, 32, SCORES, datasets__x="1", luts__x="2", fused__y="3")
    for folder, sha in ((before, "5"), (after, "6")):
        record = json.loads((folder / "provenance.json").read_text())
        store = f"{folder}/predictions/set5/IMDN.zarr"
        record["results"] |= {
            f"{store}/zarr.json": {"sha256": sha},
            f"{store}/0a": {"sha256": sha, "images": "same"},
            f"{store}/0b": {"sha256": sha, "images": sha},
            f"{store}/0c": {
                "sha256": sha,
                **({"images": "new"} if folder == after else {}),
            },  # an older record
        }
        (folder / "provenance.json").write_text(json.dumps(record))
    assert re.search(r"predictions *│ *0 *│ *0 *│ *2 *│ *1 ", compared(before, after))


def test_a_folder_without_a_run(before: Path, tmp_path: Path):
    assert "no such file; name the results folder of a run that has ended" in compared(
        before, tmp_path, code=2
    )


def test_scores_that_measure_something_else_are_not_compared(before: Path, tmp_path: Path):
    """In another space, or of other images of the same names: said, counted, and no difference is printed."""
    scores = {key: {image: v + 1 for image, v in values.items()} for key, values in SCORES.items()}
    after = run(tmp_path / "b", PACKAGES, 32, scores, datasets__set5=".", luts__x="2")
    for folder, space, digest in ((before, "y", "1"), (after, "rgb", "2")):
        record = json.loads((folder / "provenance.json").read_text())
        score = {"space": space, "metrics": {"psnr": {"kind": "psnr", "printed": {"label": space}}}}
        record["run"]["config"]["experiments"]["denoise"]["score"] = score
        record["results"] |= {f"{folder}/datasets/set5.zarr/0a": {"sha256": digest}}
        (folder / "provenance.json").write_text(json.dumps(record))
    file = tmp_path / "changes.html"
    printed = compared(before, after, more=("--html", str(file)))
    assert "scores: 0 rows equal to the bit, 0 different" in printed
    assert "  denoise: space y → rgb, other images in set5 (2 rows)" in printed.splitlines()
    assert "denoise: space y → rgb, other images in set5 (2 rows)" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("damaged", ["", "[]", '{"run": {}}', '{"run": 1, "results": {}}'])
def test_a_record_that_is_none(before: Path, tmp_path: Path, damaged: str):
    other = tmp_path / "b"
    other.mkdir()
    (other / "provenance.json").write_text(damaged)
    assert "provenance.json: is no record of a run" in compared(before, other, code=2)


@pytest.mark.parametrize("line", ["denoise,set5,average,psnr,baby,", "denoise,set5", "a,b,c,d,e,thirty"])
def test_a_damaged_table_of_scores(before: Path, tmp_path: Path, line: str):
    after = run(tmp_path / "b", PACKAGES, 32, SCORES)
    with open(after / "scores.csv", "a") as file:
        file.write(line)
    told = compared(before, after, code=2)
    assert "scores.csv: line 6 is none of a table of scores; delete the file and run again" in told


def test_as_a_page(before: Path, tmp_path: Path):
    """What is printed is in the page, names with markup as text; equal runs have one, too."""
    bad = "<img src=x onerror=alert(1)>"
    scores = {key: dict(values) for key, values in SCORES.items()}
    scores["denoise", "set5", "ensir", "psnr"] = {"baby": 30.9, "bird": 31.5}
    scores["denoise", bad, "zzpm", "psnr"] = {"baby": 30.0}
    after = run(tmp_path / "b", {"numpy": bad, "zarr": "3.1.6"}, 16, scores, datasets__x="1")
    file = tmp_path / "changes.html"
    assert f"page: {file}" in compared(before, after, more=("--html", str(file))).splitlines()
    page = file.read_text(encoding="utf-8")
    assert bad not in page
    assert page.count(html.escape(bad)) == 2
    assert "1 row is equal to the bit, 1 differs." in page
    assert '<td data-value="0.35">+0.3500</td><td>[-0.2853, +0.9853]</td><td>2</td>' in re.sub(
        r'(?<=data-value=")0\.3[45]\d*', "0.35", page
    )
    assert "config.experiments.denoise.methods.ensir.bin_width" in re.sub("<wbr>", "", page)
    assert re.findall(r"""\b(?:src|href)\s*=\s*["']((?!data:|#)[^"']*)""", page) == []
    compared(before, before, more=("--html", str(file)))
    assert "Alike: configuration, commit, machine and packages." in file.read_text(encoding="utf-8")
