"""DAEP and DMSP: their gradients, what they restore, and descents that go on where they stopped."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve, correlate
from typer.testing import CliRunner

from ensir.cli import app
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.images import degradations, image_files
from ensir.images.degradations import degrade, imresize
from ensir.images.similarity import psnr
from ensir.networks import linear
from ensir.networks.descent import descend, picture
from ensir.networks.meanshift import MeanShift
from ensir.networks.observation import Observation, observe
from ensir.networks.shipped import SHIPPED_DAES
from ensir.restorers import Degraded, daep, dmsp
from ensir.stages.ingest import ingest
from ensir.stages.predict import predict
from ensir.storage import provenance
from ensir.storage.layout import Layout

BLUR = {"kind": "blur", "kernel": "gaussian", "width": 1.6, "sigma": 2.55, "seed": 0}
HOLES = {"kind": "mask", "missing": 0.7, "sigma": 0.0, "seed": 0}
NOISE = {"kind": "noise", "sigma": 10.0, "seed": 0}
HALF = {"kind": "downscale", "scale": 2}
COMMON = {"device": "cpu", "precision": "float32", "dae_sigma": None, "seed": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tests run side by side: networks that share the cores by threads slow each other down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(kind: str, **options: Any) -> dict[str, Any]:
    own = {"noise_blind": False, "kernel_size": None} if kind == "dmsp" else {}
    path = SHIPPED_DAES["sigma11" if kind == "dmsp" else "sigma25"]
    return {"kind": kind, "path": path, **COMMON, **own, **options}


def restorer_of(kind: str, **options: Any) -> MeanShift:
    return {"daep": daep, "dmsp": dmsp}[kind].Restorer(settings(kind, **options), [])


def given(
    name: str, degradation: dict[str, Any], size: int = 64, bits: int = 8, channels: int = 3
) -> Degraded:
    target = photograph(name, size)[..., :channels]
    target = target.astype(np.uint16) * 257 if bits == 16 else target
    image = degrade(target, degradation, name)
    return Degraded(name, image, target.shape, bits, degradation.get("scale", 1), degradation)


def quality(degraded: Degraded, prediction: np.ndarray) -> float:
    unit = np.iinfo(degraded.image.dtype).max / 255
    target = photograph(degraded.name, degraded.shape[0])[..., : degraded.shape[2]]
    return psnr(target, prediction / unit)


def restored(degraded: Degraded, kind: str, **options: Any) -> float:
    """Return the PSNR of the restored image."""
    (prediction,) = restorer_of(kind, **options).restore([degraded])
    assert prediction.shape == degraded.shape
    return quality(degraded, prediction)


# ── gradients ────────────────────────────────────────────────────────────────────────────────────────────────


def observed(
    kernel: bool = True, known: bool = False, sigma: float = 2.55
) -> tuple[Observation, torch.Tensor]:
    """Return an observation of random numbers, in float64, and an image on its canvas."""
    random = np.random.default_rng(0)
    y = torch.from_numpy(random.uniform(0, 255, (3, 12, 14)))
    weights = torch.from_numpy(random.uniform(0, 1, (5, 3)))
    mask = torch.from_numpy((random.random((12, 14)) < 0.4).astype(np.float64)) if known else None
    observation = Observation("x", y, sigma, weights / weights.sum() if kernel else None, mask)
    return observation, torch.from_numpy(random.uniform(0, 255, (3, *observation.canvas)))


def half(x: torch.Tensor) -> torch.Tensor:
    """Stand for a denoiser."""
    return x / 2 + 10


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("blind", [False, True])
def test_the_gradient_of_dmsp(kernel: bool, known: bool, blind: bool):
    observation, x = observed(kernel, known)
    objective = dmsp.DMSP(observation, half, 11.0, {"noise_blind": blind, "kernel_size": None})
    gradient, facts = objective.gradient(x, x + 3, 1)
    k = observation.kernel.numpy() if kernel else np.ones((1, 1))
    mask = observation.known.numpy() if known else np.ones((12, 14))
    residual = mask * (np.stack([convolve(c, k, mode="valid") for c in x.numpy()]) - observation.y.numpy())
    error = (residual**2).sum() / (3 * mask.sum())
    precision = 1 / 2.55**2
    if blind:
        count = 3 * mask.sum()
        precision = count / ((residual**2).sum() + count * 2 * 11**2 * (k**2).sum())
    weight = precision / (precision + 1 / 11**2)
    data = np.stack([correlate(c, k, mode="full") for c in residual]) * mask.size / mask.sum()
    expected = weight * data + (1 - weight) * (x.numpy() - half(x + 3).numpy())
    np.testing.assert_allclose(gradient, expected, rtol=1e-9)
    assert facts["data"] == pytest.approx(error)
    assert facts["sigma"] == pytest.approx(error**0.5 if blind else 2.55)


def test_the_gradient_of_daep_is_that_of_its_objective():
    observation, x = observed()
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(4, 3, 1)
    )
    network = network.double()
    noise = torch.from_numpy(np.random.default_rng(1).normal(0, 25, x.shape))

    def denoise(image: torch.Tensor) -> torch.Tensor:
        return 40 * network(image[None] / 40)[0]

    gradient, _ = daep.DAEP(observation, denoise, 25.0).gradient(x, x + noise, 1)
    x.requires_grad_()
    (prior,) = torch.autograd.grad((x - denoise(x + noise)).square().sum() / 2, x)
    blurred = linear.Blur(observation.kernel, observation.canvas).apply(x)
    (data,) = torch.autograd.grad((blurred - observation.y).square().sum() / 2, x)
    strength = 4 * 6.875 / (2 * 25**2)
    weight = strength / (strength + 1 / 2.55**2)
    inner = torch.zeros_like(prior)
    observation.inner(inner)[:] = observation.inner(prior)
    torch.testing.assert_close(gradient, weight * inner + (1 - weight) * data)
    assert not inner[:, :2].any()
    assert not inner[:, :, :1].any()


def test_super_resolution_of_daep_goes_back_by_bicubic():
    y = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (3, 8, 9)))
    observation = Observation("x", y, scale=3)
    x = torch.from_numpy(np.random.default_rng(1).uniform(0, 255, (3, 24, 27)))
    gradient, facts = daep.DAEP(observation, lambda image: image.clone(), 25.0).gradient(x, x, 4)
    residual = imresize(x.permute(1, 2, 0).numpy(), 1 / 3) - y.permute(1, 2, 0).numpy()
    assert facts["data"] == pytest.approx((residual**2).mean())
    np.testing.assert_allclose(gradient.permute(1, 2, 0), 0.5 * imresize(residual, 3), atol=1e-9)


# ── what they restore ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "degradation", "steps", "gain", "options"),
    [
        ("dmsp", BLUR, 30, 1.5, {}),
        ("dmsp", BLUR, 30, 1.5, {"noise_blind": True}),
        ("dmsp", BLUR, 15, 1.0, {"precision": "bfloat16"}),
        ("dmsp", HOLES, 40, 0.2, {"noise_blind": True}),
        ("dmsp", {"kind": "noise", "sigma": 15.0, "seed": 0}, 15, 5.0, {}),
        ("daep", BLUR, 40, 0.5, {}),
        ("daep", HOLES, 40, 0.5, {}),
        ("daep", HALF, 40, 0.5, {}),
    ],
)
def test_it_restores(kind: str, degradation: dict, steps: int, gain: float, options: dict):
    degraded = given("coffee", degradation)
    start = observe(degraded, "cpu")
    before = quality(degraded, start.inner(start.start()).permute(1, 2, 0).numpy())
    assert restored(degraded, kind, steps=steps, **options) > before + gain


@pytest.mark.parametrize(("bits", "channels"), [(16, 3), (8, 1)])
def test_depths_and_channels(bits: int, channels: int):
    degraded = given("coffee", BLUR, bits=bits, channels=channels)
    before = quality(degraded, degraded.image)
    assert restored(degraded, "dmsp", steps=15) > before + 0.5


@pytest.mark.parametrize("sigma", [2.55, 10.2])
def test_noise_of_unknown_strength_is_found(sigma: float):
    degraded = given("coffee", BLUR | {"sigma": sigma}, 64)
    restorer = restorer_of("dmsp", steps=30, noise_blind=True)
    descent = restorer.descend(observe(degraded, "cpu"))
    assert descent.rows[-1].sigma == pytest.approx(sigma, rel=0.15)


def test_an_unknown_kernel_is_approached():
    degraded, true = given("coffee", BLUR, 96), degradations.kernel_of(BLUR)
    restorer = restorer_of("dmsp", steps=60, noise_blind=True, kernel_size=11)
    observation = restorer.given(observe(degraded, "cpu"))
    objective = restorer.objective(observation)
    with torch.no_grad():
        descent = descend(observation, objective, 60, 0)
    found = objective.extra["kernel"].numpy()
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    assert ((found - true) ** 2).sum() < 0.5 * ((1 / 121 - true) ** 2).sum()
    assert quality(degraded, picture(observation, descent)) > quality(degraded, degraded.image) + 0.3


# ── the descent ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["dmsp", "daep"])
def test_an_image_is_restored_the_same_whatever_stands_beside_it(kind: str):
    both = [given(name, BLUR, 40) for name in ("coffee", "china")]
    restorer = restorer_of(kind, steps=3)
    forward, backward = list(restorer.restore(both)), list(restorer.restore(both[::-1]))
    np.testing.assert_array_equal(forward[0], backward[1])
    np.testing.assert_array_equal(forward[1], backward[0])
    other = next(iter(restorer_of(kind, steps=3, seed=1).restore(both[:1])))
    assert not np.array_equal(forward[0], other)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("options", [{}, {"noise_blind": True, "kernel_size": 5}])
def test_a_descent_that_was_stopped_goes_on(tmp_path, monkeypatch, options: dict):
    degraded = given("coffee", BLUR, 40)
    (straight,) = restorer_of("dmsp", steps=9, **options).restore([degraded])
    monkeypatch.setattr("ensir.networks.descent.SAVED", 4)
    restorer = restorer_of("dmsp", steps=9, unfinished=str(tmp_path), **options)
    observation = restorer.given(observe(degraded, "cpu"))
    taken = []

    def stop(step: int, steps: int) -> None:
        taken.append(step)
        if step == 6:
            raise Stopped

    with pytest.raises(Stopped):
        restorer.descend(observation, restorer.state(observation), progress=stop)
    (state,) = tmp_path.glob("*.npz")
    descent = restorer.descend(
        observation, restorer.state(observation), progress=lambda step, _: taken.append(step)
    )
    assert taken == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9]
    assert [row.step for row in descent.rows] == list(range(1, 10))
    np.testing.assert_array_equal(picture(observation, descent), straight)

    state.write_bytes(state.read_bytes()[:100])  # what is damaged is not used
    (again,) = restorer.restore([degraded])
    np.testing.assert_array_equal(again, straight)
    assert not list(tmp_path.iterdir())


def test_descents_are_not_mistaken_for_each_other(tmp_path):
    degraded = given("coffee", BLUR, 40)
    paths = set()
    for options in ({}, {"seed": 1}, {"noise_blind": True}, {"path": SHIPPED_DAES["sigma25"]}):
        restorer = restorer_of("dmsp", steps=1, unfinished=str(tmp_path), **options)
        for image in (
            degraded,
            given("coffee", BLUR | {"seed": 1}, 40),
            given("coffee", BLUR | {"sigma": 3.0}, 40),
        ):
            paths.add(restorer.state(observe(image, "cpu")).path)
    assert len(paths) == 12


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_known_of_the_degradation():
    degraded = Degraded("coffee", np.zeros((8, 8, 3), np.uint8), (8, 8, 3), 8, 1, None)
    with pytest.raises(InputError, match=r"image 'coffee': .* has to know how its input was made"):
        list(restorer_of("dmsp", steps=1).restore([degraded]))


@pytest.mark.parametrize(
    ("degradation", "options", "message"),
    [
        (HALF, {}, "dmsp does not enlarge images; use `kind: daep`"),
        (HALF | {"kind": "blur", "values": [[1.0]]}, {}, r"is to be enlarged, but .* \(blur\)"),
        (HOLES, {}, "dmsp has to know the noise; set `sigma`"),
        (BLUR, {"dae_sigma": 25.0}, "was trained for noise of σ = 11, where `dae_sigma` says 25"),
    ],
)
def test_what_dmsp_cannot_do(degradation: dict, options: dict, message: str):
    image, scale = np.zeros((8, 8, 3), np.uint8), degradation.get("scale", 1)
    degraded = Degraded("coffee", image, (8 * scale, 8 * scale, 3), 8, scale, degradation)
    with pytest.raises(InputError, match=message):
        list(restorer_of("dmsp", steps=1, **options).restore([degraded]))


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_restores_and_traces(tmp_path):
    degraded = given("coffee", BLUR, 48)
    image_files.write(tmp_path / "blurred.png", degraded.image)
    image_files.write(tmp_path / "sharp.png", photograph("coffee", 48))
    np.save(tmp_path / "kernel.npy", degradations.kernel_of(BLUR))
    arguments = [
        "restore", str(tmp_path / "blurred.png"), "-o", str(tmp_path / "out.png"), "--sigma", "2.55",
        "--kernel", str(tmp_path / "kernel.npy"), "--steps", "25", "--target", str(tmp_path / "sharp.png"),
        "--trace", str(tmp_path / "trace.csv"), "--plot", str(tmp_path / "trace.svg"), "--device", "cpu",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "trace.csv").open()))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 26)]
    assert float(rows[-1]["psnr"]) > quality(degraded, degraded.image) + 1
    written = image_files.read(str(tmp_path / "out.png"))
    assert quality(degraded, written) == pytest.approx(float(rows[-1]["psnr"]))
    assert "</svg>" in (tmp_path / "trace.svg").read_text()
    assert not [left for left in (tmp_path / ".partial").iterdir() if left.suffix != ".lock"]


def test_the_command_fills_holes(tmp_path):
    degraded = given("coffee", HOLES, 48)
    known = degradations.known_pixels(HOLES, "coffee", (48, 48))
    image_files.write(tmp_path / "holes.png", degraded.image)
    image_files.write(tmp_path / "mask.png", known[:, :, None].astype(np.uint8) * 255)
    arguments = ["restore", str(tmp_path / "holes.png"), "-o", str(tmp_path / "out.png"),
                 "--mask", str(tmp_path / "mask.png"), "--steps", "30"]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert quality(degraded, image_files.read(str(tmp_path / "out.png"))) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "daep", "--kernel", "kernel.npy"], "has to know the noise and the kernel"),
        (["--kernel-size", "8"], "--kernel-size 8: must be odd"),
        (["--plot", "trace.txt"], "--plot trace.txt: must end in .svg, .pdf or .png"),
        (["--scale", "2"], "dmsp does not enlarge images"),
        (["--scale", "2", "--sigma", "3"], "--scale: not together with --sigma"),
        (["--scale", "2", "--mask", "image.png"], "--scale: not together with --mask"),
        (["--kernel-size", "5", "--kernel", "kernel.npy"], "--kernel-size: not together with --kernel"),
        (["-o", "out.jpg"], "--output out.jpg: must end in .png"),
        (["--target", "grey.png"], "grey.png: is 8×8 with 1 channels, the restored image 8×8 with 3"),
        (["--mask", "other.png"], "other.png: is not of the size of image.png"),
        (["--mask", "image.png"], "none of its pixels is known"),
        (["--target", "other.png"], "other.png: is 8×9 with 3 channels, the restored image 8×8 with 3"),
        (["--dae", "sigma12"], "sigma12: no such file"),
    ],
)
def test_bad_arguments_of_the_command(tmp_path, monkeypatch, arguments: list[str], message: str):
    monkeypatch.chdir(tmp_path)
    np.save("kernel.npy", np.ones((3, 3)))
    image_files.write("image.png", np.zeros((8, 8, 3), np.uint8))
    image_files.write("other.png", np.zeros((9, 8, 3), np.uint8))
    image_files.write("grey.png", np.zeros((8, 8, 1), np.uint8))
    result = CliRunner().invoke(app, ["restore", "image.png", "-o", "out.png", *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert not Path("out.png").exists()


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 16)])
def test_the_command_traces_what_it_writes(tmp_path, channels: int, bits: int):
    """Of a grey image, whose channels are averaged, and beside a target of 16 bits."""
    degraded = given("coffee", NOISE, 32, channels=channels)
    target = photograph("coffee", 32)[..., :channels]
    image_files.write(tmp_path / "noisy.png", degraded.image)
    image_files.write(tmp_path / "sharp.png", target.astype(np.uint16) * 257 if bits == 16 else target)
    image_files.write(tmp_path / "black.png", np.zeros_like(target))
    arguments = [
        "restore", str(tmp_path / "noisy.png"), "-o", str(tmp_path / "out.png"), "--sigma", "10",
        "--trace", str(tmp_path / "trace.csv"), "--device", "cpu",
    ]  # fmt: skip

    def traced(steps: int, target: str) -> list[float]:
        result = CliRunner().invoke(
            app, [*arguments, "--steps", str(steps), "--target", str(tmp_path / target)]
        )
        assert result.exit_code == 0, result.output
        return [float(row["psnr"]) for row in csv.DictReader((tmp_path / "trace.csv").open())]

    found = traced(3, "sharp.png")
    assert quality(degraded, image_files.read(str(tmp_path / "out.png"))) == pytest.approx(
        found[-1], abs=1e-4
    )
    assert max(traced(3, "black.png")) < 10


def test_a_descent_to_another_target_has_its_own_trace(tmp_path):
    restorer = restorer_of("dmsp", steps=1, unfinished=str(tmp_path))
    observation = observe(given("coffee", BLUR, 40), "cpu")
    targets = [None, np.zeros((40, 40, 3)), np.ones((40, 40, 3))]
    assert len({restorer.state(observation, target).path for target in targets}) == 3


def test_a_job_leaves_no_descent_behind(tmp_path):
    layout = Layout(str(tmp_path / "results"))
    part = layout.part(layout.dataset("d"), "0123456789ab")
    photos = {
        "kind": "photos",
        "images": ["coffee"],
        "size": 32,
        "degradation": BLUR,
        "licence": None,
        "citation": None,
    }
    ingest(layout.place(part), "d", ["coffee"], photos, [], [], None, lambda *_: None)
    model = {name: value for name, value in settings("dmsp", steps=2).items() if name != "path"}
    place = layout.place(layout.part(layout.predictions("d", "dmsp"), "0123456789ab"))
    predict(
        place, part, layout.digest(part), "dmsp", model, [], None, lambda *_: None,
        network=[SHIPPED_DAES["sigma11"]], device="cpu",
    )  # fmt: skip
    assert not list((tmp_path / "results/.partial/descents").glob("*"))


def test_a_descent_of_other_code_is_not_taken_up(tmp_path, monkeypatch):
    restorer = restorer_of("dmsp", steps=1, unfinished=str(tmp_path))
    observation = observe(given("coffee", BLUR, 40), "cpu")
    before = restorer.state(observation).path
    monkeypatch.setattr(provenance, "source_digest", lambda *modules: "other code")
    assert restorer.state(observation).path != before
