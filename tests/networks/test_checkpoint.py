"""Published weights: real networks, and files that are damaged, unknown or hostile."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ensir import restorers
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.execution import devices
from ensir.images import image_files
from ensir.images.degradations import degrade
from ensir.images.similarity import psnr
from ensir.restorers import checkpoint

pytestmark = pytest.mark.skipif(find_spec("spandrel") is None, reason="needs the extra `pretrained`")

SETTINGS = {
    "kind": "checkpoint",
    "tile": None,
    "overlap": 64,
    "batch": 1,
    "device": "cpu",
    "precision": "float32",
}


def restorer(path: Path, **settings: Any) -> checkpoint.Restorer:
    return checkpoint.Restorer({**SETTINGS, "path": str(path), **settings}, [])


def run(path: Path, *inputs: np.ndarray, scale: int = 1, **settings: Any) -> list[np.ndarray]:
    items = [
        restorers.Degraded(
            "x", image, (image.shape[0] * scale, image.shape[1] * scale, image.shape[2]), 8, scale, None
        )
        for image in inputs
    ]
    return list(restorer(path, **settings).restore(items))


def noisy(image: np.ndarray, name: str) -> np.ndarray:
    return degrade(image, {"kind": "noise", "sigma": 25.0, "seed": 0}, name)


def middle(image: np.ndarray, size: int = 256) -> np.ndarray:
    top, left = (max(0, side - size) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def luma(image: np.ndarray) -> np.ndarray:
    """Return BT.601 luma as 8-bit grey; the grey benchmarks are made so."""
    if image.shape[2] == 1:
        return image
    y = image.astype(float) @ [65.481 / 255, 128.553 / 255, 24.966 / 255] + 16
    return np.rint(y).astype(np.uint8)[..., None]


@pytest.mark.slow
def test_a_published_network_gives_its_published_prediction(data: Path):
    folder = data / "images/sr_x4/set5"
    (prediction,) = run(
        data / "weights/craft_x4.pth", image_files.read(str(folder / "lq/butterfly.png")), scale=4
    )
    published = image_files.read(str(folder / "pred/CRAFT/butterfly.png"))
    assert (np.rint(prediction) != published).mean() < 1e-3
    assert np.abs(prediction - published).max() < 1.5


def test_a_published_network_denoises(data: Path):
    path, image = data / "weights/dncnn_gray_sigma25.pth", photograph("chelsea", 160)[..., :1]
    degraded = noisy(image, "chelsea")
    (whole,), (tiled,) = run(path, degraded), run(path, degraded, tile=96, batch=4)
    assert psnr(image.astype(float), whole) > psnr(image.astype(float), degraded) + 8
    assert np.abs(tiled - whole).max() < 0.1  # it looks 17 pixels far; 64 are shared
    (half,) = run(path, degraded, precision="bfloat16")
    assert np.abs(half - whole).mean() < 1
    with pytest.raises(InputError, match="DnCNN does not work in float16; use float32"):
        restorer(path, precision="float16")


def test_what_made_a_prediction_is_known(data: Path):
    parameters = restorer(data / "weights/dncnn_gray_sigma25.pth").parameters
    assert parameters["architecture"] == "DnCNN 64nc 17nb"
    assert set(parameters["versions"]) == {"ensir", "spandrel", "torch"}


class Hostile:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_hostile_file_runs_nothing(tmp_path: Path, save: Any):
    path, mark = tmp_path / "net.pth", tmp_path / "mark"
    save({"weight": Hostile(mark)}, path)
    with pytest.raises(InputError, match=r"net.pth: (holds more than weights|cannot be read as weights)"):
        restorer(path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["craft_x4.pth", "dae_sigma11.safetensors"])
def test_a_truncated_file(data: Path, tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes((data / "weights" / name).read_bytes()[:100_000])
    with pytest.raises(InputError, match=rf"{name}: cannot be read as weights \(.*\); replace the file"):
        restorer(path)
    with pytest.raises(InputError, match=rf"{name}: cannot be read as weights \(.*\); replace the file"):
        checkpoint.CheckpointModel(kind="checkpoint", path=str(path)).check_network([str(path)])


@pytest.mark.parametrize("name", ["net.pth", "net.ckpt", "net.safetensors"])
def test_heads_of_files(tmp_path: Path, name: str):
    path = tmp_path / name
    section = checkpoint.CheckpointModel(kind="checkpoint", path=str(path))
    for content, why in ((b"", r".*"), (b"<!DOCTYPE html>" * 9, ".*"), (b"version https://git-lfs", ".*")):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=rf"{name}: cannot be read as weights \({why}\); replace the file"
        ):
            section.check_network([str(path)])
    if name.endswith("safetensors"):
        save_file({"weight": torch.zeros(1)}, path)
        section.check_network([str(path)])
        return
    for old in (False, True):
        torch.save({"weight": torch.zeros(1)}, path, _use_new_zipfile_serialization=not old)
        section.check_network([str(path)])


def test_an_unknown_architecture(tmp_path: Path, data: Path):
    with pytest.raises(
        InputError, match=r"knows no architecture with these weights \(conv1.bias, .*kind: exported"
    ):
        restorer(data / "weights/dae_sigma11.safetensors")
    torch.save(torch.zeros(3), tmp_path / "net.pth")
    with pytest.raises(InputError, match="holds a Tensor, not named weights"):
        restorer(tmp_path / "net.pth")


def test_weights_that_do_not_fit(tmp_path: Path, data: Path):
    weights = torch.load(data / "weights/dncnn_gray_sigma25.pth", weights_only=True)
    weights["model.2.weight"] = torch.zeros(3, 3)
    torch.save(weights, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"net.pth: its weights do not fit the architecture"):
        restorer(tmp_path / "net.pth")


@pytest.mark.pretrained
def test_dncnn_on_set14(data: Path):
    """Published for BSD68: 29.2 dB. Set14 is about as difficult, and the middles of its images are easier."""
    targets = [
        middle(luma(image_files.read(str(path)))) for path in sorted((data / "images/set14/gt").glob("*.png"))
    ]
    inputs = [noisy(target, str(i)) for i, target in enumerate(targets)]
    predictions = run(data / "weights/dncnn_gray_sigma25.pth", *inputs)
    scores = [psnr(*pair) for pair in zip(targets, predictions, strict=True)]
    print(f"mean PSNR on {len(scores)} images: {np.mean(scores):.3f} dB")
    assert np.mean(scores) == pytest.approx(30.19, abs=0.02)


# ── how trainers save weights, and architectures of another package ───────────────────────────────────────────


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def prefixed(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in weights.items()}


def test_weights_are_found_as_trainers_save_them(tmp_path: Path, data: Path):
    weights = torch.load(data / "weights/dncnn_gray_sigma25.pth", weights_only=True)
    other = {name: torch.zeros_like(value) for name, value in weights.items()}
    loss = {"criterion.weight": torch.zeros(3), "lpips.net.0.weight": torch.zeros(3)}
    image = photograph("chelsea", 32)[..., :1]
    (expected,) = run(data / "weights/dncnn_gray_sigma25.pth", image)
    for number, held in enumerate(
        (
            {"params": other, "params_ema": weights},
            {"params_ema": prefixed(weights, "module."), "iter": 5},
            {"state_dict": prefixed(weights, "model.") | loss, "epoch": 3, "global_step": 7},
            {"state_dict": prefixed(weights, "net_g.module.") | loss},
            {"network": weights},
            prefixed(weights, "netG."),
        )
    ):
        (found,) = run(saved(tmp_path / f"{number}.ckpt", held), image)
        np.testing.assert_array_equal(found, expected)


def test_what_holds_no_weights_names_its_keys(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"no weights are found among what it holds \(epoch, state_dict, …\)"
    ):
        restorer(saved(tmp_path / "net.ckpt", {"epoch": 3, "state_dict": {}}))
    path = saved(
        tmp_path / "net.ckpt", {"state_dict": {"model.a": torch.zeros(1), "model.b": torch.zeros(1)}}
    )
    with pytest.raises(
        InputError, match=r"knows no architecture with these weights \(model.a, model.b, …\); set `extra_a"
    ):
        restorer(path)


def small(architecture: str) -> Any:
    """Return a small network of another package, with random weights."""
    package = pytest.importorskip("spandrel_extra_arches.architectures")
    module = getattr(package, architecture)
    torch.manual_seed(0)
    match architecture:
        case "Restormer":
            return module.Restormer(
                dim=8, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1, heads=[1, 1, 1, 1]
            )
        case "MPRNet":
            return module.MPRNet(n_feat=8, scale_unetfeats=4, scale_orsnetfeats=4, num_cab=2)
        case "MIRNet2":
            return module.MIRNet2(n_feat=16, n_MRB=1)
        case "SRFormer":
            return module.SRFormer(
                img_size=24,
                window_size=12,
                depths=(1,),
                num_heads=(2,),
                embed_dim=12,
                mlp_ratio=2,
                upscale=2,
                upsampler="pixelshuffle",
            )


@pytest.mark.parametrize(
    ("architecture", "scale"), [("Restormer", 1), ("MPRNet", 1), ("MIRNet2", 1), ("SRFormer", 2)]
)
def test_architectures_of_another_package_run_when_asked_for(tmp_path: Path, architecture: str, scale: int):
    devices.fix_torchvision()
    network, image = small(architecture).eval(), photograph("chelsea", 24)
    path = saved(tmp_path / "net.pth", {"params": network.state_dict()})
    with pytest.raises(InputError, match="set `extra_architectures: true`"):
        restorer(path)
    (found,) = run(path, image, scale=scale, extra_architectures=True)
    with torch.inference_mode():
        made = network(torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)))
    first = made[0] if architecture == "MPRNet" else made  # of its three stages
    expected = first[0].numpy().transpose(1, 2, 0) * 255
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=0.01)
    parameters = restorer(path, extra_architectures=True).parameters
    assert parameters["architecture"].startswith(architecture)
    assert "spandrel-extra-arches" in parameters["versions"]
