"""What the published code computes, in float64, on fixed inputs (`golden/` of the research data)."""

from functools import partial

import numpy as np
import pytest
from examples import NAMES, fitted, released, silent

from ensir.cells import counting, em
from ensir.cells.lut import LutMethod
from ensir.methods import average, ensir, zzpm
from ensir.stages import score
from ensir.storage import writing

METRICS = {"psnr": {"kind": "psnr"}, "ssim": {"kind": "ssim"}}
LUTS = [
    ("inputs", "lut_M2_b32"),
    ("inputs", "lut_M2_b96"),
    ("inputs", "lut_M3_b16"),
    ("inputs", "lut_M3_b32"),
    ("inputs", "lut_M3_b32_dw136"),
    ("inputs", "lut_M3_b64"),
    ("inputs", "lut_M3_b96"),
    ("inputs", "lut_M3_b128"),
    ("inputs_edge", "edge_lut_M3_b64"),
    ("inputs_edge", "edge_lut_M3_b96"),
]


@pytest.fixture(scope="session")
def golden(data):
    return lambda name: np.load(data / f"golden/{name}.npz")


settings = partial(released, channels="separate")


def fit(inputs, models, options):
    """Fit a LUT to the reference of a file of inputs."""
    x = inputs["ref_pred"][:models].transpose(0, 4, 1, 2, 3).reshape(models, 3, -1)
    y = inputs["ref_gt"].transpose(3, 0, 1, 2).reshape(3, -1)
    cells = counting.count(x, y, NAMES[:models], options["bin_width"])
    return fitted(cells, options)


def dense(lut, column):
    """Spread a column of the occupied cells over all cells."""
    values = np.zeros(lut.cells, np.int64)
    values[lut.number] = getattr(lut, column)
    return values


def images_of(inputs, models):
    """Yield (predictions, target) of each test image."""
    for i, target in enumerate(inputs["test_gt"]):
        yield np.stack([writing.flatten(inputs["test_pred"][m, i]) for m in range(models)]), target


def metrics(target, fused, crop=0):
    """PSNR and SSIM on Y, then on RGB."""
    image = fused.T.reshape(target.shape)
    rules = {"crop": crop, "metrics": METRICS, "rounded": False}
    return [
        value
        for space in ("y", "rgb")
        for value in score.compare("x", target, image, 8, {"space": space, **rules}).values()
    ]


@pytest.mark.parametrize(("inputs", "name"), LUTS)
def test_lut(golden, inputs, name):
    expected, inputs = golden(name), golden(inputs)
    models = int(expected["M"])
    prior = [0.1, 0.3, 0.6] if name.endswith("dw136") else None
    lut = fit(inputs, models, settings(int(expected["bin_width"]), prior=prior))

    status = expected["status"].ravel()
    np.testing.assert_array_equal(dense(lut, "count"), expected["count"].ravel())
    np.testing.assert_array_equal(dense(lut, "status"), status)
    kept = status != ensir.FAILED  # the number of steps of a failed cell is arbitrary
    np.testing.assert_array_equal(dense(lut, "iterations")[kept], expected["iters"].ravel()[kept])
    np.testing.assert_allclose(lut.dense, expected["lut"].reshape(-1, models), rtol=0, atol=1e-9)

    method = LutMethod({}, lut)
    for i, (x, target) in enumerate(images_of(inputs, models)):
        fused = method.fuse(x, np.float64)
        np.testing.assert_allclose(metrics(target, fused), expected["metrics"][i], rtol=0, atol=1e-4)
        np.testing.assert_allclose(method.fuse(x), fused, rtol=0, atol=1e-4)
        if "fused" in expected:
            np.testing.assert_allclose(fused, expected["fused"][i].reshape(3, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", range(7))
def test_em_step_by_step(golden, cell):
    trace = golden("em_trace_M3_b32")
    expected = {
        name: trace[f"c{cell}_{name}"] for name in ("x", "y", "pi0", "mu", "var0", "pi", "var", "ll")
        if f"c{cell}_{name}" in trace
    }  # fmt: skip
    cells = counting.count(expected["x"][:, None], expected["y"][None], NAMES[:3], 256)
    options = settings(256)
    start = ensir.initial_weights(cells, None, released=True)
    np.testing.assert_allclose(start[0], expected["pi0"], rtol=0, atol=1e-12)
    if len(expected["y"]) < ensir.FEWEST:
        found = ensir.estimate_weights(cells, cells, options, "cpu", silent)
        np.testing.assert_array_equal(found.weights, start)
        return
    variance = ensir.initial_variance(cells)
    np.testing.assert_allclose(variance[0], expected["var0"], rtol=1e-12)
    seen = []
    _, steps, _ = em.run(cells, np.array([0]), start, variance, options, lambda *step: seen.append(step))
    assert steps[0] == len(expected["ll"]) == len(seen)
    for (_, found, weights, spread), pi, expected_spread, likelihood in zip(
        seen, expected["pi"], expected["var"], expected["ll"], strict=True
    ):
        np.testing.assert_allclose(weights[0], pi, rtol=0, atol=1e-9)
        np.testing.assert_allclose(spread[0], expected_spread, rtol=1e-9)
        np.testing.assert_allclose(found[0], likelihood, rtol=1e-9)


def test_single_precision_stays_close(golden):
    inputs = golden("inputs")
    double, single = (fit(inputs, 3, settings(32, precision=p)) for p in ("float64", "float32"))
    assert np.quantile(np.abs(single.weights - double.weights), 0.95) < 1e-5
    assert (single.status != double.status).mean() < 0.05
    for x, target in images_of(inputs, 3):
        both = [metrics(target, LutMethod({}, lut).fuse(x)) for lut in (double, single)]
        np.testing.assert_allclose(*both, rtol=0, atol=2e-3)


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize(("name", "method"), [("avg", average), ("zzpm", zzpm)])
def test_baseline(golden, models, name, method):
    expected = golden("baselines")
    combiner = method.Method({"literal": False})
    for i, (x, target) in enumerate(images_of(golden("inputs"), models)):
        weights = combiner.weights(x).ravel()
        np.testing.assert_allclose(weights, expected[f"{name}_M{models}_weights"][i], rtol=0, atol=1e-6)
        found = metrics(target, combiner.fuse(x))
        np.testing.assert_allclose(found, expected[f"{name}_M{models}_metrics"][i], rtol=0, atol=1e-4)


def test_metrics_of_base_models_and_crop(golden):
    expected, inputs = golden("baselines"), golden("inputs")
    for i, (x, target) in enumerate(images_of(inputs, 3)):
        for m in range(3):
            np.testing.assert_allclose(
                metrics(target, x[m]), expected["base_metrics"][m, i], rtol=0, atol=1e-4
            )
        cropped = metrics(target, average.Method({}).fuse(x), crop=4)
        np.testing.assert_allclose(cropped, expected["crop4_M3_avg_metrics"][i], rtol=0, atol=1e-4)
