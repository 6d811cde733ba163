"""Metrics beside PSNR and SSIM, against published values, another library, and their definitions."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.measure import block_reduce
from skimage.metrics import structural_similarity

from ensir import registry
from ensir.config.checks import cross_check
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.execution.devices import fix_torchvision
from ensir.images.colours import luma
from ensir.images.similarity import psnr, ssim
from ensir.metrics import dists, lpips
from ensir.stages.score import compare


def images(channels: int = 3, noise: float = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    target = np.kron(random.uniform(30, 220, (6, 8, channels)), np.ones((4, 4, 1)))
    return target, np.clip(target + random.normal(0, noise, target.shape), 0, 255)


def measured(metric: str, target: np.ndarray, result: np.ndarray) -> float:
    return registry.module("metrics", metric).measure(target, result, {})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("metric", "plain"), [("psnr_y", psnr), ("ssim_y", ssim)])
def test_luma_whatever_the_space(metric: str, plain, channels: int):
    target, result = images(channels)
    expected = plain(luma(target), luma(result)) if channels == 3 else plain(target, result)
    assert measured(metric, target, result) == pytest.approx(expected, abs=1e-9)
    for space in ("rgb", "y"):
        settings = {"space": space, "crop": 0, "rounded": False, "metrics": {metric: {"kind": metric}}}
        stored = [np.float32(image * 257) for image in (target, result)]
        assert compare("x", *stored, 16, settings)[metric] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((0, 0, 0), (255, 255, 255), 100.0),
        ((255, 0, 0), (0, 255, 0), 86.61),
        ((0, 0, 255), (255, 255, 0), 103.43),
    ],
)
def test_ciede2000_of_known_colours(one: tuple, other: tuple, difference: float):
    filled = [np.broadcast_to(np.array(colour, float), (2, 3, 3)) for colour in (one, other)]
    assert measured("ciede2000", *filled) == pytest.approx(difference, abs=0.01)
    assert measured("ciede2000", filled[0], filled[0]) == 0


@pytest.mark.parametrize("metrics", [["ciede2000"], {"colour": {"kind": "ciede2000"}}])
def test_luma_has_no_colours(metrics: Any):
    message = "compares colours, and `space: y` leaves luma alone; score in rgb, or leave the metric out"
    name = next(iter(metrics))
    settings = {"space": "y", "crop": 0, "rounded": False, "metrics": {name: {"kind": "ciede2000"}}}
    grey, colour = (np.zeros((4, 4, channels), np.uint8) for channels in (1, 3))
    with pytest.raises(InputError, match=f"^metric {name}: {message}$"):
        compare("x", colour, colour, 8, settings)
    assert compare("x", grey, grey, 8, settings) == {name: 0}
    raw = {"experiments": {"mine": {"score": {"space": "y", "metrics": metrics}}}}
    assert (f"experiments.mine.score.metrics.{name}", message) in [*cross_check(raw)]


@pytest.mark.parametrize("channels", [1, 3])
def test_gmsd_is_as_defined(channels: int):
    """In loops, as the paper writes it."""
    pair = images(channels)
    magnitudes = []
    for image in pair:
        grey = np.pad((luma(image) if channels == 3 else image)[..., 0], ((0, 1), (0, 1)))
        half = [[grey[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(16)] for y in range(12)]
        around = np.pad(np.array(half), 1)
        magnitude = np.empty((12, 16))
        for y in range(12):
            for x in range(16):
                window = around[y : y + 3, x : x + 3]
                across = (window[:, 2].sum() - window[:, 0].sum()) / 3
                down = (window[2].sum() - window[0].sum()) / 3
                magnitude[y, x] = (across**2 + down**2) ** 0.5
        magnitudes.append(magnitude)
    one, other = magnitudes
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    expected = (((similarity - similarity.mean()) ** 2).sum() / (similarity.size - 1)) ** 0.5
    assert measured("gmsd", *pair) == pytest.approx(expected, rel=1e-9)
    assert measured("gmsd", pair[0], pair[0]) == 0


def photographs(noise: float, size: tuple[int, int] = (201, 239)) -> tuple[np.ndarray, np.ndarray]:
    target = photograph("chelsea", None)[: size[0], : size[1]].astype(float)
    return target, np.clip(target + np.random.default_rng(2).normal(0, noise, target.shape), 0, 255)


def test_ms_ssim_is_that_of_another_library():
    """scikit-image has no MS-SSIM, but its SSIM without the luminance, where K1 is huge, is a factor of it."""
    target, result = photographs(20)
    products = []
    for c in range(3):
        y, x, product = target[..., c], result[..., c], 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            if scale:
                y, x = (
                    block_reduce(image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2], (2, 2), np.mean)
                    for image in (y, x)
                )
            options = {
                "gaussian_weights": True,
                "sigma": 1.5,
                "use_sample_covariance": False,
                "data_range": 255,
            }
            product *= structural_similarity(y, x, K1=0.01 if scale == 4 else 1e7, **options) ** weight
        products.append(product)
    assert measured("ms_ssim", target, result) == pytest.approx(np.mean(products), abs=1e-9)
    assert measured("ms_ssim", target, target) == 1
    assert measured("ms_ssim", target, 255 - target) == 0  # contrast and structure below zero


def narrow_weights(folder: Path) -> dict[str, str]:
    """Write a VGG16 of a few features with random weights, and random weights of DISTS."""
    torch.manual_seed(0)
    widths = iter([3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8])
    vgg, last = {}, next(widths)
    for stage in dists.STAGES:
        for layer in stage:
            convolution = torch.nn.Conv2d(last, last := next(widths), 3)
            vgg |= {f"features.{layer}.{name}": value for name, value in convolution.state_dict().items()}
    mixed = {name: torch.rand(1, 3 + 4 + 5 + 6 + 7 + 8, 1, 1) for name in ("alpha", "beta")}
    torch.save(vgg, folder / "vgg.pth")
    torch.save(mixed, folder / "dists.pt")
    return {"kind": "dists", "vgg": str(folder / "vgg.pth"), "weights": str(folder / "dists.pt")}


def test_dists_is_as_defined(tmp_path: Path):
    """In NumPy, as the paper writes it, of the features that the package computes."""
    settings = narrow_weights(tmp_path)
    target, result = photographs(20, (40, 56))
    vgg, alpha, beta = dists._weights(settings["vgg"], settings["weights"])
    features = [
        [
            of.numpy()[0]
            for of in dists._features(torch.from_numpy(np.float32(image / 255)).permute(2, 0, 1)[None], vgg)
        ]
        for image in (target, result)
    ]
    assert [of.shape for of in features[0]] == [
        (3, 40, 56),
        (4, 40, 56),
        (5, 20, 28),
        (6, 10, 14),
        (7, 5, 7),
        (8, 3, 4),
    ]
    total, weights = 0.0, zip(alpha.numpy(), beta.numpy(), strict=True)
    for one, other in zip(*features, strict=True):
        for y, x, (a, b) in zip(one, other, weights, strict=False):
            texture = (2 * y.mean() * x.mean() + 1e-6) / (y.mean() ** 2 + x.mean() ** 2 + 1e-6)
            covariance = ((y - y.mean()) * (x - x.mean())).mean()
            total += a * texture + b * (2 * covariance + 1e-6) / (y.var() + x.var() + 1e-6)
    value = registry.module("metrics", "dists").measure(target, result, settings)
    assert value == pytest.approx(1 - total / (alpha.sum() + beta.sum()).item(), abs=1e-5)
    assert registry.module("metrics", "dists").measure(target, target, settings) == pytest.approx(0, abs=1e-5)


def test_lpips_needs_alexnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As a file, from an earlier download, or from a server that answers."""
    if not (find_spec("torchmetrics") and find_spec("torchvision")):
        pytest.skip("needs the extra `lpips`")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nothing answers
    with pytest.raises(
        InputError, match=r"metric lpips: the weights of AlexNet cannot be downloaded \(.*`alexnet`"
    ):
        lpips.Lpips().try_out()
    kept = tmp_path / "hub/checkpoints" / lpips.ALEXNET.rpartition("/")[2]
    kept.parent.mkdir(parents=True)
    torch.save({"weight": torch.zeros(1)}, kept)
    lpips.Lpips().try_out()
    lpips.Lpips(alexnet=str(kept)).try_out()
    assert str(lpips._checkpoints()) == f"{torch.hub.get_dir()}/checkpoints"


