"""A report that is as large as any: many methods, test sets and images, long names, tiny, huge, grey and long images.

Scores and pictures are made up; stores, LUTs and the page are made of them by the real code.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from ensir import registry
from ensir.cells import lut, statistics
from ensir.cells.counting import count
from ensir.config.schema import Config
from ensir.stages.report import report
from ensir.storage import writing
from ensir.storage.layout import Layout

MODELS = (
    "SwinIR_DF2K_s64w8_x4_fine_tuned_for_this_comparison",
    "nlm",
    "a",
    "Restormer-gaussian-color-denoising-blind",
    "tv",
)
LONG = "ensir_with_separate_channels_and_the_arithmetic_of_the_paper"
METHODS = [
    ("average", "average"),
    ("zzpm", "zzpm"),
    (LONG, "ensir"),
    ("ensir_b16", "ensir"),
    ("least_squares", "least_squares"),
]
METHODS += [(f"zzpm_variant_{i:02d}", "zzpm") for i in range(15)]
IMAGES = 1000
PART = "0123456789ab"
HOSTILE = """'"><img src=x onerror="document.title='hurt'"></script><script>document.title='hurt'</script>"""
FORMULA = """=HYPERLINK("x")|a_b%<i>"""
USUAL = {f"dataset_{i:02d}": (120, 160, 3) for i in range(10)}
ODD = {
    "tiny": (6, 8, 3),
    "huge": (1000, 1500, 3),
    "grey": (90, 130, 1),
    "a_panorama_with_a_name_that_is_much_longer_than_any_other_in_here": (24, 700, 3),
}


def make(folder: Path, megabytes: int = 30) -> Path:
    """Write stores, LUTs, scores and the page; return the page."""
    config = Config.model_validate(settings())
    layout = Layout(str(folder / "results"))
    samples = []
    rows: list[tuple[Any, ...]] = []
    for name, experiment in config.experiments.items():
        luts = {
            method: fit(layout, name, method, section.model_dump(mode="json"), list(experiment.models))
            for method, section in experiment.methods.items()
            if section.made == "lut"
        }
        for dataset in experiment.tests:
            if dataset in ODD or not samples:  # the usual test sets share a picture
                samples.append(sample(layout, name, dataset, experiment, luts))
            else:
                samples.append({**samples[-1], "dataset": dataset})
            rows += scores(name, dataset, [*experiment.models, *experiment.methods])
    write(folder / "scores.csv", ["experiment", "dataset", "method", "image", "metric", "value"], rows)
    means: dict[tuple[str, ...], list[float]] = {}
    for experiment_, dataset, method, _, metric, value in rows:
        means.setdefault((experiment_, dataset, method, metric), []).append(value)
    header = ["experiment", "dataset", "method", "metric", "mean", "n"]
    write(folder / "summary.csv", header, [(*key, np.mean(v), len(v)) for key, v in means.items()])
    page = folder / "report.html"
    sections = {
        name: e.model_dump(mode="json", exclude={"figures"}) for name, e in config.experiments.items()
    }
    files = str(folder / "scores.csv"), str(folder / "summary.csv")
    report(
        layout.place(page),
        sections,
        *files,
        samples,
        {name: {} for name in sections},
        {name: {} for name in sections},
        config.report.title,
        {"Date": "2026-11-26 12:00:00 UTC"},
        layout.benchmarks,
        [],
        config.report.images,
        megabytes,
        2,
        lambda done, total: None,
    )
    return page


def settings() -> dict[str, Any]:
    folder = {"kind": "folder", "target": "x/*.png"}
    usual = {name: {"kind": kind} for name, kind in METHODS}
    few = {name: {"kind": kind} for name, kind in METHODS[:4]}
    return {
        "datasets": {name: folder for name in ("reference", *USUAL, *ODD)},
        "models": {name: {"kind": "folder", "path": "{dataset}/*.png"} for name in MODELS},
        "experiments": {
            "everything": {
                "models": list(MODELS),
                "reference": "reference",
                "tests": list(USUAL),
                "methods": usual,
            },
            "odd_sizes": {
                "models": list(MODELS),
                "reference": "reference",
                "tests": list(ODD),
                "methods": few,
            },
        },
    }


