"""The report: a page made of small real results."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ensir.cells import lut, support
from ensir.cells.lut import LutMethod
from ensir.config.schema import Config
from ensir.drawing import pictures
from ensir.errors import InputError
from ensir.metrics.psnr import Psnr
from ensir.report import samples, scripted, tables
from ensir.report.choice import chosen
from ensir.report.encoding import encode
from ensir.report.selection import worth
from ensir.scoring import scores
from ensir.scoring.rows import COLUMNS, write_csv
from ensir.scoring.selection import HeldOut, Selection, files, selection
from ensir.stages.estimate import estimate
from ensir.stages.fuse import fuse
from ensir.stages.ingest import ingest
from ensir.stages.merge import merge
from ensir.stages.partition import partition
from ensir.stages.predict import predict
from ensir.stages.report import report
from ensir.stages.score import compare, score
from ensir.stages.summarize import summarize
from ensir.storage.layout import Layout, Place
from ensir.storage.reading import Part

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

PSNR = scores.metric("psnr", Psnr().printed)


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
    statistics, lut = layout.statistics("sr_x2", "bins"), layout.lut("sr_x2", "ensir")
    reference = [f"{layout.predictions('ref', model)}/p" for model in models]
    partition(
        layout.place(statistics),
        "ensir.cells.bins",
        {"bin_width": 64},
        "ref",
        models,
        [(f"{layout.dataset('ref')}/p", reference)],
        {"scheduler": "threads"},
        quiet,
    )
    shard = layout.weights("sr_x2", "ensir", 0)
    estimate(layout.place(shard), statistics, methods["ensir"], 0, 1, "cpu", quiet)
    merge(layout.place(lut), "ensir", methods["ensir"], statistics, [shard])

    target = f"{layout.dataset('test')}/p"
    predictions = {model: f"{layout.predictions('test', model)}/p" for model in models}
    fitted = {method: lut if method == "ensir" else None for method in methods}
    fused = {method: f"{layout.fused('sr_x2', 'test', method)}/p" for method in methods}
    for method, path in fused.items():
        paths = list(predictions.values())
        fuse(
            layout.place(path),
            method,
            methods[method],
            fitted[method],
            target,
            models,
            paths,
            [],
            False,
            {"scheduler": "threads"},
            quiet,
        )
    scored = []
    for method, path in {**predictions, **fused}.items():
        scored.append(layout.scores("sr_x2", "test", method, "part"))
        place = layout.place(scored[-1])
        score(place, "sr_x2", "test", method, experiment["score"], target, path, quiet)
    scores, summary = f"{layout.root}/scores.csv", f"{layout.root}/summary.csv"
    summarize(layout.place(scores), layout.place(summary), scored)
    sample = {
        "experiment": "sr_x2",
        "dataset": "test",
        "image": "rocket",
        "parts": {"p": ["chelsea", "rocket"]},
        "dataset_store": layout.dataset("test"),
        "predictions": {model: layout.predictions("test", model) for model in models},
        "fused": {method: layout.fused("sr_x2", "test", method) for method in methods},
        "fitted": fitted,
        "files": (2, 2),
        "results": layout.root,
        "given": {},
    }
    return {
        "experiments": {"sr_x2": experiment},
        "scores": scores,
        "summary": summary,
        "samples": [sample],
        "curves": {"sr_x2": {}},
        "selections": {"sr_x2": {}},
        "title": "Ours <b> & theirs",
        "facts": {
            "Date": "2026-11-26 12:00:00 UTC",
            "Commit": "0123456789abcdef",
            "Command": "ensir run <x>",
        },
        "benchmarks": f"{layout.root}/benchmarks",
        "jobs": [],
        "images": 4,
        "megabytes": 30,
        "threads": 2,
    }


@pytest.fixture(scope="module")
def page(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    steps: list[tuple[int, int]] = []
    report(Layout(str(path.parent)).place(path), **made, progress=lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    return path.read_text(encoding="utf-8")


class Tables(HTMLParser):
    """Collects the rows of each table: (text, class) of each cell, without signs and intervals."""

    def __init__(self, page: str):
        super().__init__()
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.cell: str | None = None
        self.beside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", dict(attributes).get("class") or ""))
            self.cell = tag
        elif tag in ("sup", "small"):
            self.beside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("sup", "small"):
            self.beside = False
        if tag == self.cell:
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell and not self.beside:
            text, kind = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data.strip(), kind)


def test_results_table_prints_the_summary(page: str, made: dict[str, Any]) -> None:
    with open(made["summary"], newline="") as file:
        means = {(row["method"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}
    rows = [row for row in Tables(page).tables[1][2:] if len(row) > 1]
    assert [row[0][0] for row in rows] == ["input", "bicubic", "lanczos", "average", "zzpm", "ensir"]
    for (method, _), (psnr, _), (gain, _), (ssim, _), *_times in rows:
        assert psnr == f"{means[method, 'psnr']:.2f}"
        assert ssim == f"{means[method, 'ssim']:.4f}"
        difference = means[method, "psnr"] - means["average", "psnr"]
        assert float(gain.replace("−", "-")) == pytest.approx(difference, abs=0.000501)
    for column in (1, 3):
        printed = sorted({float(row[column][0]) for row in rows}, reverse=True)
        marks = {float(row[column][0]): row[column][1] for row in rows}
        assert [marks[value] for value in printed[:3]] == ["best", "second", ""]


def test_higher_is_better(page: str) -> None:
    assert "Means over the images of each test set; higher is better." in page


def test_the_time_of_methods_is_told_with_that_of_the_models(made: dict[str, Any]) -> None:
    """What several models need runs once; a time that is not known makes none up."""
    experiment = made["experiments"]["sr_x2"]
    read = scores.read(made["scores"], made["summary"])
    read.means["sr_x2", "test", "ensir", "seconds"] = 0.25
    found = {
        "input": {"input": 1.0},
        "bicubic": {"bicubic": 2.0},
        "lanczos": {"bicubic": 2.0, "lanczos": 4.0},
    }

    def told(runs: tables.Runs) -> dict[str, list[str]]:
        table = tables.results("sr_x2", experiment, read, runs)
        assert table.groups[-1] == ("test", ["Time (s)", "with models (s)"])
        return {name: [cell.text for cell in cells[-2:]] for _, name, cells in table.rows}

    rows = told({"test": found})
    assert rows["lanczos"] == ["6.0000", "6.0000"]
    assert rows["ensir"] == ["0.2500", "7.2500"]
    assert rows["average"] == ["–", "–"]
    assert told({"test": found | {"input": {"input": float("nan")}}})["ensir"] == ["0.2500", "–"]
    measured = tables.runs(made["samples"])["test"]
    assert all(0 < measured[model][model] < 60 for model in experiment["models"])


def test_base_models_and_methods_are_separate_groups(page: str) -> None:
    titles = [row[0][0] for row in Tables(page).tables[1] if len(row) == 1]
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


def data_of(page: str, kind: str) -> Any:
    """Return what the page's script reads: of "pictures" or "rows"."""
    (text,) = re.findall(rf'<script type="application/json" class="{kind}">(.*?)</script>', page)
    return json.loads(text)


