"""Laws of the estimators: EnsIR and least squares, on the same statistics."""

from itertools import combinations, permutations

import numpy as np
import pytest
from examples import NAMES, fitted, pixels, released, seeds, silent
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir import methods, registry
from ensir.cells import em, em_on_gpu, statistics
from ensir.cells.counting import count
from ensir.cells.lut import load
from ensir.errors import InputError
from ensir.methods import ensir, least_squares
from ensir.stages import estimate, merge
from ensir.storage.layout import Place


def solved(bin_width, strength="auto", channels="joint"):
    return {"kind": "least_squares", "bin_width": bin_width, "channels": channels, "strength": strength}


OPTIONS = [
    released(96),
    released(32, precision="float32", channels="separate"),
    released(96, arithmetic="paper", max_steps=100),
    solved(96, 1e3),
    solved(32, 0, "separate"),
]


def reference(seed, folds=3, **shape):
    """Statistics of a few images."""
    models = shape.get("models", 3)
    images = [pixels(seed + fold, **{"size": 400, **shape}) for fold in range(folds)]
    return statistics.total([count(x, y, NAMES[:models], 32, fold) for fold, (x, y) in enumerate(images)])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("models", [2, 3, 5])
@given(seed=seeds)
@settings(max_examples=8)
def test_weights_are_weights(options, models, seed):
    lut = fitted(reference(seed, models=models), options)
    assert (lut.weights >= 0).all()
    slack = 1e-6 if options.get("arithmetic") == "released" else 1e-12  # it adds 1e-6 to every Σγ
    np.testing.assert_allclose(lut.weights.sum(axis=1), 1, rtol=0, atol=slack)
    assert (lut.expected_squared_error >= 0).all()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(seed=seeds)
@settings(max_examples=8)
def test_16_bit_copies_of_8_bit_images_get_the_same_weights(options, seed):
    x, y = pixels(seed, size=600)
    narrow, wide = (
        fitted(count(x.astype(dtype) * unit, y.astype(dtype) * unit, NAMES[:3], 32), options)
        for dtype, unit in ((np.uint8, 1), (np.uint16, np.uint16(257)))
    )
    np.testing.assert_array_equal(wide.key, narrow.key)
    np.testing.assert_array_equal(wide.status, narrow.status)
    np.testing.assert_allclose(wide.weights, narrow.weights, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        wide.expected_squared_error, narrow.expected_squared_error * 257**2, rtol=1e-6, atol=1e-3
    )


@pytest.mark.parametrize(
    "options", [released(96, arithmetic="paper", max_steps=100), solved(96, 1e3)], ids=str
)
@given(seed=seeds)
@settings(max_examples=8)
def test_permuted_models_permute_the_weights(options, seed):
    x, y = pixels(seed, size=600)
    expected = fitted(count(x, y, NAMES[:3], 32), options)
    bins = np.stack(np.unravel_index(expected.key, (3, 3, 3)))
    for order in permutations(range(3)):
        found = fitted(count(x[list(order)], y, [NAMES[m] for m in order], 32), options)
        place = np.argsort(np.ravel_multi_index(bins[list(order)], (3, 3, 3)))
        np.testing.assert_allclose(found.weights, expected.weights[place][:, order], rtol=0, atol=1e-9)


@given(seed=seeds)
@settings(max_examples=20)
def test_likelihood_never_falls_with_the_arithmetic_of_the_paper(seed):
    cells = reference(seed).without_folds().joint()
    start = ensir.initial_weights(cells, None, released=False)
    group = np.flatnonzero(cells.count >= ensir.FEWEST)
    before = np.full(len(cells), -np.inf)

    def watch(cell, likelihood, *_):
        assert (likelihood >= before[cell] - 1e-9).all()
        before[cell] = likelihood

    options = released(32, arithmetic="paper", max_steps=50)
    em.run(cells, group, start[group], ensir.initial_variance(cells)[group], options, watch)
    assert np.isfinite(before[group]).all()


