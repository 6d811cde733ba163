"""Each method beside its plain formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import as_stored, fitted, released
from scipy.optimize import minimize
from sklearn import ensemble

from ensir import methods, registry
from ensir.cells.counting import count
from ensir.cells.lut import LutMethod, save
from ensir.errors import InputError
from ensir.images.colours import luma
from ensir.images.degradations import imresize
from ensir.images.similarity import psnr
from ensir.methods import _regressor, refesr
from ensir.stages.fit import fit
from ensir.stages.fuse import fuse
from ensir.storage import digests, fits, reading, writing
from ensir.storage.layout import Layout
from ensir.storage.reference import Reference

MODELS = ["a", "b", "c"]
KINDS = {
    "bagging": {"trees": 4},
    "adaboost": {},
    "rforest": {"trees": 5},
    "gbdt": {},
    "hgbt": {},
}
SCALE = 2


def settings_of(kind: str, **options: Any) -> dict[str, Any]:
    return {"kind": kind, "samples": 2000, "seed": 0, **KINDS[kind], **options}


def method_of(settings: dict[str, Any], fitted: str | None) -> Any:
    return registry.module("methods", settings["kind"]).Method(settings, fitted)


def quiet(done: int, total: int) -> None:
    pass


def scene(
    name: str, shape: tuple[int, int, int] = (24, 32, 3), dtype: type = np.uint8
) -> dict[str, np.ndarray]:
    """Make a target, its downscaled input and three predictions of different noise."""
    random = np.random.default_rng([*name.encode()])
    unit = 1 if dtype == np.uint8 else 257
    y, x = np.mgrid[: shape[0], : shape[1], : shape[2]][:2]
    target = 128 + 90 * np.sin(random.uniform(0.1, 0.4) * x + random.uniform(0.1, 0.4) * y)
    noisy = {m: target + random.normal(0, sigma, shape) for m, sigma in zip(MODELS, (4, 6, 9), strict=True)}
    images = {"target": target, **noisy}
    rounded = {k: (np.clip(np.rint(v), 0, 255) * unit).astype(dtype) for k, v in images.items()}
    return {**rounded, "input": imresize(rounded["target"], 1 / SCALE)}


class Made:
    """Stores of a few scenes, in parts."""

    def __init__(
        self, folder: Path, dataset: str, parts: list[list[str]], with_input: bool = True, **options: Any
    ):
        self.layout = Layout(str(folder / "results"))
        self.parts, self.predictions = [], []
        for i, names in enumerate(parts):
            scenes = {name: scene(name, **options) for name in names}
            self.parts.append(f"{self.layout.dataset(dataset)}/{i}")
            self.write(self.parts[-1], scenes, "target", dataset, with_input)
            self.predictions.append([f"{self.layout.predictions(dataset, model)}/{i}" for model in MODELS])
            for model, path in zip(MODELS, self.predictions[-1], strict=True):
                self.write(path, scenes, model, dataset, False)

    def write(self, path: str, scenes: dict[str, Any], kind: str, dataset: str, with_input: bool) -> None:
        first = next(iter(scenes.values()))[kind]
        attributes = {
            "dataset": dataset,
            "bits": first.dtype.itemsize * 8,
            "value_range": [0, np.iinfo(first.dtype).max],
        }
        with writing.new_group(self.layout.place(path), attributes) as group:
            for key, prefix in [(kind, ""), *([("input", "input_")] if with_input else [])]:
                shapes = [images[key].shape for images in scenes.values()]
                writer = writing.ImageWriter(group, list(scenes), shapes, first.dtype, prefix)
                for images in scenes.values():
                    writer.append(writing.flatten(images[key]))
                writer.close()

    def source(self) -> list[tuple[str, list[str]]]:
        return list(zip(self.parts, self.predictions, strict=True))

    def reference(self) -> Reference:
        return Reference(self.source())

    def fit(self, settings: dict[str, Any], name: str = "fit") -> str:
        path = self.layout.fit("e", name)
        place = self.layout.place(path)
        assert fit(place, settings, "ref", MODELS, self.source(), quiet) > 0
        return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"), "ref", [["i2", "i3"], ["i1"]])


def predictions_of(name: str, **options: Any) -> np.ndarray:
    images = scene(name, **options)
    return np.stack([writing.flatten(images[model]) for model in MODELS])


# ── regressors ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_trees_predict_what_scikit_learn_predicts(tmp_path, kind, dtype):
    made = Made(tmp_path, "ref", [["i1", "i2"]], dtype=dtype)
    settings = settings_of(kind)
    classes = {
        "bagging": ensemble.BaggingRegressor, "adaboost": ensemble.AdaBoostRegressor,
        "rforest": ensemble.RandomForestRegressor, "gbdt": ensemble.GradientBoostingRegressor,
        "hgbt": ensemble.HistGradientBoostingRegressor,
    }  # fmt: skip
    trees = {"n_estimators": settings["trees"]} if "trees" in settings else {}
    x, y = _regressor.sample(made.reference(), 2000, 0, quiet)
    model = classes[kind](random_state=0, **trees).fit(x, y)

    found = method_of(settings, made.fit(settings))
    image = predictions_of("t", dtype=dtype)
    expected = model.predict(image.reshape(3, -1).T.astype(np.float32)).astype(np.float32)
    np.testing.assert_allclose(found.fuse(image).ravel(), expected, rtol=1e-6)
    assert found.weights(image) is None


def test_sample_is_of_the_reference_and_of_the_asked_size(made):
    x, y = _regressor.sample(made.reference(), 500, 0, quiet)
    assert (x.shape, y.shape) == ((500, 3), (500,))
    names = ["i1", "i2", "i3"]
    pairs = {
        (*p, t)
        for name in names
        for p, t in zip(
            predictions_of(name).reshape(3, -1).T.tolist(), writing.flatten(scene(name)["target"]).ravel().tolist(), strict=True
        )
    }  # fmt: skip
    assert {(*p, t) for p, t in zip(x.tolist(), y.tolist(), strict=True)} <= pairs
    everything, _ = _regressor.sample(made.reference(), 10**9, 0, quiet)
    assert len(everything) == 3 * 24 * 32 * 3


def test_sample_depends_on_neither_parts_nor_chunks(made, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "CHUNK_VALUES", 1000)
    other = Made(tmp_path, "ref", [["i1"], ["i3"], ["i2"]])
    for one, two in zip(
        *(_regressor.sample(m.reference(), 500, 7, quiet) for m in (made, other)), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(_regressor.sample(made.reference(), 500, 8, quiet)[0], one)


@pytest.mark.parametrize("kind", KINDS)
def test_same_inputs_same_digest(made, tmp_path, kind):
    other = Made(tmp_path, "ref", [["i1", "i2", "i3"]])
    one, two = made.fit(settings_of(kind), kind), other.fit(settings_of(kind), kind)
    assert digests.digests(Path(one)) == digests.digests(Path(two))


def test_hgbt_is_the_same_for_any_number_of_threads(made, tmp_path):
    from threadpoolctl import threadpool_limits

    texts = set()
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            texts.add(digests.digests(Path(made.fit(settings_of("hgbt"), f"hgbt{threads}"))))
    assert len(texts) == 1


def test_repeated_values_get_what_they_get_alone(made):
    settings = settings_of("rforest")
    method = method_of(settings, made.fit(settings))
    image = predictions_of("t")
    together = method.fuse(image)
    alone = [method.fuse(image[:, :, i : i + 1])[:, 0] for i in range(image.shape[2])]
    np.testing.assert_array_equal(together, np.stack(alone, axis=1))
    many = np.zeros((9, 5), np.uint8)
    values, index = _regressor.distinct(many)  # more than 64 bits
    assert values[:, index].shape == many.shape


@pytest.mark.parametrize(("array", "value"), [("left", 0), ("feature", 3), ("right", 2**30), ("root", -1)])
def test_damaged_trees_are_an_error(made, array, value):
    fit = fits.load(made.fit(settings_of("gbdt")))
    inner = int(np.flatnonzero(fit.arrays["feature"] >= 0)[0]) if array != "root" else 0
    fit.arrays[array][inner] = value
    with pytest.raises(InputError, match="damaged"):
        _regressor.check(fit, "x")


def test_other_files_are_no_fit(made, tmp_path):
    for path in (str(tmp_path), made.parts[0]):
        with pytest.raises(InputError, match="fit"):
            fits.load(path)


def test_predictions_have_to_fit(made):
    settings = settings_of("gbdt")
    method = method_of(settings, made.fit(settings))
    image = predictions_of("t")
    for wrong in (image[:2], image.astype(np.uint16)):
        with pytest.raises(InputError, match=r"do not fit|cannot fuse images of 16"):
            method.fuse(wrong)


# ── RefESR ──────────────────────────────────────────────────────────────────────────────────────────────────


def refesr_of(made: Made) -> methods.UsesInput:
    found = method_of({"kind": "refesr"}, made.fit({"kind": "refesr"}, "refesr"))
    assert isinstance(found, methods.UsesInput)
    return found


def test_refesr_fits_the_psnr_on_luma(made):
    inner = np.s_[SCALE:-SCALE, SCALE:-SCALE]
    expected = [
        np.mean(
            [psnr(luma(s["target"])[inner], luma(s[model])[inner]) for s in map(scene, ("i1", "i2", "i3"))]
        )
        for model in MODELS
    ]
    found = fits.load(made.fit({"kind": "refesr"}))
    np.testing.assert_allclose(found.arrays["psnr"], expected, rtol=1e-12)
    assert found.reference_images == ("i1", "i2", "i3")


def test_refesr_needs_more_than_its_border(tmp_path: Path):
    made = Made(tmp_path, "thin", [["i1"]], shape=(4, 32, 3))
    with pytest.raises(
        InputError, match="a border of 2 pixels, and image 'i1' of the reference is 32×4; leave it out"
    ):
        made.fit({"kind": "refesr"})


def test_refesr_prior():
    scores = np.array([30.0, 30.05, 29.9])
    plain = np.exp(-((30.05 - scores) ** 2) / 0.07**2)
    np.testing.assert_allclose(refesr.prior_weights(scores), plain / plain.sum())
    np.testing.assert_array_equal(refesr.prior_weights(np.array([np.inf, 30, np.inf])), [0.5, 0, 0.5])


@pytest.mark.parametrize("shape", [(24, 32, 3), (16, 20, 1)])
def test_refesr_minimises_its_objective(made, shape):
    images, x = scene("t", shape=shape), predictions_of("t", shape=shape).reshape(3, shape[2], *shape[:2])
    method = refesr_of(made)
    prior = refesr.prior_weights(fits.load(made.layout.fit("e", "refesr")).arrays["psnr"])

    def y_of(image):
        return (luma(image) if shape[2] == 3 else image.astype(float)) / 255

    reduced = [imresize(y_of(images[model]), 1 / SCALE).ravel() for model in MODELS]
    low = y_of(images["input"]).ravel()

    def objective(w):
        return np.sum((low - w @ np.stack(reduced)) ** 2) + 0.8 * np.sum((w - prior) ** 2)

    constraint = {"type": "eq", "fun": lambda w: w.sum() - 1}
    best = minimize(
        objective, prior, constraints=[constraint], method="SLSQP", options={"ftol": 1e-15, "maxiter": 500}
    )
    ready = method.given(images["input"], shape)
    found = ready.weights(x).ravel()
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert objective(found) <= best.fun + 1e-12
    np.testing.assert_allclose(found, best.x, atol=1e-4)
    np.testing.assert_allclose(ready.fuse(x), np.einsum("m,mchw->chw", found, x.astype(float)), rtol=1e-6)


def test_refesr_needs_a_smaller_input(made, tmp_path):
    method = refesr_of(made)
    for degraded, message in (
        (None, "has no degraded input"),
        (np.zeros((24, 32, 3), np.uint8), "is no larger"),
    ):
        with pytest.raises(InputError, match=f"refesr is for super-resolution: .* {message}"):
            method.given(degraded, (24, 32, 3))
    with pytest.raises(InputError, match="refesr is for super-resolution"):
        Made(tmp_path, "ref", [["i1"]], with_input=False).fit({"kind": "refesr"})


# ── by any method ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", [{"kind": "refesr"}, settings_of("gbdt")], ids=lambda s: s["kind"])
def test_a_reference_image_is_no_test_image(made, tmp_path, settings):
    test = Made(tmp_path, "test", [["t", "i2"]])
    path, place = made.fit(settings), test.layout.place(test.layout.fused("e", "test", "m") + "/0")
    arguments = (place, "m", settings, path, test.parts[0], MODELS, test.predictions[0])
    with pytest.raises(InputError, match="image 'i2' of test set 'test' is image 'i2' of reference 'ref'"):
        fuse(*arguments, [], False, {"scheduler": "threads"}, quiet)
    assert list(fuse(*arguments, ["i2"], False, {"scheduler": "threads"}, quiet)) == ["t", "i2"]
    assert reading.Part(place.path).image("t").dtype == np.float32


def test_expected_errors_lie_beside_the_values(tmp_path):
    test, x = Made(tmp_path, "test", [["t"]]), predictions_of("t")
    table = fitted(count(x, writing.flatten(scene("t")["target"]), MODELS, 32), released(32))
    path, place = test.layout.lut("e", "m"), test.layout.place(test.layout.fused("e", "test", "m") + "/0")
    save(table, test.layout.place(path))
    fuse(
        place,
        "m",
        released(32),
        path,
        test.parts[0],
        MODELS,
        test.predictions[0],
        [],
        True,
        {"scheduler": "threads"},
        quiet,
        pointwise=True,
    )
    part, (fused, errors) = reading.Part(place.path), LutMethod({}, table).fuse_with_error(x)
    np.testing.assert_array_equal(part.rows(0), as_stored(fused, 8))
    np.testing.assert_array_equal(part.column("expected_squared_error"), errors)


@pytest.mark.parametrize(
    "settings", [{"kind": "average"}, {"kind": "zzpm", "literal": False}, {"kind": "zzpm", "literal": True}]
)
def test_weighted_sum_of_the_weights(settings):
    x = predictions_of("t")
    method = method_of(settings, None)
    weights = method.weights(x)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(method.fuse(x), (weights * x).sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("literal", [False, True])
def test_zzpm(literal):
    x = predictions_of("t")
    error = ((x - x.mean(axis=0)) ** 2).mean(axis=(1, 2))
    plain = 1 / error if literal else np.exp(1 / (1e-3 + error))
    found = method_of({"kind": "zzpm", "literal": literal}, None).weights(x).ravel()
    np.testing.assert_allclose(found, plain / plain.sum(), rtol=1e-9)


@pytest.mark.parametrize(("bits", "models"), [(8, 3), (16, 3), (16, 9)])
def test_zzpm_by_runs_of_pixels_is_that_of_the_image(bits, models):
    x = np.random.default_rng(0).integers(0, 2**bits, (models, 3, 70, 300)).astype(f"uint{bits}")
    method = method_of({"kind": "zzpm", "literal": False}, None)
    runs = [x[:, :, :50], x[:, :, 50:]]
    of_image = method.summed(sum(method.sums(run) for run in runs), bits)
    fused = np.concatenate([of_image.fuse(run) for run in runs], axis=1)
    np.testing.assert_array_equal(fused, method.fuse(x))
    total = x.sum(axis=0, dtype=np.int64)
    np.testing.assert_array_equal(
        method.sums(x), [*[((models * m.astype(np.int64) - total) ** 2).sum() for m in x], total.size]
    )
