"""What the page's script reads: plain data as JSON inside the page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ensir.scoring.scores import Cell, Table

MARKS = {"best": "*", "second": "_", "": ""}
FINER = 100  # steps to the last printed digit


def embedded(data: Any) -> str:
    """Return data as JSON that cannot end the element which it is in."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def scores(
    tables: Sequence[Table], sizes: dict[str, int], disagreement: dict[str, float], pictured: list[str]
) -> str:
    """Return the rows of long tables of the same images, one per metric, and what else is known of these, as JSON.

    A cell is the number as it is printed, its mark, and by how many hundredths of its last digit the number itself is
    larger or smaller: ``"30.12*+37"`` is 30.1237, the best. So the script prints what Python has rounded, and sorts and
    plots what is not.
    """
    images = [image for _, image, _ in tables[0].rows]
    disagreements = [disagreement.get(image) for image in images]
    return embedded(
        {
            "images": images,
            "metrics": [[[*map(_cell, cells)] for _, _, cells in table.rows] for table in tables],
            "pixels": [sizes.get(image) for image in images],
            "disagreement": [None if value is None else float(f"{value:.4g}") for value in disagreements],
            "pictured": pictured,
        }
    )


def _cell(cell: Cell) -> str:
    text = cell.text + MARKS[cell.mark]
    if not math.isfinite(cell.value):
        return text
    digits = len(cell.text.partition(".")[2])
    finer = round((cell.value - float(cell.text)) * 10**digits * FINER)
    return f"{text}{finer:+d}" if finer else text