def test_every_model_has_a_weight_map_where_weights_vary(page: str) -> None:
    for image in data_of(page, "pictures")["images"]:
        assert list(image["maps"]) == ["r5"]  # ensir
        assert list(image["maps"]["r5"]) == ["r0", "r1", "r2"]
        assert list(image["weights"]) == ["r3", "r4", "r5"]
        assert image["ranges"] == {"r5": [0, 1]}
        assert image["same"] == {}
        assert image["weights"]["r3"] == {"r0": "0.333", "r1": "0.333", "r2": "0.333"}


@pytest.mark.parametrize(
    ("lowest", "highest", "shown"),
    [
        (0.0, 1.0, (0, 1)),
        (0.2, 0.4, (0, 1)),
        (-0.002, 1.001, (0, 1)),
        (0.1, 1.34, (0, 1.4)),
        (-0.3, 0.8, (-1, 1)),
        (-1.75, 1.2, (-1.8, 1.8)),
        (-0.4, 2.35, (-2.4, 2.4)),
    ],
)
def test_weights_beyond_0_and_1_are_seen(lowest: float, highest: float, shown: tuple[float, float]) -> None:
    """The scale reaches as far as they do, a few outermost ones apart; of one that begins below 0, 0 is white."""
    weights = np.linspace(lowest, highest, 2000).reshape(2, 1000)
    weights[0, :2] = 50, -50
    found = pictures.weight_range(weights)
    assert found == pytest.approx(shown)
    drawn = np.asarray(decoded(pictures.weight_map(np.full((16, 16), found.low), found)).convert("RGB"), int)
    zero = np.asarray(decoded(pictures.weight_map(np.zeros((16, 16)), found)).convert("RGB"), int)
    assert (np.abs(drawn - zero).max() < 3) == (found.low == 0)
    assert (zero.min() > 240) == (found.low < 0)


