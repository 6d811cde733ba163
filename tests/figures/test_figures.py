"""Figures as files: their numbers are right, and the files are what a paper takes."""

from __future__ import annotations

import csv
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import counted, fitted, pixels, released, silent
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ensir.cells import lut, statistics
from ensir.config import reading
from ensir.config.schema import Config
from ensir.datasets.photos import photograph
from ensir.drawing import panels, style
from ensir.errors import InputError
from ensir.figures import Subject, calibration, convergence, distribution, features, gain, occupancy
from ensir.planning.plan import Plan
from ensir.scoring.scores import Scores
from ensir.storage import writing
from ensir.storage.layout import Layout, Place


def rows(drawing: style.Drawing) -> list[dict[str, Any]]:
    return [dict(zip(drawing.columns, row, strict=True)) for row in drawing.rows]


# ── gain ─────────────────────────────────────────────────────────────────────────────────────────────────────


def experiment(methods_: dict[str, Any]) -> dict[str, Any]:
    folder = {"kind": "folder", "target": "x/*.png"}
    return (
        Config.model_validate(
            {
                "datasets": {"ref": folder, "test": folder},
                "models": {name: {"kind": "folder", "path": "{dataset}/*.png"} for name in "ab"},
                "experiments": {
                    "one": {"models": ["a", "b"], "reference": "ref", "tests": ["test"], "methods": methods_}
                },
            }
        )
        .experiments["one"]
        .model_dump(mode="json")
    )


def scores(values: dict[str, list[float]]) -> Scores:
    return Scores(
        {},
        {
            ("one", "test", method, "psnr"): {f"image{i}": value for i, value in enumerate(row)}
            for method, row in values.items()
        },
    )


def test_gains_are_differences_with_their_interval():
    values = {
        "a": [30.0, 31, 29],
        "b": [28.0, 33, 29],
        "average": [29.0, 30, 31],
        "ensir": [29.5, 30.5, 31.5],
    }
    found = rows(gain.drawing("one", experiment({"average": {}, "ensir": {}}), "test", scores(values)))
    assert [row["gain"] for row in found if row["method"] == "a"] == [1, 1, -2]
    assert {(row["mean_gain"], row["low"], row["high"]) for row in found if row["method"] == "ensir"} == {
        (0.5, 0.5, 0.5)
    }
    assert "average" not in {row["method"] for row in found}


@pytest.mark.parametrize("images", [0, 1, 100])
def test_gains_are_drawn_whatever_they_are(images: int, tmp_path: Path):
    random = np.random.default_rng(0)
    values = {name: random.normal(30, 1, images).tolist() for name in ("a", "b", "average", "ensir")}
    if images:
        values["a"][0], values["b"][0] = np.inf, -1000
    drawing = gain.drawing("one", experiment({"average": {}, "ensir": {}}), "test", scores(values))
    style.write(drawing, [Place.beside(tmp_path / "gain.svg")])
    assert (tmp_path / "gain.svg").read_text().startswith("<?xml")


def test_an_image_that_some_row_restores_perfectly_is_in_no_mean_gain():
    values = {"a": [30, 31, 32], "b": [30, 30, 30], "average": [31, 30, 30], "ensir": [np.inf, 31, 33]}
    found = rows(gain.drawing("one", experiment({"average": {}, "ensir": {}}), "test", scores(values)))
    assert [row["gain"] for row in found if row["method"] == "ensir"] == [np.inf, 1, 3]
    assert {row["method"]: row["mean_gain"] for row in found} == {"a": 1.5, "b": 0, "ensir": 2}


def test_without_an_average_gains_are_over_the_first_model():
    values = {"a": [30.0, 31], "b": [28.0, 33], "ensir": [29.5, 30.5]}
    found = rows(gain.drawing("one", experiment({"ensir": {}}), "test", scores(values)))
    assert [row["gain"] for row in found if row["method"] == "ensir"] == [-0.5, -0.5]


# ── what a LUT and EM tell ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def reference() -> tuple[np.ndarray, np.ndarray]:
    return pixels(3, size=4000)


def test_every_cell_and_value_is_in_the_occupancy(reference: tuple[np.ndarray, np.ndarray]):
    table = fitted(counted(*reference, 32), released(32))
    found = rows(occupancy.drawing(table))
    assert sum(row["cells"] for row in found) == len(table.count)
    assert sum(row["reference_values"] for row in found) == table.count.sum() == reference[1].size
    few = sum(row["cells"] for row in found if row["fate"] == "few values")
    assert few == (table.status == lut.FEW).sum() > 0


