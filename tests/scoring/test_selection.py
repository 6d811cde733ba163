"""Which models are worth running: subsets, what each model adds, and the Pareto front."""

import math

import numpy as np
import pytest
from examples import NAMES, pixels, silent

from ensir import methods
from ensir.cells import bins, statistics
from ensir.cells.counting import count
from ensir.methods import least_squares
from ensir.methods.least_squares import Subsets
from ensir.scoring.interval import intervals
from ensir.scoring.selection import HeldOut, Selection, explore, files, on_front, selection
from ensir.stages.select import select, selected
from ensir.storage import origin
from ensir.storage.layout import Layout, Place

MODELS = ("quick", "slow", "refined")
IMAGES = ("a", "b", "c", "d")
PSNR = {
    (0,): [30, 31, 32, 33],
    (1,): [31, 33, 32, 34],
    (2,): [31, 32, 34, 34],
    (0, 1): [31, 33, 33, 35],
    (0, 2): [31, 32, 34, 34],
    (1, 2): [32, 34, 35, 36],
    (0, 1, 2): [32, 34, 35, 37],
}
TRIED = {subset: HeldOut(np.array(psnr, float), 32, 1e3) for subset, psnr in PSNR.items()}
RUNS = {"quick": {"quick": 0.5}, "slow": {"slow": 2.0}, "refined": {"slow": 2.0, "refined": 1.0}}


def solved(bin_width=32, strength="auto", channels="joint"):
    return {"kind": "least_squares", "bin_width": bin_width, "strength": strength, "channels": channels}


def counted(images, models, finest=32):
    """Statistics of some models, as an experiment with these alone counts them."""
    return statistics.total(
        [count(x[models], y, [NAMES[m] for m in models], finest, fold) for fold, (x, y) in enumerate(images)]
    )


# ── one subset ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bits", "settings"),
    [
        (8, solved()),
        (16, solved(channels="separate")),
        (8, solved(64, 1e3)),
        (8, solved("auto")),
    ],
    ids=str,
)
def test_a_subset_is_worth_what_an_experiment_with_these_models_alone_finds_to_the_bit(bits, settings):
    images = [pixels(seed, models=4, bits=bits, size=500) for seed in range(3)]
    everything = Subsets(counted(images, [0, 1, 2, 3]), settings)
    for models in ([2], [0, 3], [1, 2], [0, 1, 3], [0, 1, 2, 3]):
        alone = counted(images, models)
        found = everything.held_out(models)
        expected = Subsets(alone, settings).held_out(range(len(models)))
        assert found.psnr.tobytes() == expected.psnr.tobytes()
        settled = methods.settled(least_squares, alone, settings, "cpu")[0]
        assert (found.bin_width, found.strength) == (settled["bin_width"], settled["strength"])


def test_one_model_is_worth_its_psnr():
    images = [pixels(seed, models=2, size=500) for seed in range(3)]
    found = Subsets(counted(images, [0, 1]), solved()).held_out([1])
    errors = [((x[1].astype(float) - y) ** 2).mean() for x, y in images]
    np.testing.assert_allclose(found.psnr, [10 * math.log10(255**2 / error) for error in errors], rtol=1e-12)


