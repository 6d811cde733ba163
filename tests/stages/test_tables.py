"""The tables of a paper, and the intervals in them."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ensir.config.schema import Config
from ensir.scoring import scores
from ensir.scoring.interval import intervals
from ensir.scoring.rows import COLUMNS, write_csv
from ensir.stages import tables
from ensir.stages.score import score
from ensir.stages.summarize import summarize
from ensir.storage import writing
from ensir.storage.layout import Place

IMAGES = [f"image{i}" for i in range(40)]
LEVELS = {
    "weak": 28.0,
    "strong": 30.0,
    "average": 30.5,
    "ensir": 30.6,
    "near": 30.5,
    "narrow": 30.7,
    "few": 30.1,
}
METHODS = {
    "average": {},
    "ensir": {"bin_width": 32},
    "near": {"kind": "zzpm"},
    "narrow": {"kind": "ensir", "bin_width": 16},
    "few": {"kind": "ensir", "max_steps": 10},
}


def experiment(**score: Any) -> dict[str, Any]:
    section = {"models": ["weak", "strong"], "reference": "ref", "tests": ["set_5"], "methods": METHODS}
    config = Config.model_validate(
        {
            "datasets": {n: {"kind": "folder", "target": f"{n}/*.png"} for n in ("ref", "set_5")},
            "models": {n: {"kind": "folder", "path": f"{{dataset}}/{n}/*.png"} for n in ("weak", "strong")},
            "experiments": {"sr": {**section, "score": score}},
        }
    )
    return config.experiments["sr"].model_dump(mode="json")


def value(method: str, image: str, metric: str) -> float:
    """Images differ much, methods little; `near` is now above, now below the average."""
    random = np.random.default_rng([*image.encode(), *metric.encode()])
    level = LEVELS[method] + random.normal(0, 3)
    if method == "near":
        level += 0.01 * (-1) ** int(image.removeprefix("image"))
    return {"psnr": level, "ssim": level / 40, "lpips": 1 - level / 40, "seconds": level / 1000}[metric]


def write_scores(folder: Path, metrics: list[str]) -> tuple[str, str]:
    """Write scores.csv and summary.csv."""
    rows = [
        {
            "experiment": "sr",
            "dataset": "set_5",
            "method": m,
            "image": i,
            "metric": k,
            "value": value(m, i, k),
        }
        for m in LEVELS
        for k in metrics
        for i in IMAGES
        if k != "seconds" or m in METHODS
    ]
    means: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        means.setdefault((row["method"], row["metric"]), []).append(row["value"])
    summary = [
        {"experiment": "sr", "dataset": "set_5", "method": m, "metric": k, "mean": np.mean(v), "n": len(v)}
        for (m, k), v in means.items()
    ]
    summary += [
        {"experiment": "sr", "dataset": "ref", "method": m, "metric": "fit_seconds", "mean": 2.5, "n": 1}
        for m in ("ensir", "narrow")
        if "seconds" in metrics
    ]
    for name, table in (("scores", rows), ("summary", summary)):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, table[0])
            writer.writeheader()
            writer.writerows(table)
    return str(folder / "scores.csv"), str(folder / "summary.csv")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    files = write_scores(folder, ["psnr", "ssim", "seconds"])
    tables.tables(Place.beside(folder / "tables"), {"sr": experiment()}, *files)
    return folder / "tables/sr"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def cells(path: Path) -> dict[str, list[str]]:
    """Return the rows of a Markdown table by their first cell."""
    lines = [line.strip("| ").split(" | ") for line in path.read_text().splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines[2:]}


def test_every_table_in_every_form(written: Path):
    names = {"comparison", "differences", "bin_width", "max_steps", "runtime"}
    assert {path.name for path in written.iterdir()} == {
        f"{n}.{end}" for n in names for end in ("csv", "md", "tex")
    }


def test_no_table_of_what_was_not_measured(tmp_path: Path):
    section = experiment()
    section["methods"] = {name: section["methods"][name] for name in ("average", "ensir")}
    files = write_scores(tmp_path, ["psnr", "ssim"])
    tables.tables(Place.beside(tmp_path / "tables"), {"sr": section}, *files)
    assert {path.stem for path in (tmp_path / "tables/sr").iterdir()} == {"comparison", "differences"}


def test_comparison_marks_what_is_not_significant(written: Path):
    table = cells(written / "comparison.md")
    assert table["narrow"][0].startswith("**")
    assert table["ensir"][0].startswith("<u>")
    assert [name for name, row in table.items() if "†" in row[0]] == ["near"]
    assert not any("‡" in row[0] for row in table.values())
    assert rows(written / "comparison.csv")[0]["images"] == "40"


def test_differences_have_the_intervals(written: Path):
    found = {
        (row["method"], row["baseline"]): row
        for row in rows(written / "differences.csv")
        if row["metric"] == "psnr"
    }
    gain = np.array([value("near", i, "psnr") - value("average", i, "psnr") for i in sorted(IMAGES)])
    row = found["near", "average"]
    expected = intervals(gain[None])[0]
    np.testing.assert_allclose([float(row[k]) for k in ("difference", "low", "high")], expected, atol=1e-6)
    assert (row["significant"], found["ensir", "average"]["significant"]) == ("no", "yes")
    assert ("average", "strong") in found
    assert ("average", "average") not in found
    text = (written / "differences.md").read_text()
    assert re.search(r"\| ensir \| \+0\.100 \[\+0\.100, \+0\.100\] \|", text)
    assert "n.s." in text


def test_sweeps_hold_methods_that_differ_in_one_option(written: Path):
    width = [(row["bin_width"], row["metric"]) for row in rows(written / "bin_width.csv")]
    assert [value for value, metric in width if metric == "psnr"] == ["16", "32"]
    assert {metric for _, metric in width} == {"fit_seconds", "seconds", "psnr", "ssim"}
    steps = [row["max_steps"] for row in rows(written / "max_steps.csv") if row["metric"] == "ssim"]
    assert steps == ["10", "1000"]


def test_times_of_fits_and_fusing(written: Path):
    found = {(r["method"], r["dataset"], r["metric"]): r["seconds"] for r in rows(written / "runtime.csv")}
    assert float(found["ensir", "ref", "fit_seconds"]) == 2.5
    assert found["near", "ref", "fit_seconds"] == "nan"
    assert float(found["near", "set_5", "seconds"]) == pytest.approx(0.0305, abs=0.002)
    assert cells(written / "runtime.md")["near"][0] == "–"


def test_instances_of_a_sweep_are_not_in_the_comparison():
    config = experiment()
    config["sweep"] = {"bin_width": [16, 32], "max_steps": []}
    config["methods"]["ensir_b32"] = config["methods"]["ensir"]
    assert [name for _, name in tables.compared(config)] == [
        "weak",
        "strong",
        "average",
        "ensir",
        "near",
        "few",
    ]


def test_lower_is_better(tmp_path: Path):
    lpips = {"kind": "function", "function": "a.b:c", "higher_is_better": False}
    files = write_scores(tmp_path, ["psnr", "lpips"])
    section = experiment(metrics={"psnr": {}, "lpips": lpips})
    tables.tables(Place.beside(tmp_path / "tables"), {"sr": section}, *files)
    table = cells(tmp_path / "tables/sr/comparison.md")
    assert [row[1].strip("*†‡<u>/") for row in table.values()][-1] == table["few"][1]
    assert table["narrow"][1].startswith("**")
    assert table["weak"][1] == scores.Metric("", "", 4).text(
        np.mean([value("weak", i, "lpips") for i in IMAGES])
    )
    assert "lower is better in lpips" in (tmp_path / "tables/sr/comparison.tex").read_text()


def test_tables_leave_out_what_some_row_restores_perfectly(tmp_path: Path):
    """Means and intervals are over the images that are finite in every row, and captions say so."""
    psnr = {"weak": [30, 29, 28], "strong": [31, 31, 29], "average": [32, 30, 30], "ensir": [np.inf, 31, 33]}
    rows_ = [("sr", "set_5", m, f"i{i}", "psnr", float(v)) for m in psnr for i, v in enumerate(psnr[m])]
    write_csv(tmp_path / "part.csv", COLUMNS, rows_)
    files = Place.beside(tmp_path / "scores.csv"), Place.beside(tmp_path / "summary.csv")
    summarize(*files, [str(tmp_path / "part.csv")])
    section = experiment(metrics={"psnr": {}})
    section["methods"] = {name: section["methods"][name] for name in ("average", "ensir")}
    tables.tables(Place.beside(tmp_path / "tables"), {"sr": section}, *(str(file.path) for file in files))
    found = {
        row["method"]: (row["mean"], row["images"]) for row in rows(tmp_path / "tables/sr/comparison.csv")
    }
    assert found == {
        "weak": ("28.5", "2"),
        "strong": ("30", "2"),
        "average": ("30", "2"),
        "ensir": ("32", "2"),
    }
    gain = {
        row["method"]: row
        for row in rows(tmp_path / "tables/sr/differences.csv")
        if row["baseline"] == "average"
    }
    assert [gain["ensir"][column] for column in ("difference", "low", "high")] == [
        "2",
        "-10.7062047",
        "14.7062047",
    ]
    said = "PSNR on set_5: 1 of 3 images is restored perfectly by some row (infinite); means are over the other 2."
    for name in ("comparison", "differences"):
        assert said in (tmp_path / f"tables/sr/{name}.md").read_text()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_latex_compiles(written: Path, tmp_path: Path):
    inputs = "\n".join(rf"\input{{{path}}}" for path in sorted(written.glob("*.tex")))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_latex_is_balanced(written: Path):
    for path in written.glob("*.tex"):
        body = [line for line in path.read_text().splitlines() if line.endswith(r"\\")]
        spans = len(re.findall(r"\\multicolumn", body[0]))
        columns = sum(map(int, re.findall(r"\\multicolumn\{(\d+)\}", body[0]))) + body[0].count("&") - spans
        assert {line.count("&") for line in body[1:]} == {columns}
        assert not re.search(r"(?<!\\)_", path.read_text())


# ── intervals ────────────────────────────────────────────────────────────────────────────────────────────────


def test_interval_is_that_of_scipy():
    sample = np.random.default_rng(1).normal(0.05, 0.2, (2, 5))
    for row, found in zip(sample, intervals(sample), strict=True):
        expected = stats.ttest_1samp(row, 0).confidence_interval(0.95)
        np.testing.assert_allclose(found[1:], expected, rtol=1e-12)
        assert found.mean == row.mean()


@pytest.mark.parametrize("images", [2, 3, 4, 60])
def test_interval_covers_as_often_as_it_says(images: int):
    sample = np.random.default_rng(2).normal(0, 1, (4000, images))
    assert 0.94 < np.mean([found.holds_zero for found in intervals(sample)]) < 0.96


@pytest.mark.parametrize("row", [[0.3], [np.inf, 0.1, 0.2], [np.nan, 0.1, 0.2], []])
def test_no_interval_where_none_can_be(row: list[float]):
    (found,) = intervals(np.array([row]))
    assert np.isnan(found.low)
    assert not found.holds_zero


def test_nothing_is_said_of_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_tables.IMAGES", IMAGES[:1])
    files = write_scores(tmp_path, ["psnr"])
    tables.tables(Place.beside(tmp_path / "tables"), {"sr": experiment()}, *files)
    assert not {"†", "‡"} & set("".join((tmp_path / "tables/sr/comparison.csv").read_text()))
    assert {row["significant"] for row in rows(tmp_path / "tables/sr/differences.csv")} == {""}
    assert all(
        "n.s." not in cell for row in cells(tmp_path / "tables/sr/differences.md").values() for cell in row
    )


def test_metrics_stay_in_the_order_of_the_configuration(tmp_path: Path):
    """Each experiment has its own."""
    parts, files = [], []
    for part in ("dataset", "fused"):
        attributes = {"images": ["b"], "bits": 8, "value_range": [0, 255]}
        parts.append(str(tmp_path / part))
        with writing.new_group(Place.beside(tmp_path / part), attributes) as group:
            writer = writing.ImageWriter(group, ["b"], [(16, 16, 3)], np.uint8)
            writer.append(np.full((3, 256), len(part), np.uint8))
            writer.close()
    for name, metrics in {"one": ["ssim", "psnr", "gmsd"], "other": ["psnr", "gmsd", "ssim"]}.items():
        settings = {"space": "rgb", "crop": 0, "rounded": False, "metrics": {m: {"kind": m} for m in metrics}}
        files.append(tmp_path / f"{name}.csv")
        score(Place.beside(files[-1]), name, "test", "ensir", settings, *parts, lambda *_: None)
    summary = tmp_path / "summary.csv"
    summarize(Place.beside(tmp_path / "scores.csv"), Place.beside(summary), list(map(str, files)))
    with open(summary, newline="") as file:
        assert [row["metric"] for row in csv.DictReader(file)] == [
            "ssim",
            "psnr",
            "gmsd",
            "psnr",
            "gmsd",
            "ssim",
        ]