def test_what_a_method_chose_is_shown_once() -> None:
    methods = {"mean": {"kind": "average"}, "best": {"kind": "best"}, "lsq": {"kind": "least_squares"}}
    one, other = np.zeros((2, 2, 3)), np.ones((2, 2, 3))
    assert samples.repeated(methods, {"mean": other, "best": one, "lsq": one.copy()}) == {"best": "lsq"}
    assert samples.repeated(methods, {"mean": one, "best": one + 2, "lsq": other}) == {}
    assert samples.repeated(methods, {"mean": one, "lsq": one}) == {}


def test_the_best_base_model_is_first_shown_beside_the_best_method(page: str, made: dict[str, Any]) -> None:
    means = scores.read(made["scores"], made["summary"]).means
    psnr = {
        key: means["sr_x2", "test", row, "psnr"]
        for key, row in zip(
            ("r0", "r1", "r2", "r4", "r5"), ("input", "bicubic", "lanczos", "zzpm", "ensir"), strict=True
        )
    }
    best = [max(keys, key=psnr.__getitem__) for keys in (("r0", "r1", "r2"), ("r4", "r5"))]
    assert data_of(page, "pictures")["start"] == dict(zip("ABCD", [*best, "input", "target"], strict=True))


def test_all_pictures_of_all_chosen_images_are_there(page: str, made: dict[str, Any]) -> None:
    images = data_of(page, "pictures")["images"]
    assert [image["name"] for image in images] == ["rocket", "chelsea"]
    values = scores.read(made["scores"], made["summary"]).values
    for image in images:
        assert list(image["pictures"]) == ["input", "target", "r0", "r1", "r2", "r3", "r4", "r5"]
        part = Part(made["samples"][0]["fused"]["zzpm"] + "/p")
        exact = np.asarray(decoded(image["pictures"]["r4"][0]))
        np.testing.assert_array_equal(exact, pictures.displayed(part.image(image["name"]), 8))
        assert image["exact"]
        assert image["scores"]["r4"] == f"{values['sr_x2', 'test', 'zzpm', 'psnr'][image['name']]:.2f} dB"


