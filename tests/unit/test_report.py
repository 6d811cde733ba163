"""The report: a page made of small real results."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensir import scores
from ensir.config import Config
from ensir.estimate import estimate
from ensir.figures import charts, pictures
from ensir.fuse import fuse
from ensir.ingest import ingest
from ensir.layout import Layout
from ensir.merge import merge
from ensir.partition import partition
from ensir.predict import predict
from ensir.report import report
from ensir.score import score, summarize

RAW = {
    "datasets": {
        "ref": {
            "kind": "photos",
            "images": ["coffee"],
            "size": 64,
            "degradation": {"kind": "downscale", "scale": 2},
        },
        "test": {
            "kind": "photos",
            "images": ["chelsea", "rocket"],
            "size": 64,
            "degradation": {"kind": "downscale", "scale": 2},
        },
    },
    "models": {
        "input": {"kind": "classical", "algorithm": "nearest"},  # called like a picture of the dataset
        "bicubic": {"kind": "classical", "algorithm": "bicubic"},
        "lanczos": {"kind": "classical", "algorithm": "lanczos"},
    },
    "experiments": {
        "sr_x2": {
            "models": ["input", "bicubic", "lanczos"],
            "reference": "ref",
            "tests": ["test"],
            "methods": {
                "average": {"kind": "average"},
                "zzpm": {"kind": "zzpm"},
                "ensir": {"kind": "ensir", "bin_width": 64},
            },
        }
    },
}


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run every stage before the report; return its arguments."""
    config = Config.model_validate(RAW)
    layout = Layout(str(tmp_path_factory.mktemp("run") / "results"))
    for name, dataset in config.datasets.items():
        part, settings = f"{layout.dataset(name)}/p", dataset.model_dump(mode="json")
        ingest(layout.place(part), name, list(dataset.images), settings, [], [], None, quiet)
        for model, section in config.models.items():
            place = layout.place(f"{layout.predictions(name, model)}/p")
            predict(place, part, layout.digest(part), model, section.model_dump(mode="json"), [], None, quiet)
    experiment = config.experiments["sr_x2"].model_dump(mode="json")
    models, methods = experiment["models"], experiment["methods"]
    statistics, lut = layout.statistics("sr_x2"), layout.lut("sr_x2", "ensir")
    reference = [f"{layout.predictions('ref', model)}/p" for model in models]
    parts = [f"{layout.dataset('ref')}/p"]
    partition(layout.place(statistics), "ref", models, parts, [reference], 64, "threads", quiet)
    shard = layout.weights("sr_x2", "ensir", 0)
    estimate(layout.place(shard), statistics, methods["ensir"], 0, 1, "cpu", quiet)
    merge(layout.place(lut), "ensir", methods["ensir"], statistics, [shard])

    target = f"{layout.dataset('test')}/p"
    predictions = {model: f"{layout.predictions('test', model)}/p" for model in models}
    fitted = {method: lut if method == "ensir" else None for method in methods}
    fused = {method: f"{layout.fused('sr_x2', 'test', method)}/p" for method in methods}
    for method, path in fused.items():
        paths = list(predictions.values())
        fuse(layout.place(path), method, methods[method], fitted[method], target, models, paths, [], quiet)
    scored = []
    for method, path in {**predictions, **fused}.items():
        scored.append(layout.scores("sr_x2", "test", method))
        place = layout.file(scored[-1])
        score(place, "sr_x2", "test", method, experiment["score"], [target], [path], quiet)
    scores, summary = f"{layout.root}/scores.csv", f"{layout.root}/summary.csv"
    summarize(layout.file(scores), layout.file(summary), scored)
    sample = {
        "experiment": "sr_x2",
        "dataset": "test",
        "dataset_part": target,
        "predictions": predictions,
        "fused": fused,
        "fitted": fitted,
    }
    return {"experiments": {"sr_x2": experiment}, "scores": scores, "summary": summary, "samples": [sample]}


