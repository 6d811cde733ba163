"""The figure of which models are worth running."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from ensir.drawing import style
from ensir.figures import selection as figure
from ensir.scoring.selection import HeldOut, Selection, explore, selection
from ensir.storage.layout import Place

NAMES = ["quick", "a_model_with_a_rather_long_name", "slow", "d", "e", "f", "g"]


def found(models: int, seconds: float = 0.01) -> Selection:
    random = np.random.default_rng(models)
    quality, images = random.normal(0, 0.5, models), random.normal(30, 2, 5)

    def fitted(subsets):
        return [HeldOut(images + sum(quality[m] for m in s) / len(s) + 0.2 * len(s), 32, 0) for s in subsets]

    names = NAMES[:models]
    runs = {name: {name: seconds * 4**m} for m, name in enumerate(names)}
    return selection(names, list("vwxyz"), explore(models, fitted), runs)


@pytest.mark.parametrize(
    "shown",
    [found(2), found(7), found(3, math.nan), Selection([], [], [], [])],
    ids=["two", "seven", "untimed", "one image"],
)
def test_it_is_drawn_whatever_was_found(shown: Selection, tmp_path: Path):
    style.write(figure.drawing(shown), [Place.beside(tmp_path / f"figure{end}") for end in (".svg", ".csv")])
    assert (tmp_path / "figure.svg").read_text().startswith("<?xml")
    with open(tmp_path / "figure.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["models"] for row in rows] == ["+".join(row.models) for row in shown.subsets]


def test_the_first_the_last_and_the_largest_steps_of_the_front_are_labelled():
    front = sorted((row for row in found(7).subsets if row.on_front), key=lambda row: row.seconds)
    assert len(front) > figure.MOST_LABELS
    labelled = figure._labelled(front)
    assert len(labelled) == figure.MOST_LABELS
    assert (labelled[0], labelled[-1]) == (front[0], front[-1])
    gains = np.diff([row.psnr for row in front])[:-1]
    assert front[1 + int(gains.argmax())] in labelled


def test_labels_fit():
    shown = found(7)
    labels = figure._named(shown.subsets, shown)
    assert labels[0] == "quick"
    assert labels[-1] == "all 7"
    assert "all but quick" in labels
    assert max(map(len, labels)) <= 2 * figure.LONGEST