def test_perfect_models_have_no_finite_psnr():
    images = [(np.stack([y, y, y // 2]), y) for _, y in (pixels(seed) for seed in range(2))]
    assert np.isinf(Subsets(counted(images, [0, 1, 2]), solved()).held_out([0, 2]).psnr).all()


# ── which subsets ────────────────────────────────────────────────────────────────────────────────────────────


def worth(subsets):
    """Models are worth 1, 2, 4, …, less the more there are."""
    return [HeldOut(np.array([sum(2.0**m for m in subset)]), 32, 0) for subset in subsets]


def test_of_ten_models_every_subset_is_tried():
    assert len(explore(10, worth)) == 2**10 - 1


def test_of_more_models_the_best_are_added_and_the_worst_left_out_one_by_one():
    tried = explore(12, worth)
    grown = {tuple(range(12 - size, 12)) for size in range(1, 13)}  # in both directions
    assert grown < tried.keys()
    assert {(m,) for m in range(12)} < tried.keys()
    assert {tuple(m for m in range(12) if m != left_out) for left_out in range(12)} < tried.keys()
    assert len(tried) < 12 * 12


# ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────


def test_differences_gains_and_losses_are_paired():
    found = selection(MODELS, IMAGES, TRIED, RUNS)
    pair = next(row for row in found.subsets if row.models == ("slow", "refined"))
    (interval,) = intervals(np.array([[0, 0, 0, -1.0]]))
    assert (pair.psnr, pair.difference, pair.low, pair.high) == (34.25, *interval)
    assert pair[-2:] == (32, 1e3)
    gain = next(row for row in found.gains if row.models == ("slow", "refined"))
    quick = found.models[0]
    assert (gain.added, gain[2:]) == ("quick", (-interval.mean, -interval.high, -interval.low))
    assert (quick.psnr, quick.loss, quick.loss_low, quick.loss_high) == (31.5, *gain[2:])
    assert quick.gain == np.mean(
        [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]]
    )  # added to slow, to refined, to both
    assert len(found.gains) == 3 * 2 + 3
    assert [row.psnr for row in found.images if row.models == ("quick",)] == [30, 31, 32, 33]


def test_what_two_models_need_runs_once():
    found = selection(MODELS, IMAGES, TRIED, RUNS)
    seconds = {row.models: row.seconds for row in found.subsets}
    assert seconds["slow", "refined"] == 3.0
    assert seconds["quick", "slow"] == 2.5
    assert [row.models for row in found.subsets if row.on_front] == [
        ("quick",),
        ("slow",),
        ("quick", "slow"),
        ("slow", "refined"),
        MODELS,
    ]
    assert found.is_timed


def test_where_seconds_are_not_known_the_front_is_of_the_number_of_models():
    found = selection(MODELS, IMAGES, TRIED, RUNS | {"quick": {"quick": math.nan}})
    assert not found.is_timed
    assert [row.models for row in found.subsets if row.on_front] == [
        ("refined",),
        ("slow", "refined"),
        MODELS,
    ]


def test_on_the_front_nothing_is_as_fast_and_as_good():
    assert on_front([1, 1, 2, 3, 4], [30, 31, 31, 32, 31.5]) == [False, True, False, True, False]


def test_what_is_written_is_read(tmp_path):
    found = selection(MODELS, IMAGES, TRIED, RUNS)
    found.save(map(Place.beside, files(str(tmp_path))))
    assert Selection.load(str(tmp_path)).subsets == [
        row._replace(low=pytest.approx(row.low), high=pytest.approx(row.high)) for row in found.subsets
    ]
    assert Selection.load(str(tmp_path)).models == [
        row._replace(
            **{name: pytest.approx(value) for name, value in row._asdict().items() if name != "model"}
        )
        for row in found.models
    ]


# ── the stage ────────────────────────────────────────────────────────────────────────────────────────────────


def saved(layout, folds):
    """Write statistics as the workflow does."""
    images = [pixels(seed, size=300) for seed in range(folds)]
    path = layout.statistics("one", "bins")
    names = [f"image{fold}" for fold in range(folds)]
    statistics.save(counted(images, [0, 1, 2]), layout.place(path), {}, {"image": names, "digest": names})
    return path


def test_the_tables_do_not_depend_on_the_number_of_threads(tmp_path):
    layout = Layout(str(tmp_path / "results"))
    asked = {
        "settings": solved(),
        "statistics": (bins.__name__, saved(layout, 3)),
        "predictions": dict.fromkeys("abc", ()),
        "given": {},
    }
    one, two = (selected(layout, **asked, threads=threads, progress=silent) for threads in (1, 2))
    assert one == two
    assert {row.image for row in one.images} == {"image0", "image1", "image2"}


def test_of_a_single_image_there_is_nothing_to_tell(tmp_path):
    layout = Layout(str(tmp_path / "results"))
    asked = {
        "settings": solved(strength=0),
        "statistics": (bins.__name__, saved(layout, 1)),
        "predictions": {},
        "given": {},
    }
    folder = layout.selection("one", "least_squares")
    select(layout, [{"folder": folder, **asked}], 1, silent)
    assert Selection.load(folder) == ([], [], [], [])


def test_seconds_are_what_the_jobs_took_unless_they_are_given(tmp_path):
    layout = Layout(str(tmp_path))
    parts = {
        model: [layout.part(layout.predictions("set", model), part) for part in "01"] for model in MODELS
    }
    for model, needed in (("quick", {"quick": 3.0}), ("refined", {"slow": None, "refined": 1.0})):
        for part in parts[model]:
            digest = Place.beside(layout.digest(part)).path
            digest.parent.mkdir(parents=True, exist_ok=True)
            origin.write(digest, {}, {"seconds": needed})
    found = origin.runs(layout, parts, {}, 4)
    assert found["quick"] == {"quick": 1.5}
    assert math.isnan(found["slow"]["slow"])  # read from files: no job restored them
    assert math.isnan(found["refined"]["slow"])
    given = origin.runs(layout, parts, {"slow": 7.0}, 4)
    assert given == {"quick": {"quick": 1.5}, "slow": {"slow": 7.0}, "refined": {"slow": 7.0, "refined": 0.5}}