@pytest.fixture(scope="module")
def page(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    steps: list[tuple[int, int]] = []
    report(Layout(str(path.parent)).file(path), **made, progress=lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    return path.read_text(encoding="utf-8")


class Tables(HTMLParser):
    """Collects the rows of each table: (text, class) of each cell."""

    def __init__(self, page: str):
        super().__init__()
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.cell: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", dict(attributes).get("class") or ""))
            self.cell = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self.cell:
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell:
            text, kind = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data.strip(), kind)


def test_results_table_prints_the_summary(page: str, made: dict[str, Any]) -> None:
    with open(made["summary"], newline="") as file:
        means = {(row["method"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}
    rows = [row for row in Tables(page).tables[0][2:] if len(row) > 1]
    assert [row[0][0] for row in rows] == ["input", "bicubic", "lanczos", "average", "zzpm", "ensir"]
    for (method, _), (psnr, _), (gain, _), (ssim, _) in rows:
        assert psnr == f"{means[method, 'psnr']:.2f}"
        assert ssim == f"{means[method, 'ssim']:.4f}"
        difference = means[method, "psnr"] - means["average", "psnr"]
        assert float(gain.replace("−", "-")) == pytest.approx(difference, abs=0.000501)
    for column in (1, 3):
        printed = sorted({float(row[column][0]) for row in rows}, reverse=True)
        marks = {float(row[column][0]): row[column][1] for row in rows}
        assert [marks[value] for value in printed[:3]] == ["best", "second", ""]


def test_base_models_and_methods_are_separate_groups(page: str) -> None:
    titles = [row[0][0] for row in Tables(page).tables[0] if len(row) == 1]
    assert titles == ["Base models", "Methods"]


def test_page_needs_nothing_else(page: str) -> None:
    links = re.findall(r"""\b(?:src|href|xlink:href|action|poster)\s*=\s*["']([^"']*)""", page)
    assert links
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert re.findall(r"@import|url\((?!#)", page) == []


def test_every_picture_has_a_text_and_every_id_is_unique(page: str) -> None:
    assert all("alt=" in image for image in re.findall(r"<img\b[^>]*>", page))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', page)
    assert set(links) <= set(ids)


def test_every_model_has_a_weight_map_where_weights_vary(page: str) -> None:
    assert re.findall(r'alt="Weight of (\w+) in (\w+)', page) == [
        (model, "ensir") for model in ("input", "bicubic", "lanczos")
    ]


def test_same_inputs_same_bytes(page: str, made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "again.html"
    report(Layout(str(tmp_path)).file(path), **made, progress=quiet)
    assert path.read_text(encoding="utf-8") == page


def test_equal_in_print_is_equal_in_rank() -> None:
    cells = scores.ranked([30.001, 29.5, 30.004, np.nan, 29.0], scores.METRICS["psnr"])
    assert [cell.mark for cell in cells] == ["best", "second", "best", "", ""]
    assert [cell.text for cell in cells] == ["30.00", "29.50", "30.00", "–", "29.00"]
    infinite = scores.ranked([np.inf, 40.0], scores.METRICS["psnr"])
    assert [(cell.text, cell.mark) for cell in infinite] == [("∞", "best"), ("40.00", "second")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.0004, "0.000"), (0.004, "+0.004"), (-0.5, "−0.500"), (np.inf, "+∞"), (np.nan, "–")],
)
def test_gain_is_signed(value: float, text: str) -> None:
    assert scores.METRICS["psnr"].gain(value) == text


def test_pictures_are_rounded_and_clipped_for_display() -> None:
    fused = np.array([[[-3.0], [1.6], [300.0]]], np.float32)
    assert pictures.displayed(fused, 8).ravel().tolist() == [0, 2, 255]
    assert pictures.displayed(np.array([[[0], [257], [65535]]], np.uint16), 16).ravel().tolist() == [
        0,
        1,
        255,
    ]


def test_grey_and_large_pictures() -> None:
    grey = np.zeros((8, 8, 1), np.uint8)
    assert pictures.data_uri(grey).startswith("data:image/webp")
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    assert pictures.data_uri(noise).startswith("data:image/jpeg")
    assert pictures.middle((1500, 2000, 3)) == (488, 238, 1024, 1024)


def test_close_up_is_where_models_disagree() -> None:
    predictions = np.zeros((2, 200, 160, 3), np.uint8)
    predictions[0, 120:160, 30:70] = 90
    assert pictures.disagreement(predictions) == (30, 120, 40, 40)
    assert pictures.disagreement(predictions[:, :20, :10]) == (0, 0, 10, 10)


@pytest.mark.parametrize("count", [3, 200])
def test_chart_leaves_out_what_is_not_finite(count: int) -> None:
    gain = {"zzpm": [0.1] * count, "ensir": [np.inf, np.nan] + [0.2] * (count - 2)}
    svg = charts.gains([f"image{i}" for i in range(count)], gain, "dB", salt="a/b")
    assert svg.startswith("<svg")
    assert "ensir" in svg
    assert charts.gains([f"image{i}" for i in range(count)], gain, "dB", salt="a/b") == svg