@pytest.mark.parametrize("arithmetic", ["released", "paper"])
def test_the_course_of_em_ends_as_the_lut_says(reference: tuple[np.ndarray, np.ndarray], arithmetic: str):
    everything, options = counted(*reference, 64), released(64, arithmetic=arithmetic)
    table = fitted(everything, options)
    found = convergence.course(statistics.cells_of(everything, options).without_folds(), options, silent)
    ran = table.status == lut.ESTIMATED
    assert len(found.running) == table.iterations[ran].max()
    assert found.running.tolist() == [
        (table.iterations[ran] >= s).sum() for s in range(1, len(found.running) + 1)
    ]
    assert found.stopped[-1] == found.values_stopped[-1] == 1
    assert np.isnan(found.rise[0]).all()
    assert (found.rise[1:, 2] >= 0).all()
    assert len(rows(convergence.drawing(found))) == len(found.running)


def write_parts(folder: Path, x: np.ndarray, y: np.ndarray) -> list[str]:
    """Write a target and its predictions as parts of one image."""
    layout = Layout(str(folder / "results"))
    paths = []
    for i, rows_ in enumerate([y, *x]):
        path = layout.part(layout.predictions("ref", f"m{i}"), "0123456789ab")
        with writing.new_group(layout.place(path), {"bits": y.dtype.itemsize * 8}) as group:
            writer = writing.ImageWriter(group, ["one"], [(1, y.shape[1], y.shape[0])], y.dtype)
            writer.append(rows_)
            writer.close()
        paths.append(path)
    return paths


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", ["joint", "separate"])
def test_distributions_are_those_of_the_pixels(tmp_path: Path, bits: int, channels: str):
    x, y = pixels(5, bits=bits, size=3000)
    options = released(64, channels=channels)
    cells = statistics.cells_of(counted(x, y, 64), options).without_folds()
    table = fitted(cells, options)
    chosen = distribution.choose(cells, table, [])
    _, *parts = write_parts(tmp_path, x, y)
    counts = distribution.predicted(table, chosen, [parts], silent)
    for row, i in enumerate(chosen):
        assert (counts[:, row].sum(axis=1) == cells.count[i]).all()
        found = distribution._cell(cells.taken(slice(i, i + 1)), options, counts[:, row])
        np.testing.assert_array_equal(found.weights, table.weights[i])
        levels = np.arange(256)
        np.testing.assert_allclose(found.predictions @ levels, found.mean, atol=0.01 if bits == 8 else 0.51)
        np.testing.assert_allclose(found.target.sum(), 1)
        wide = found.variance > 1
        inside = (found.mean > 40) & (found.mean < 215) & wide & (found.variance < 100)
        np.testing.assert_allclose(found.density.sum(axis=1)[inside], found.weights[inside], rtol=0.02)


def test_named_bin_sets_are_drawn(reference: tuple[np.ndarray, np.ndarray]):
    cells = statistics.cells_of(counted(*reference, 32), released(32)).without_folds()
    table = fitted(cells, released(32))
    x = reference[0][:, 0, 0]
    (row,) = distribution.choose(cells, table, [x.tolist()])
    assert cells.key[row] == sum(int(v) // 32 * 8 ** (2 - m) for m, v in enumerate(x))
    agreeing = distribution.choose(cells, table, [])
    assert len(set(agreeing)) == len(agreeing) <= distribution.AGREEING + distribution.DIFFERING


def test_bin_sets_without_values_are_told(tmp_path: Path):
    places = [Place.beside(tmp_path / f"distribution{ending}") for ending in (".svg", ".csv")]
    style.write(distribution.drawing(["a", "b"], []), places)
    assert "no value of the reference is in these bin sets" in unescape(
        (tmp_path / "distribution.svg").read_text()
    )
    assert (tmp_path / "distribution.csv").read_text().count("\n") == 1


# ── calibration ──────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 2**32 - 1))
def test_a_tally_holds_every_value_once(seed: int):
    x, y = pixels(seed, size=50)
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(3), y.shape).transpose(2, 0, 1)
    found = calibration.tally(weights, x, y, 8)
    assert (found.count.sum(axis=1) == y.size).all()
    assert found.nearest.sum() == pytest.approx(y.size)
    np.testing.assert_allclose(found.weight.sum(axis=1), weights.sum(axis=(1, 2)))
    np.testing.assert_allclose(
        found.square.sum(axis=1), ((x - y.astype(float)) ** 2).sum(axis=(1, 2)), rtol=1e-5
    )


def test_weights_that_know_the_nearest_are_calibrated():
    x, y = pixels(1, size=2000)
    error = np.abs(x.astype(float) - y)
    nearest = (error == error.min(axis=0)) & ((error == error.min(axis=0)).sum(axis=0) == 1)
    found = calibration.tally(nearest.astype(float), x, y, 8)
    np.testing.assert_allclose(found.nearest[:, -1], found.count[:, -1])
    shown = rows(calibration.drawing(["a", "b", "c"], found))
    assert {row["nearest"] for row in shown if row["weight"] == 1} == {1}