def test_the_page_tells_what_misleads(page: str, made: dict[str, Any], tmp_path: Path) -> None:
    """Infinite scores that no mean holds, a target that is a prediction, cells with few reference values."""
    assert "Warning" not in page
    assert "infinite" not in page
    assert "2 of 2 files" not in page
    sample = made["samples"][0]
    table = lut.load(sample["fitted"]["ensir"])
    part = Part(f"{sample['predictions']['input']}/p")
    shares = sum(
        (
            support.of_values(
                LutMethod({}, table),
                np.stack([Part(f"{store}/p").rows(i) for store in sample["predictions"].values()]),
            )
            for i in range(len(part.names))
        ),
        support.Support(),
    ).shares
    told = [row for table_ in Tables(page).tables for row in table_ if row[0][0] == "ensir"][-1]
    assert [text for text, _ in told[-6:]] == [
        "–",
        "–",
        "–",
        *(f"{share:.1%}" for share in shares.values()),
    ]  # the reference is a single image

    misleading = replace(
        table,
        prediction_digests=(table.reference_digests, ("0",), ("1",)),
        count=np.minimum(table.count, 99),
        attributes=table.attributes | {"held_out": '{"estimated": 1, "few": 2, "empty": 1}'},
    )
    lut.save(misleading, Place.beside(tmp_path / "ensir.lut"))
    rows = [
        [*row[:-1], "inf"] if row[2:5] == ["zzpm", "chelsea", "psnr"] else row
        for row in read_csv(made["scores"])
    ]
    write_csv(tmp_path / "part.csv", rows[0], rows[1:])
    files = [tmp_path / "scores.csv", tmp_path / "summary.csv"]
    summarize(*map(Place.beside, files), [str(tmp_path / "part.csv")])
    path = tmp_path / "report.html"
    changed = made | {
        "scores": str(files[0]),
        "summary": str(files[1]),
        "samples": [
            sample | {"fitted": sample["fitted"] | {"ensir": str(tmp_path / "ensir.lut")}, "files": (2, 5)}
        ],
    }
    report(Place.beside(path), **changed, progress=quiet)
    text = path.read_text(encoding="utf-8")
    assert (
        "PSNR on test: 1 of 2 images is restored perfectly by some row (infinite); means are over the other 1."
        in text
    )
    assert "test: 2 of 5 files: the others are excluded, or do not match the pattern." in text
    assert "Diamonds: mean gain over 1 images" in text
    psnr = {row[2]: float(row[-1]) for row in rows if row[3:5] == ["rocket", "psnr"]}
    means = {row[0][0]: row[1][0] for row in Tables(text).tables[1][2:] if len(row) > 1}
    assert means == {method: f"{value:.2f}" for method, value in psnr.items()}
    assert (
        "</a> ensir: only 25.0% of the values of held-out reference images are in cells with 100 or more "
        "reference values, and the weights of the others rest on fewer or none; use wider bins, or fewer models."
        in text
    )
    assert (
        "</a> ensir: only 0.0% of the values of rocket, chelsea (test) are in cells with 100 or more reference "
        "values" in text
    )
    assert (
        "</a> ensir: all predictions of input for the reference are the targets bit for bit: is the target "
        "right?" in text
    )


@pytest.mark.parametrize("most", [99, 10**9])
def test_fusing_logs_how_many_values_have_a_cell(
    made: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture, most: int
) -> None:
    """The share, and a warning where it is low."""
    sample = made["samples"][0]
    table = lut.load(sample["fitted"]["ensir"])
    lut.save(replace(table, count=np.minimum(table.count, most)), Place.beside(tmp_path / "ensir.lut"))
    predictions = {model: f"{store}/p" for model, store in sample["predictions"].items()}
    settings = made["experiments"]["sr_x2"]["methods"]["ensir"]
    place, paths = Place.beside(tmp_path / "fused"), list(predictions.values())
    fitted, dask = str(tmp_path / "ensir.lut"), {"scheduler": "threads"}
    with caplog.at_level("INFO"):
        fuse(
            place,
            "ensir",
            settings,
            fitted,
            f"{sample['dataset_store']}/p",
            list(predictions),
            paths,
            [],
            False,
            dask,
            quiet,
        )
    told = [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "ensir.stages.fuse"
    ]
    shares = told[0][1].removeprefix("values by their cells in the LUT: ")
    estimated = float(shares.partition("%")[0])
    warned = [message for level, message in told if level == "WARNING"]
    assert (estimated == 0) == (most == 99)
    assert len(warned) == (estimated < 50)
    assert all("only 0.0% of the values are in cells with 100 or more" in message for message in warned)


def read_csv(path: str) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_same_inputs_same_bytes(page: str, made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "again.html"
    report(Layout(str(tmp_path)).place(path), **made, progress=quiet)
    assert path.read_text(encoding="utf-8") == page


def test_equal_in_print_is_equal_in_rank() -> None:
    cells = scores.ranked([30.001, 29.5, 30.004, np.nan, 29.0], PSNR)
    assert [cell.mark for cell in cells] == ["best", "second", "best", "", ""]
    assert [cell.text for cell in cells] == ["30.00", "29.50", "30.00", "–", "29.00"]
    infinite = scores.ranked([np.inf, 40.0], PSNR)
    assert [(cell.text, cell.mark) for cell in infinite] == [("∞", "best"), ("40.00", "second")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.0004, "0.000"), (0.004, "+0.004"), (-0.5, "−0.500"), (np.inf, "+∞"), (np.nan, "–")],
)
def test_gain_is_signed(value: float, text: str) -> None:
    assert PSNR.gain(value) == text


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
    assert pictures.middle((1500, 2000, 3)) == (0, 0, 2000, 1500)
    assert pictures.middle((100, 2000, 3)) == (850, 0, 300, 100)
    assert pictures.middle((2000, 100, 1)) == (0, 850, 100, 300)


