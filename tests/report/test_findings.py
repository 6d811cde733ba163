"""What the page says was found: the best, how far it is from what, and whether that may be chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ensir.report.findings import of_experiment
from ensir.scoring.interval import intervals
from ensir.scoring.scores import Scores

PSNR = {"label": "PSNR", "unit": "dB", "digits": 2, "higher_is_better": True}
METHODS = {"average": {"kind": "average"}, "ensir_b16": {"kind": "ensir"}, "lsq": {"kind": "least_squares"}}


def found(values: dict[str, list[float]], methods: dict[str, Any] = METHODS, printed: Any = PSNR) -> str:
    """Return the finding on one test set, from the values of its images by row."""
    experiment = {
        "models": [row for row in values if row not in methods],
        "methods": methods,
        "tests": ["set5"],
        "score": {"metrics": {"m": {"printed": printed}}},
    }
    finite = [i for i, image in enumerate(zip(*values.values(), strict=True)) if float("inf") not in image]
    over = finite or range(len(next(iter(values.values()))))
    scores = Scores(
        {("e", "set5", row, "m"): sum(at[i] for i in over) / len(over) for row, at in values.items()},
        {
            ("e", "set5", row, "m"): dict(zip("abcdef", row_values, strict=False))
            for row, row_values in values.items()
        },
    )
    (finding,) = of_experiment("e", experiment, scores)
    return finding.sentences


def test_a_method_is_the_best():
    values = {
        "x": [30, 31, 32],
        "y": [29, 31, 30],
        "average": [30, 31.5, 32],
        "ensir_b16": [30.1, 31.4, 32.3],
    }
    values["lsq"] = [30.5, 31.9, 32.7]
    assert found(values) == (
        "lsq is the best of 2 base models and 3 methods: PSNR 31.70 dB, 0.533 dB above the average [+0.154, +0.913] and "
        "0.700 dB above the best base model, x [+0.203, +1.197]. ensir_b16 is 0.100 dB above the average [−0.397, "
        "+0.597, may be chance]. 3 images."
    )


def test_the_bounds_are_those_of_the_tables():
    differences = [0.5, 0.4, 0.7]
    (expected,) = intervals(np.array([differences]))
    text = found({"x": [30, 31, 32], "y": [0, 0, 0], "average": [30, 31, 32], "lsq": [30.5, 31.4, 32.7]})
    assert f"above the average [+{expected.low:.3f}, +{expected.high:.3f}]" in text


def test_a_base_model_is_the_best():
    values = {"x": [33, 34], "y": [29, 31], "average": [31, 32], "lsq": [32.9, 33.8]}
    assert found(values, {"average": METHODS["average"], "lsq": METHODS["lsq"]}) == (
        "x is the best of 2 base models and 2 methods: PSNR 33.50 dB, 2.000 dB above the average [+2.000, +2.000] and "
        "0.150 dB above the best method, lsq [−0.485, +0.785, may be chance]. 2 images."
    )


def test_one_image_and_no_average():
    assert found({"x": [30], "y": [29], "lsq": [30.5]}, {"lsq": METHODS["lsq"]}) == (
        "lsq is the best of 2 base models and 1 method: PSNR 30.50 dB, 0.500 dB above the best base model, x. One "
        "image: no intervals."
    )


def test_lower_is_better():
    printed = {**PSNR, "label": "LPIPS", "unit": "", "digits": 3, "higher_is_better": False}
    text = found(
        {"x": [0.3, 0.2], "y": [0.4, 0.4], "average": [0.3, 0.3], "lsq": [0.1, 0.2]}, printed=printed
    )
    assert text.startswith(
        "lsq is the best of 2 base models and 2 methods: LPIPS 0.150, 0.1500 better than the average [−0.4853, "
        "+0.7853, may be chance]"
    )


def test_another_metric_says_otherwise():
    """What is named is worse than the average in it, and that is no chance."""
    section = {
        "models": ["x", "y"],
        "methods": METHODS,
        "tests": ["set5"],
        "score": {
            "metrics": {"m": {"printed": PSNR}, "s": {"printed": {**PSNR, "label": "SSIM", "unit": ""}}}
        },
    }
    rows = {"x": 30, "y": 29, "average": 30, "ensir_b16": 30.1, "lsq": 31}
    values = {("e", "set5", row, "m"): dict.fromkeys("abc", value) for row, value in rows.items()}
    for row in rows:
        worse = {"ensir_b16": (0.09, 0.1, 0.11), "lsq": (0.5, -0.5, 0.1)}.get(row, (0, 0, 0))
        values["e", "set5", row, "s"] = dict(zip("abc", (0.8 - value for value in worse), strict=True))
    means = {key: float(np.mean(list(value.values()))) for key, value in values.items()}
    (finding,) = of_experiment("e", section, Scores(means, values))
    told = "In SSIM, ensir_b16 is 0.100 below the average [−0.125, −0.075]. 3 images."
    assert finding.sentences.endswith(told)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"x": [float("nan")] * 2, "y": [float("nan")] * 2}, "No finite scores."),
        # An image that some row restores perfectly is left out, as in all means.
        ({"x": [float("inf"), 31], "y": [29, 30]}, "2 base models and 0 methods: PSNR 31.00 dB. One image"),
        ({"x": [float("inf")] * 2, "y": [29, 30]}, "x: no difference from the targets in any image."),
    ],
)
def test_values_that_are_no_numbers(values: dict[str, list[float]], text: str):
    assert text in found(values, {})