@pytest.mark.parametrize(
    "options",
    [released(32), released(32, precision="float32"), released(32, arithmetic="paper", max_steps=100)],
    ids=str,
)
@pytest.mark.parametrize("bits", [8, 16])
def test_pytorch_takes_the_same_steps(options, bits):
    unit = np.uint16(257) if bits == 16 else np.uint8(1)
    cells = count(*(values * unit for values in pixels(0, size=2000)), NAMES[:3], 32).without_folds().joint()
    group = np.flatnonzero(cells.count >= ensir.FEWEST)
    start = ensir.initial_weights(cells, None, options["arithmetic"] == "released")[group]
    variance = ensir.initial_variance(cells)[group]
    followed = []
    own = em.run(cells, group, start, variance, options)
    watched = em.run(cells, group, start, variance, options, lambda *step: followed.append(step))
    for one, other in zip(own, watched, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(followed) == own[1].max()
    weights, steps, failed = em_on_gpu.run(cells, group, start, variance, options, device="cpu")
    np.testing.assert_allclose(own[0], weights, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(own[1], steps)
    np.testing.assert_array_equal(own[2], failed)


@pytest.mark.parametrize("options", [released(32, channels="separate"), solved(32)], ids=str)
def test_shards_leave_no_trace(tmp_path, options):
    everything = reference(0, size=1500)
    place = Place.beside(tmp_path / "statistics")
    images = {"image": ["a", "b", "c"], "digest": ["0", "1", "2"]}
    statistics.save(
        everything, place, {"reference": "r", "model_digests": ["", "", ""], "versions": {}}, images
    )
    files = []
    for shards in (1, 2, 7, 64):
        paths = [Place.beside(tmp_path / f"{shards}-{i}") for i in range(shards)]
        for i, path in enumerate(paths):
            estimate.estimate(path, str(place.path), options, i, shards, "cpu", silent)
        lut = Place.beside(tmp_path / f"{shards}.lut")
        merge.merge(lut, "m", options, str(place.path), [str(path.path) for path in paths])
        files.append(lut.path.read_bytes())
        for wrong in (paths[1:] + paths[:1], [*paths, paths[0]]):
            if wrong != paths:
                with pytest.raises(InputError, match=r"are not the shards of .*statistics"):
                    merge.merge(lut, "m", options, str(place.path), [str(path.path) for path in wrong])
    assert len(set(files)) == 1
    settings, gain = methods.settled(registry.module("methods", options["kind"]), everything, options, "cpu")
    found, expected = load(str(lut.path)), fitted(everything, settings)
    np.testing.assert_array_equal(found.gain, gain)
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_array_equal(found.key, expected.key)
    assert found.reference_images == ("a", "b", "c")


# ── least squares ────────────────────────────────────────────────────────────────────────────────────────────


def best_of_all_supports(error, strength, prior):
    """Minimise over every set of models in turn."""
    models = len(prior)
    best, least = None, np.inf
    for size in range(1, models + 1):
        for support in map(list, combinations(range(models), size)):
            inner = error[np.ix_(support, support)] + strength * np.eye(size)
            system = np.block([[inner, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
            solution = np.linalg.solve(system, np.append(strength * prior[support], 1))[:-1]
            if (solution < -1e-12).any():
                continue
            weights = np.zeros(models)
            weights[support] = solution
            value = weights @ error @ weights + strength * ((weights - prior) ** 2).sum()
            if value < least:
                best, least = weights, value
    return best


@pytest.mark.parametrize("models", [2, 3, 5])
@given(seed=seeds, strength=st.sampled_from([0, 1e2, 1e4]))
@settings(max_examples=25)
def test_solve_finds_the_minimum(models, seed, strength):
    random = np.random.default_rng(seed)
    residual = random.normal(0, 10, (6, 30, models)) * random.choice([0.1, 1, 3], (6, 1, models))
    residual += random.normal(0, 10, (6, 30, 1))
    error = residual.transpose(0, 2, 1) @ residual
    prior = random.dirichlet(np.ones(models), 6)
    found = least_squares.solve(error, strength, prior)
    expected = [best_of_all_supports(e, strength, p) for e, p in zip(error, prior, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_equal_models_share_as_the_global_weights_say():
    x, y = pixels(0, models=1)
    lut = fitted(count(np.repeat(x, 3, axis=0), y, NAMES[:3], 32), solved(32, 0))
    np.testing.assert_allclose(lut.weights, 1 / 3, rtol=0, atol=1e-4)


def test_a_perfect_model_gets_all_the_weight():
    x, y = pixels(0)
    lut = fitted(count(np.stack([x[0], y, x[2]]), y, NAMES[:3], 32), solved(32, 0))
    assert (lut.weights[lut.count > 50, 1] > 0.999).all()
    np.testing.assert_allclose(lut.fill_weights, [0, 1, 0], rtol=0, atol=1e-6)


def test_a_strong_pull_gives_the_global_weights():
    lut = fitted(reference(0), solved(32, 1e15))
    np.testing.assert_allclose(lut.weights - lut.fill_weights, 0, rtol=0, atol=1e-6)
    assert lut.fill == "constant"


def test_held_out_error_is_that_of_refitting():
    everything = reference(0, folds=4)
    found = least_squares.held_out_errors(everything, [1e3])[:, 0]
    for fold in range(4):
        runs = [everything.taken(slice(*np.searchsorted(everything.fold, [f, f + 1]))) for f in range(4)]
        own = runs.pop(fold)
        lut = fitted(statistics.total(runs), solved(32, 1e3, "separate"))
        weights = lut.filled[lut.rows(own.key * 3 + own.channel)]
        assert found[fold] == pytest.approx(float(own.expected_squared_error(weights) @ own.count), rel=1e-6)


# ── what "auto" chooses ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("options", [solved("auto"), released("auto")], ids=str)
def test_auto_is_the_best_of_its_candidates(options):
    everything = reference(1)
    module = registry.module("methods", options["kind"])
    (found, gain), losses = methods.settled(module, everything, options, "cpu"), {}
    for width in (32, 64, 128):
        tried = methods.held_out(module, everything, {**options, "bin_width": width}, "cpu")
        losses[width] = module.losses(tried.errors, tried.counts).min()
    assert losses[found["bin_width"]] == min(losses.values())
    assert "auto" not in found.values()
    assert gain is not None
    assert len(gain) == len(np.unique(everything.fold))


@pytest.mark.parametrize("options", [solved(32), released("auto")], ids=str)
def test_auto_needs_two_images(options):
    with pytest.raises(InputError, match="single image"):
        methods.settled(registry.module("methods", options["kind"]), reference(0, folds=1), options, "cpu")