def test_close_up_is_where_models_disagree() -> None:
    predictions = np.zeros((2, 200, 160, 3), np.uint8)
    predictions[0, 120:160, 30:70] = 90
    assert pictures.disagreement(predictions) == (30, 120, 40, 40)
    assert pictures.disagreement(predictions[:, :20, :10]) == (0, 0, 10, 10)


def test_images_are_chosen_by_their_gain() -> None:
    names = [f"image{i:02d}" for i in range(11)]
    rows = {"average": [30.0] * 11, "zzpm": [31.0] * 11, "ensir": [32.0 + i / 10 for i in range(11)]}
    values = {("e", "test", row, "psnr"): dict(zip(names, found, strict=True)) for row, found in rows.items()}
    means = {key: float(np.mean(list(found.values()))) for key, found in values.items()}
    experiment = RAW["experiments"]["sr_x2"] | {"score": {"metrics": {"psnr": {"printed": Psnr().printed}}}}
    parts = {"p": names[:6], "q": names[6:]}
    sample = {"experiment": "e", "dataset": "test", "image": "image03", "parts": parts}
    found = chosen(sample, experiment, scores.Scores(means, values), 4)
    assert found == [
        ("image03", "p", "gain +2.300 dB"),
        ("image00", "p", "worst gain, +2.000 dB"),
        ("image10", "q", "best gain, +3.000 dB"),
        ("image05", "p", "median gain, +2.500 dB"),
    ]
    assert [image for image, *_ in chosen(sample, experiment, scores.Scores(means, values), 1)] == ["image03"]
    everything = chosen(sample, experiment, scores.Scores(means, values), 99)
    assert sorted(image for image, *_ in everything) == names
    few = sample | {"parts": {"p": names[:6]}}  # the others were temporary
    assert {image for image, *_ in chosen(few, experiment, scores.Scores(means, values), 99)} == set(
        names[:6]
    )
    unscored = chosen(sample, experiment, scores.Scores({}, {}), 4)  # there are no targets
    assert [image for image, *_ in unscored] == ["image03", "image00", "image07", "image10"]
    assert {why for *_, why in unscored} == {""}


def test_scores_of_every_image_are_in_the_page(page: str, made: dict[str, Any]) -> None:
    """As they are printed, and to two digits more."""
    data = data_of(page, "rows")
    values = scores.read(made["scores"], made["summary"]).values
    assert data["images"] == ["chelsea", "rocket"]
    assert data["pixels"] == [64 * 64] * 2
    assert data["pictured"] == ["rocket", "chelsea"]
    for image, cells in zip(data["images"], data["metrics"][0], strict=True):
        printed = []
        for cell, method in zip(
            cells, ("input", "bicubic", "lanczos", "average", "zzpm", "ensir"), strict=True
        ):
            text, mark, finer = re.fullmatch(r"([\d.]+)([*_]?)([+-]\d+)?", cell).groups()
            value = values["sr_x2", "test", method, "psnr"][image]
            assert text == f"{value:.2f}"
            assert float(text) + int(finer or 0) / 1e4 == pytest.approx(value, abs=0.50001e-4)
            printed.append((float(text), mark))
        assert {text for text, mark in printed if mark == "*"} == {max(text for text, _ in printed)}


@pytest.mark.parametrize("name", ["</script><b>", "<!--<script>", "a & b <i>"])
def test_names_cannot_end_the_script(name: str) -> None:
    table = scores.Table([("", ["a"])], [("", name, [scores.Cell("1.00", 1.0, "best")])])
    text = scripted.scores([table], {name: 5}, {name: 1.23456}, [name])
    assert "<" not in text
    assert json.loads(text) == {
        "images": [name],
        "metrics": [[["1.00*"]]],
        "pixels": [5],
        "disagreement": [1.235],
        "pictured": [name],
    }