# ── features ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    from skimage.data import astronaut

    target = astronaut()[100:196, 200:296]
    noise = np.random.default_rng(0).normal(0, 20, target.shape)
    return {
        features.TARGET: target,
        "same": target,
        "noisy": np.clip(target + noise, 0, 255).astype(np.uint8),
        "noisier": np.clip(target + 3 * noise, 0, 255).astype(np.uint8),
    }


def exported_network(path: Path, channels: int = 3) -> str:
    """Write a small network with fixed random weights as a program."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(channels, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 6, 3, stride=2)]
    side = torch.export.Dim("height", min=8, max=4096), torch.export.Dim("width", min=8, max=4096)
    program = torch.export.export(
        torch.nn.Sequential(*layers).eval(),
        (torch.zeros(1, channels, 32, 32),),
        dynamic_shapes=({2: side[0], 3: side[1]},),
    )
    torch.export.save(program, path)
    return str(path)


def test_features_lie_the_farther_the_noisier(images: dict[str, np.ndarray], tmp_path: Path):
    network = exported_network(tmp_path / "net.pt2")
    for found in (features.from_filters(images), features.from_network(images, network)):
        first, distance, explained = features.components(found)
        assert not distance["same"].any()
        assert 0 < distance["noisy"].mean() < distance["noisier"].mean()
        np.testing.assert_array_equal(first["same"], first[features.TARGET])
        assert 0.1 < explained <= 1


def test_grey_images_go_through_a_network_of_colours(images: dict[str, np.ndarray], tmp_path: Path):
    grey = {name: image[:, :, :1] for name, image in images.items()}
    found = features.from_network(grey, exported_network(tmp_path / "net.pt2"))
    assert found[features.TARGET].shape == (47, 47, 6)


def test_a_network_that_does_not_fit_is_told(images: dict[str, np.ndarray], tmp_path: Path):
    network = exported_network(tmp_path / "net.pt2", channels=1)
    with pytest.raises(InputError, match=r"net\.pt2: takes no image of shape \(1, 3, 96, 96\)"):
        features.from_network(images, network)


def test_features_of_one_colour_are_drawn():
    flat = np.full((40, 40, 3), 90, np.uint8)
    shown = features.from_filters({features.TARGET: flat, "other": flat})
    first, distance, _ = features.components(shown)
    assert np.isfinite(first["other"]).all()
    assert not distance["other"].any()


def subject(sample: dict[str, Any]) -> Subject:
    return Subject(
        experiment="one",
        dataset="test",
        method="",
        section={},
        options={"network": None},
        results={"sample": sample},
        load=lambda method, made: pytest.fail("no method is needed"),
    )


def test_a_model_may_be_called_target(tmp_path: Path):
    """Its distance is that to the ground truth all the same."""
    layout = Layout(str(tmp_path / "results"))
    random = np.random.default_rng(0)
    truth = photograph("astronaut", 48)
    pixels_ = {"truth": truth, **{m: np.clip(truth + random.normal(0, s, truth.shape), 0, 255).astype(np.uint8)
                                  for m, s in (("near", 4), ("far", 30))}}  # fmt: skip
    paths = {}
    for name, image in pixels_.items():
        paths[name] = layout.part(layout.predictions("test", name), "0123456789ab")
        with writing.new_group(layout.place(paths[name]), {"bits": 8}) as group:
            writer = writing.ImageWriter(group, ["one"], [image.shape], image.dtype)
            writer.append(writing.flatten(image))
            writer.close()
    found = []
    for other in ("far", "target"):
        sample = {"image": "one", "dataset_part": paths["truth"], "fused": {},
                  "predictions": {"near": paths["near"], other: paths["far"]}}  # fmt: skip
        drawing = features.draw(subject(sample))
        style.write(drawing, [Place.beside(tmp_path / "features.csv")])
        with open(tmp_path / "features.csv", newline="") as file:
            found.append([list(row.values())[1:] for row in csv.DictReader(file) if "distance" in str(row)])
    assert len(found[0]) >= 2
    assert found[0] == found[1]


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def files(reference: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    table = fitted(counted(*reference, 32), released(32))
    for run in ("once", "again"):
        endings = (".svg", ".pdf", ".png", ".csv")
        style.write(occupancy.drawing(table), [Place.beside(folder / f"{run}{ending}") for ending in endings])
    return folder


@pytest.mark.parametrize("ending", ["svg", "pdf", "png", "csv"])
def test_same_numbers_same_bytes(files: Path, ending: str):
    assert (files / f"once.{ending}").read_bytes() == (files / f"again.{ending}").read_bytes()


def test_files_are_vectors_as_wide_as_a_column(files: Path):
    svg = (files / "once.svg").read_text()
    assert 'width="234pt"' in svg  # 3.25 inches
    assert "<image" not in svg
    pdf = (files / "once.pdf").read_bytes()
    assert b"/MediaBox [ 0 0 234 " in pdf
    assert b"/Subtype /Image" not in pdf
    assert b"/FontFile2" in pdf  # TrueType: publishers refuse Type 3
    with Image.open(files / "once.png") as picture:
        assert picture.width == 975  # 300 dpi
    with open(files / "once.csv", newline="") as file:
        assert sum(int(row["cells"]) for row in csv.DictReader(file)) > 0


def test_an_inline_figure_takes_the_font_and_the_colour_of_its_page(reference: tuple[np.ndarray, np.ndarray]):
    table = fitted(counted(*reference, 32), released(32))
    svg = style.inline(occupancy.drawing(table), salt="a")
    assert "DejaVu" not in svg
    assert "currentColor" in svg
    assert style.INK not in svg
    assert "<text" in svg
    identifiers = [
        set(re.findall(r'id="([^"]+)"', style.inline(occupancy.drawing(table), salt=s))) for s in "ab"
    ]
    assert not identifiers[0] & identifiers[1]


def test_long_names_keep_their_ends():
    assert style.short("ensir") == "ensir"
    names = [style.short(f"{'ensir_' * 10}{i}") for i in range(20)]
    assert len(set(names)) == 20
    assert max(map(len, names)) == style.LONGEST
    looks = [tuple(style.of(i).values()) for i in range(28)]
    assert len(set(looks)) == 28


def test_many_columns_of_panels_go_in_bands():
    columns = [panels.Column(f"method {i}", [panels.Panel(np.full((30, 40), 0.1 * i))]) for i in range(20)]
    width, height = panels.size(columns, (30, 40, 3), 1)
    assert width == style.TEXT
    drawing = style.Drawing(
        width,
        height,
        lambda figure: panels.show(figure, columns, ["weight"], [("weight", 0.0, 2.0)]),
        *panels.table(columns, ["weight"], lambda row: True),
    )
    assert "method 19" in style.inline(drawing, salt="a")
    assert len(list(drawing.rows)) == 30 * 40


# ── what the configuration may say ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"images": {"tset": "x"}},
            "figures.images: 'tset' is not in tests; allowed: test; did you mean 'test'?",
        ),
        ({"bin_sets": [[0, 32]]}, "figures.bin_sets: [0, 32] must hold 3 levels, one per model"),
        (
            {"bin_sets": [[0, 32, 256]]},
            "figures.bin_sets: 256 is wrong; allowed: whole number, at least 0, at most 255",
        ),
        (
            {"network": "net.pth"},
            "figures.network: 'net.pth' is wrong; allowed: path that ends in .pt2 or .onnx",
        ),
        ({"colour": "red"}, "figures.colour: unknown key"),
    ],
)
def test_what_figures_may_not_show(section: dict[str, Any], message: str):
    folder = {"kind": "folder", "target": "x/*.png"}
    raw = {
        "datasets": {"ref": folder, "test": folder},
        "models": {name: {"kind": "folder", "path": "{dataset}/*.png"} for name in "abc"},
        "experiments": {
            "one": {
                "models": ["a", "b", "c"],
                "reference": "ref",
                "tests": ["test"],
                "methods": {"ensir": {}},
                "figures": section,
            }
        },
    }
    with pytest.raises(InputError) as error:
        reading.parse(raw, "mine.yaml", [])
    assert message in str(error.value)


def test_images_and_networks_that_are_not_there():
    photos = {"kind": "photos", "degradation": {"kind": "noise", "sigma": 9}}
    raw = {
        "datasets": {
            "ref": {**photos, "images": ["coffee"]},
            "test": {**photos, "images": ["chelsea", "rocket"]},
        },
        "models": {
            "a": {"kind": "classical", "algorithm": "median"},
            "b": {"kind": "classical", "algorithm": "gaussian"},
        },
        "experiments": {
            "one": {
                "models": ["a", "b"],
                "reference": "ref",
                "tests": ["test"],
                "methods": {"ensir": {"kind": "ensir"}},
                "figures": {"images": {"test": "china"}, "network": "nowhere.pt2"},
            }
        },
    }
    with pytest.raises(InputError) as error:
        Plan(Config.model_validate(raw), Layout("results")).check()
    assert "experiments.one.figures.images.test: 'china' is no image of test" in str(error.value)
    assert "experiments.one.figures.network: nowhere.pt2: no such file" in str(error.value)
    raw["experiments"]["one"]["figures"] = {"images": {"test": "rocket"}}
    plan = Plan(Config.model_validate(raw), Layout("results"))
    plan.check()
    image, part = plan.pictured("one", "test")
    assert image == "rocket"
    assert "rocket" in plan.parts("test")[part]