def test_dists_needs_its_weights(tmp_path: Path):
    settings = narrow_weights(tmp_path)
    section = registry.section("metrics", "dists").model_validate(settings)
    before = section.traced["digests"]
    torch.save({"alpha": torch.rand(9), "beta": torch.rand(9)}, tmp_path / "dists.pt")
    assert section.traced["digests"] != before  # other weights are other scores
    dists._weights.cache_clear()
    with pytest.raises(InputError, match=r"dists.pt: weighs 9 features, and .*vgg.pth with the image has 33"):
        registry.module("metrics", "dists").measure(*images(), settings)
    with pytest.raises(
        InputError, match=r"dists.pt: is no VGG16 of torchvision's: it has no features.0.weight"
    ):
        registry.module("metrics", "dists").measure(*images(), {**settings, "vgg": settings["weights"]})
    section.try_out()
    for name in ("dists.pt", "vgg.pth"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:500])
        with pytest.raises(
            InputError, match=rf"{name}: cannot be read as weights \(File is not a zip file\); replace"
        ):
            section.try_out()


@pytest.mark.parametrize("metric", ["psnr_y", "ssim_y", "gmsd", "ciede2000"])
def test_more_noise_is_worse(metric: str):
    better = 1 if registry.sections("metrics")[metric]().printed["higher_is_better"] else -1
    values = [better * measured(metric, *images(noise=noise)) for noise in (1, 4, 16)]
    assert values == sorted(values, reverse=True)