class Elements(HTMLParser):
    """Collects the elements of a page, and the names of their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *sorted(name for name, _ in attributes)))


def test_markup_in_names_stays_text(page: str, made: dict[str, Any], tmp_path: Path) -> None:
    """Of models, methods, metrics, images and facts: the page has the same elements as with plain names."""
    bad = "'\"><img src=x onerror=alert(1)></script><b>"
    names = {"lanczos": f"lanczos{bad}", "zzpm": f"zzpm{bad}", "chelsea": f"chelsea{bad}"}

    def renamed(data: Any) -> Any:
        if isinstance(data, dict):
            return {renamed(key): value if key == "kind" else renamed(value) for key, value in data.items()}
        return [renamed(one) for one in data] if isinstance(data, list) else names.get(data, data)

    files = [tmp_path / "scores.csv", tmp_path / "summary.csv"]
    header, *rows = read_csv(made["scores"])
    write_csv(tmp_path / "part.csv", header, [[renamed(cell) for cell in row] for row in rows])
    summarize(*map(Place.beside, files), [str(tmp_path / "part.csv")])
    (sample,) = made["samples"]
    samples = [{key: value if key == "parts" else renamed(value) for key, value in sample.items()}]
    experiments = renamed(made["experiments"])
    experiments["sr_x2"]["score"]["metrics"]["psnr"]["printed"]["label"] = f"PSNR{bad}"
    changed = made | {"experiments": experiments, "samples": samples, "images": 1, "title": bad}
    changed |= {"scores": str(files[0]), "summary": str(files[1]), "facts": dict.fromkeys(made["facts"], bad)}
    path = tmp_path / "report.html"
    report(Place.beside(path), **changed, progress=quiet)
    text = path.read_text(encoding="utf-8")
    assert Elements(text).found == Elements(page).found
    for name in (*names.values(), f"PSNR{bad}"):
        assert name not in text
        assert name in html.unescape(text).replace("\\u003c", "<").replace('\\"', '"')


def test_numbers_that_are_none_are_told() -> None:
    cells = [
        scores.Cell("–", float("nan")),
        scores.Cell("∞", float("inf"), "best"),
        scores.Cell("−1.00", -1.0),
    ]
    rows = json.loads(scripted.scores([scores.Table([], [("", "x", cells[:2])])], {}, {}, []))["metrics"]
    assert rows == [[["–", "∞*"]]]


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("budget", [1e9, 600_000, 60_000])
def test_pictures_are_as_large_as_the_page_may_be(budget: float) -> None:
    random = np.random.default_rng(0)
    framed = {i: random.integers(0, 256, (600, 500, 3), np.uint8) for i in range(4)}
    close_up = pictures.Window(100, 120, 128, 128)
    uris, close_ups, maps, _ = encode(
        framed, close_up, {"map": (random.random((600, 500)), pictures.Range(0, 1))}, budget, 2
    )
    assert len(uris) == 4
    assert len(maps) == 1
    assert sum(len(uri) for kind in (uris, close_ups, maps) for uri in kind.values()) <= budget
    sizes = {decoded(uri).size for uri in uris.values()}
    if budget == 1e9:
        assert sizes == {(500, 600)}
        assert not close_ups
    else:
        (size,) = sizes
        assert max(size) < 600
        assert bool(close_ups) == (max(size) >= 128)
        assert {decoded(uri).size for uri in close_ups.values()} <= {(128, 128)}


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_pictures_are_exact() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    uris, *_ = encode({"a": picture}, pictures.Window(0, 0, 30, 30), {}, 1e9, 1)
    np.testing.assert_array_equal(np.asarray(decoded(uris["a"])), picture)


def test_a_shrunk_picture_keeps_its_mean_and_its_shape() -> None:
    random = np.random.default_rng(0)
    for shape in ((600, 400, 3), (601, 333, 1), (50, 700, 3)):
        picture = random.integers(0, 256, shape, np.uint8)
        shrunk = pictures.reduced(picture, 100)
        assert max(shrunk.shape[:2]) == 100
        assert shrunk.dtype == np.uint8
        assert shrunk.mean() == pytest.approx(picture.mean(), abs=1)
        weights = random.random(shape[:2])
        assert pictures.reduced(weights, 100).mean() == pytest.approx(weights.mean(), abs=0.01)


def summarized(folder: Path, tables: list[list[tuple[Any, ...]]]) -> tuple[str, str]:
    """Write tables of scores and summarize them; returns what is in both files."""
    paths = [folder / f"{i}.csv" for i in range(len(tables))]
    for path, rows in zip(paths, tables, strict=True):
        write_csv(path, COLUMNS, rows)
    layout = Layout(str(folder / "results"))
    summarize(layout.place(layout.all_scores), layout.place(layout.summary), list(map(str, paths)))
    return Path(layout.all_scores).read_text(), Path(layout.summary).read_text()


def test_parts_show_in_no_score(tmp_path: Path) -> None:
    """Parts may hold any images: the tables have the same bits, the sum of the mean too."""
    random = np.random.default_rng(0)
    rows = [
        (experiment, "test", method, image, metric, float(random.normal(30, 3)))
        for experiment, methods in (("one", "b"), ("two", "cb"))
        for method in methods
        for image in "fedcba"
        for metric in ("psnr", "ssim")
    ]
    found = set()
    for i, cuts in enumerate(([36], [12, 36], [4, 7, 16, 36], range(1, 37))):
        (tmp_path / str(i)).mkdir()
        found.add(summarized(tmp_path / str(i), [rows[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]))
    ((table, summary),) = found
    assert [line.split(",")[2:5] for line in table.splitlines()[1:4]] == [
        ["b", "a", "psnr"], ["b", "a", "ssim"], ["b", "b", "psnr"],
    ]  # fmt: skip
    assert [line.split(",")[:4] for line in summary.splitlines()[1:]] == [
        [experiment, "test", method, metric]
        for experiment, methods in (("one", "b"), ("two", "cb"))
        for method in methods
        for metric in ("psnr", "ssim")
    ]


def test_a_score_may_be_no_number(tmp_path: Path) -> None:
    rows = [("one", "test", "a", name, "mine", value) for name, value in (("x", np.nan), ("y", 3.4e-7))]
    table, summary = summarized(tmp_path, [rows])
    assert table.splitlines()[1:] == ["one,test,a,x,mine,nan", "one,test,a,y,mine,3.4e-07"]
    assert summary.splitlines()[1] == "one,test,a,mine,nan,2"
    read = scores.read(str(tmp_path / "results/scores.csv"), str(tmp_path / "results/summary.csv"))
    assert np.isnan(read.means["one", "test", "a", "mine"])


def test_means_leave_out_what_some_row_restores_perfectly(tmp_path: Path) -> None:
    """The same images for every row, in each metric and test set; where none is left, the means are of all."""
    psnr = {"a": [np.inf, 30.0, 34.0], "b": [20.0, 31.0, 33.0]}
    rows = [
        *(("one", "test", m, f"image{i}", "psnr", v) for m in psnr for i, v in enumerate(psnr[m])),
        *(("one", "test", m, f"image{i}", "ssim", 1 - 0.1 * i) for m in psnr for i in range(3)),
        ("one", "other", "a", "x", "psnr", np.inf),
        ("one", "other", "b", "x", "psnr", 40.0),
        ("two", "test", "a", "image0", "psnr", 25.0),
    ]
    table, summary = summarized(tmp_path, [rows])
    assert "one,test,a,image0,psnr,inf" in table
    assert summary.splitlines()[1:] == [
        "one,test,a,psnr,32,2",
        "one,test,a,ssim,0.9,3",
        "one,test,b,psnr,32,2",
        "one,test,b,ssim,0.9,3",
        "one,other,a,psnr,inf,1",
        "one,other,b,psnr,40,1",
        "two,test,a,psnr,25,1",
    ]
    read = scores.read(str(tmp_path / "results/scores.csv"), str(tmp_path / "results/summary.csv"))
    assert read.left_out("one", "test", "psnr") == {"image0"}
    assert read.left_out("one", "test", "ssim") == read.left_out("one", "other", "psnr") == set()
    assert read.notes("one", {"psnr": PSNR}) == [
        "PSNR on test: 1 of 3 images is restored perfectly by some row (infinite); means are over the other 2",
        "PSNR on other: 1 of 1 images is restored perfectly by some row (infinite); there is no other, and means are "
        "infinite where a value is",
    ]
    assert read.notes("two", {"psnr": PSNR}) == []


@pytest.mark.parametrize(
    ("shape", "crop", "message"),
    [
        ((7, 9, 3), 4, r"image 'x': is 9×7, of which a crop of 4 leaves nothing; lower `crop`"),
        (
            (16, 30, 1),
            4,
            r"image 'x': is 30×16, and with a crop of 4 too small for ssim, which needs 11×11 pixels; lower the crop, "
            "leave the image out, or score by other metrics",
        ),
    ],
)
def test_too_small_for_a_score(shape: tuple[int, ...], crop: int, message: str) -> None:
    image = np.zeros(shape, np.uint8)
    settings = Config.model_validate(RAW).experiments["sr_x2"].score.model_dump(mode="json")
    with pytest.raises(InputError, match=message):
        compare("x", image, image, 8, settings | {"crop": crop})


def test_the_page_tells_which_way_is_better() -> None:
    experiment = Config.model_validate(RAW).experiments["sr_x2"].model_dump(mode="json")
    assert scores.direction(experiment) == ""
    printed = experiment["score"]["metrics"]["ssim"]["printed"] | {"label": "", "higher_is_better": False}
    experiment["score"]["metrics"]["lpips"] = {"kind": "function", "function": "x:y", "printed": printed}
    assert scores.direction(experiment) == "; lower is better in lpips"


def test_the_page_says_which_models_are_worth_running(
    page: str, made: dict[str, Any], tmp_path: Path
) -> None:
    assert "Which models are worth running?" not in page  # no method of the run tells
    images = ["x", "y", "z"]
    psnr = {(0,): [28, 29, 30], (1,): [30, 31, 33], (0, 1): [30, 32, 33.0]}
    tried = {models: HeldOut(np.array(values, float), 32, 1e3) for models, values in psnr.items()}
    for name, seconds in (("timed", 0.25), ("untimed", float("nan"))):
        found = selection(["a", "b"], images, tried, {"a": {"a": 0.5}, "b": {"b": seconds}})
        found.save(map(Place.beside, files(str(tmp_path / name))))
    Selection([], [], [], []).save(map(Place.beside, files(str(tmp_path / "single"))))
    path = tmp_path / "report.html"
    folders = {name: str(tmp_path / name) for name in ("timed", "untimed", "single")}
    report(Place.beside(path), **made | {"selections": {"sr_x2": folders}}, progress=quiet)
    text = path.read_text(encoding="utf-8")
    assert "One weight per model and image, by its distance to the mean of the models." in page
    told = "On held-out reference images, {} needs all 2 models: of fewer, none are within 0.05 dB."
    assert told.format("timed") in text
    section = text[text.index("Which models are worth running?") :]
    assert section.count("of 3 subsets of the models: mean PSNR of the 3 reference\nimages") == 2
    assert "seconds per image, all models of a subset" in section
    assert "models in a subset" in section
    assert "give them by <code>seconds</code>" in section
    rows = [[text for text, *_ in row] for table_ in Tables(section).tables[:2] for row in table_]
    assert ["b", "31.33", "−0.333 [−1.768, +1.101] n.s.", "0.250", "✓"] in rows
    assert ["a", "29.00", "+0.333 [−1.101, +1.768] n.s.", "+0.333 [−1.101, +1.768] n.s.", "0.500"] in rows


def test_the_sentence_on_fewer_models_has_the_interval(tmp_path: Path) -> None:
    psnr = {(0,): [28, 29, 30], (1,): [30, 31.9, 33], (0, 1): [30, 32, 33.0]}
    tried = {models: HeldOut(np.array(values, float), 32, 1e3) for models, values in psnr.items()}
    found = selection(["a", "b"], ["x", "y", "z"], tried, {"a": {"a": 0.5}, "b": {"b": 0.25}})
    found.save(map(Place.beside, files(str(tmp_path))))
    assert worth({"lsq": Selection.load(str(tmp_path))}) == (
        "On held-out reference images, the mean PSNR of b alone is within 0.05 dB of that of lsq of all 2 models: "
        "−0.033 dB [−0.177, +0.110], in 0.250 s instead of 0.750 s an image."
    )
