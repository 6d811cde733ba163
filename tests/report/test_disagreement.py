"""How much base models disagree, told by the scores: what the pixels say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ensir.images.similarity import psnr
from ensir.report.disagreement import of_images
from ensir.scoring.scores import Scores


def section(**changes: Any) -> dict[str, Any]:
    score = {"rounded": False, "metrics": {"psnr": {"kind": "psnr"}}} | changes
    return {"models": ["a", "b", "c"], "methods": {"mean": {"kind": "average"}}, "score": score}


def test_it_is_that_of_the_pixels() -> None:
    """Also where a model is the target itself; images that a row lacks have none."""
    random = np.random.default_rng(0)
    target = random.uniform(0, 255, (12, 9, 3))
    values: dict[tuple[str, ...], dict[str, float]] = {}
    expected = {}
    for image, spread in (("x", (3, 5, 9)), ("y", (0, 0.5, 40)), ("z", (1, 1, 1))):
        x = {name: target + random.normal(0, s, target.shape) for name, s in zip("abc", spread, strict=True)}
        rows = x | {"mean": np.mean(list(x.values()), axis=0)}
        for row, result in rows.items():
            values.setdefault(("e", "t", row, "psnr"), {})[image] = psnr(target, result)
        expected[image] = np.sqrt(np.mean([(one - rows["mean"]) ** 2 for one in x.values()]))
    del values["e", "t", "b", "psnr"]["z"], expected["z"]
    assert of_images("e", section(), "t", Scores({}, values)) == pytest.approx(expected, rel=1e-9)


def test_it_is_not_told_where_scores_do_not_tell() -> None:
    scores = Scores({}, {("e", "t", row, "psnr"): {"x": 30.0} for row in ("a", "b", "c", "mean")})
    assert of_images("e", section(rounded=True), "t", scores) == {}
    assert of_images("e", section(metrics={"ssim": {"kind": "ssim"}}), "t", scores) == {}
    assert of_images("e", section() | {"methods": {"best": {"kind": "best"}}}, "t", scores) == {}