@pytest.mark.slow
def test_lpips_is_as_defined(tmp_path: Path):
    """Of the features that torchvision's AlexNet has after each rectifier, with random weights."""
    fix_torchvision()
    models = pytest.importorskip("torchvision.models")
    torchmetrics = pytest.importorskip("torchmetrics")
    torch.manual_seed(0)
    network = models.alexnet(weights=None).eval()
    file = tmp_path / "alexnet.pth"
    torch.save({f"features.{name}": value for name, value in network.features.state_dict().items()}, file)
    mixed = torch.load(
        Path(torchmetrics.__file__).parent / "functional/image/lpips_models/alex.pth",
        "cpu",
        weights_only=True,
    )
    target, result = photographs(20, (60, 72))
    shift, scale = (np.array(values) for values in ((-0.03, -0.088, -0.188), (0.458, 0.448, 0.45)))
    features = []
    for image in (target, result):
        x = torch.from_numpy(np.float32((image / 127.5 - 1 - shift) / scale)).permute(2, 0, 1)[None]
        of = []
        for layer in network.features[:-1]:
            x = layer(x.clone())
            if isinstance(layer, torch.nn.ReLU):
                of.append(x[0].detach().numpy().copy())
        features.append(of)
    expected = 0.0
    for layer, (one, other) in enumerate(zip(*features, strict=True)):
        directions = [of / np.sqrt((of**2).sum(axis=0) + 1e-8) for of in (one, other)]
        weights = mixed[f"lin{layer}.model.1.weight"].detach().numpy().ravel()
        expected += ((directions[0] - directions[1]) ** 2 * weights[:, None, None]).sum(axis=0).mean()
    settings = {"alexnet": str(file)}
    assert lpips.measure(target, result, settings) == pytest.approx(expected, rel=1e-4)
    assert lpips.measure(target, target, settings) == 0
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="is no AlexNet of torchvision's"):
        lpips.measure(target, target, {"alexnet": str(tmp_path / "other.pth")})
