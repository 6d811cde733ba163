"""How many reference values are behind weights: held-out reference images, and images that are fused."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from examples import NAMES, assert_same, fitted, made, pixels, released

from ensir.cells import lut as luts
from ensir.cells import statistics, support
from ensir.cells.counting import count
from ensir.cells.lut import LutMethod
from ensir.cells.support import Support


def flat(values, fold):
    """Return statistics of one channel, both models alike: bins of 64 tell the values 0, 70 and 140 apart."""
    y = np.repeat(np.array(list(values), np.uint8), list(values.values()))[None]
    return count([y, y], y, NAMES[:2], 64, fold)


def test_held_out_images_count_the_values_of_the_others():
    """0: 150 of 60 + 90 are enough for the third image only, which has 5; 70: each sees the other; 140: one has it."""
    everything = statistics.total(
        [flat({0: 60, 70: 100}, 0), flat({0: 90, 70: 200}, 1), flat({0: 5, 140: 7}, 2)]
    )
    assert support.held_out(everything) == Support(estimated=5 + 100 + 200, few=60 + 90, empty=7)
    assert support.held_out(flat({0: 60}, 0)) is None


@pytest.mark.parametrize("channels", ["joint", "separate"])
def test_held_out_is_what_a_lut_of_the_others_says(channels):
    folds = [count(*pixels(seed, size=900), NAMES[:3], 32, seed) for seed in range(3)]
    everything = statistics.cells_of(statistics.total(folds), released(32, channels=channels))
    expected = Support()
    for seed in range(3):
        others = statistics.total([fold for i, fold in enumerate(folds) if i != seed])
        expected += support.of_values(
            LutMethod({}, fitted(others, released(32, channels=channels))), pixels(seed, size=900)[0]
        )
    found = support.held_out(everything)
    assert found == expected
    assert 0 not in asdict(found).values()
    assert_same(everything, statistics.cells_of(statistics.total(folds), released(32, channels=channels)))


@pytest.mark.parametrize("channels", ["joint", "separate"])
def test_values_are_counted_by_their_cells(channels, monkeypatch):
    lut = made(0, channels=channels)
    x, _ = pixels(0)
    method = LutMethod({}, lut)
    found = support.of_values(method, x)
    enough = lut.count >= 100
    assert found == Support(int(lut.count[enough].sum()), int(lut.count[~enough].sum()), 0)
    far = np.random.default_rng(0).integers(0, 256, (3, 3, 500)).astype(np.uint8)
    dense = support.of_values(method, far)
    assert dense.empty == (~np.isin(method.numbers(far), lut.number)).sum() > 0
    monkeypatch.setattr(luts, "DENSE_CELLS", 0)
    assert support.of_values(LutMethod({}, lut), far) == dense
    monkeypatch.setattr(support, "SAMPLE", 500)
    assert support.of_sample(method, far) == dense  # no larger than a sample
    monkeypatch.setattr(support, "SAMPLE", 400)
    support.sample.cache_clear()
    sample = support.of_sample(method, far)
    support.sample.cache_clear()
    assert sum(asdict(sample).values()) == 3 * 400
    assert sample.shares["empty"] == pytest.approx(dense.shares["empty"], abs=0.1)


def test_what_is_said():
    assert str(Support(50, 40, 10)) == "50.0% estimated, 40.0% few, 10.0% empty"
    assert Support(50, 40, 10).warning("the values") == ""
    assert Support(49, 40, 11).warning("the values") == (
        "only 49.0% of the values are in cells with 100 or more reference values, and the weights of the others "
        "rest on fewer or none; use wider bins, or fewer models"
    )
    lut = made(0)
    assert support.held_out_of(lut) is None
    known = replace(lut, attributes={"held_out": json.dumps({"estimated": 1, "few": 2, "empty": 3})})
    assert support.held_out_of(known) == Support(1, 2, 3)