def name_of(dataset: str, i: int) -> str:
    """Return the name of an image; one has markup in it, one begins like a formula of a spreadsheet."""
    return {("tiny", 1): HOSTILE, ("tiny", 2): FORMULA}.get((dataset, i), f"image/{i:04d}")


def scene(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Return a smooth picture with edges, as levels."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / max(shape)
    waves = random.uniform(2, 25, (shape[2], 2))
    picture = np.stack([128 + 70 * np.sin(a * x + b * y) + 50 * (x * y > 0.1) for a, b in waves], axis=2)
    return np.clip(picture, 0, 255)


def noisy(picture: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def write_part(layout: Layout, where: str, picture: np.ndarray, name: str = "image/0001") -> str:
    path = layout.part(where, PART)
    with writing.new_group(layout.place(path), {"bits": 8, "citation": None, "licence": None}) as group:
        writer = writing.ImageWriter(group, [name], [picture.shape], picture.dtype)
        writer.append(writing.flatten(picture))
        writer.close()
    return path


def fit(layout: Layout, name: str, method: str, section: dict[str, Any], models: list[str]) -> str:
    """Fit a LUT to one made-up picture."""
    picture = scene((96, 96, 3), 1)
    x = np.stack([writing.flatten(noisy(picture, 4 + 3 * m, m)) for m in range(len(models))])
    everything = statistics.cells_of(
        count(x, writing.flatten(noisy(picture, 0, 0)), models, section["bin_width"]), section
    )
    section = {**section, "strength": 100.0} if section["kind"] == "least_squares" else section
    module, cells = registry.module("methods", section["kind"]), everything.without_folds()
    found = module.estimate_weights(cells, everything, section, "cpu", lambda done, total: None)
    lut.save(
        lut.assemble(cells, found, module.fill(everything, section)), layout.place(layout.lut(name, method))
    )
    return layout.lut(name, method)


def sample(layout: Layout, name: str, dataset: str, experiment: Any, luts: dict[str, str]) -> dict[str, Any]:
    """Write the stores of a picture; methods share four results."""
    shape, image = {**USUAL, **ODD}[dataset], name_of(dataset, 1)
    target = scene(shape, len(dataset))
    predictions = {
        model: write_part(layout, layout.predictions(dataset, model), noisy(target, 4 + 3 * m, m), image)
        for m, model in enumerate(experiment.models)
    }
    results = [
        write_part(layout, layout.fused(name, dataset, str(m)), noisy(target, 3, m).astype(np.float32), image)
        for m in range(4)
    ]
    return {
        "experiment": name,
        "dataset": dataset,
        "image": image,
        "parts": {PART: [image]},
        "dataset_store": stored(write_part(layout, layout.dataset(dataset), noisy(target, 0, 0), image)),
        "predictions": {model: stored(path) for model, path in predictions.items()},
        "fused": {m: stored(results[i % len(results)]) for i, m in enumerate(experiment.methods)},
        "fitted": {method: luts.get(method) for method in experiment.methods},
        "files": (1, 1),
        "results": layout.root,
        "given": {},
    }


def stored(part: str) -> str:
    """Return the store of a part."""
    return str(Path(part).parent)


def scores(name: str, dataset: str, names: list[str]) -> list[tuple[Any, ...]]:
    random = np.random.default_rng(len(dataset))
    image = random.normal(30, 4, IMAGES)
    return [
        (name, dataset, method, name_of(dataset, i), metric, float(value / most))
        for metric, most in (("psnr", 1), ("ssim", 45))
        for m, method in enumerate(names)
        for i, value in enumerate(image + random.normal(0.03 * m, 0.3 + 0.05 * (m % 5), IMAGES), 1)
    ]


def write(path: Path, header: list[str], rows: list[tuple[Any, ...]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
