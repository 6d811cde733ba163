"""Networks on a GPU restore as they do on the CPU, are trained there, and are content with less memory."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from examples import image

import ensir
from ensir import restorers
from ensir.datasets.photos import photograph
from ensir.images import image_files
from ensir.images.degradations import degrade
from ensir.networks import dae, dae_training
from ensir.networks.shipped import SHIPPED_DAES
from ensir.restorers import checkpoint, daep, dmsp, exported

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU here")
CLOSE = 0.002  # levels; with TF32 it would be 0.2
NETWORK = {"tile": None, "overlap": 32, "batch": 1}
EXPORTED = {**NETWORK, "kind": "exported", "value_range": [0, 1], "multiple": 1, "any_range": False}
MEANSHIFT = {
    "precision": "float32",
    "dae_sigma": None,
    "seed": 0,
    "unfinished": None,
    "path": SHIPPED_DAES["sigma11"],
}


def restored(
    restorer: restorers.Restorer, *images: np.ndarray, scale: int = 1, told: Any = None
) -> np.ndarray:
    items = [
        restorers.Degraded("x", image, (image.shape[0] * scale, image.shape[1] * scale, 3), 8, scale, told)
        for image in images
    ]
    return np.stack(list(restorer.restore(items)))


def export(path: Path) -> Path:
    """Export a network of some width, so that a GPU may use what it has for matrices."""
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3 if i == 0 else 64, 64, 3, padding=1) for i in range(4)]
    network = torch.nn.Sequential(
        *(one for layer in layers for one in (layer, torch.nn.ReLU())),
        torch.nn.Conv2d(64, 3, 3, padding=1),
        torch.nn.Sigmoid(),
    )
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        network.eval(), (torch.rand(2, 3, 32, 48),), dynamic_shapes=({0: free, 2: free, 3: free},)
    )
    torch.export.save(program, path)
    return path


def test_exported_programs(tmp_path: Path):
    path, images = (
        str(export(tmp_path / "net.pt2")),
        [photograph(name, 128) for name in ("chelsea", "coffee")],
    )
    cpu, cuda, again = (
        restored(exported.Restorer({**EXPORTED, "path": path, "device": device, **asked}, []), *images)
        for device, asked in (("cpu", {}), ("cuda", {"batch": 2}), ("cuda", {"tile": 64}))
    )
    np.testing.assert_allclose(cuda, cpu, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(again, cpu, rtol=0, atol=CLOSE)


@pytest.mark.skipif(find_spec("spandrel") is None, reason="needs the extra `pretrained`")
def test_published_weights(data: Path):
    folder = data / "images/sr_x4/set5"
    image = image_files.read(str(folder / "lq/butterfly.png"))
    settings = {
        **NETWORK,
        "kind": "checkpoint",
        "precision": "float32",
        "path": str(data / "weights/craft_x4.pth"),
    }
    cuda = restored(checkpoint.Restorer({**settings, "device": "cuda"}, []), image, scale=4)[0]
    published = image_files.read(str(folder / "pred/CRAFT/butterfly.png"))
    assert (np.rint(cuda) != published).mean() < 1e-3
    cpu = restored(checkpoint.Restorer({**settings, "device": "cpu"}, []), image, scale=4)[0]
    np.testing.assert_allclose(cuda, cpu, rtol=0, atol=CLOSE)


def test_less_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path, image = str(export(tmp_path / "net.pt2")), photograph("chelsea", 300)
    settings = {**EXPORTED, "path": path, "device": "cuda"}
    expected = restored(exported.Restorer(settings, []), *[image] * 8)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 40e6) / total)
        found = restored(exported.Restorer({**settings, "batch": 8}, []), *[image] * 8)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    told = [record.message for record in caplog.records if record.name.startswith("ensir")]
    assert told[:2] == [f"{path}: out of memory; continuing with batches of {batch}" for batch in (4, 2)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_mean_shift(precision: str):
    image = photograph("chelsea", 96)
    told = {
        "kind": "blur",
        "kernel": "disk",
        "width": 2.0,
        "number": 1,
        "mirrored": False,
        "sigma": 2.55,
        "seed": 0,
    }
    blurred = degrade(image, told, "x")
    for made, options in ((dmsp, {"kernel_size": None, "noise_blind": False}), (daep, {})):
        settings = {
            **MEANSHIFT,
            **options,
            "kind": made.__name__.split(".")[-1],
            "precision": precision,
            "steps": 8,
        }
        cpu, cuda = (
            restored(made.Restorer({**settings, "device": device}, []), blurred, told=told)
            for device in ("cpu", "cuda")
        )
        assert np.abs(cuda - cpu).max() < (CLOSE if precision == "float32" else 8)
        assert np.abs(cuda - cpu).mean() < (CLOSE / 10 if precision == "float32" else 0.2)


def test_a_training_that_was_stopped_goes_on(tmp_path: Path):
    """To the same bits, as on the CPU."""
    paths = []
    for i in range(9):
        paths.append(str(tmp_path / f"{i}.png"))
        image_files.write(Path(paths[-1]), photograph("chelsea", 64 + i))
    course = dae_training.Training(
        sigma=25,
        steps=6,
        architecture=dae.Architecture(8, 1),
        patch=16,
        batch=2,
        validation=1,
        every=2,
        average=0.9,
    )

    def train(name: str, progress: Any = lambda done, total: None) -> bytes:
        made = [tmp_path / f"{name}.{kind}" for kind in ("safetensors", "checkpoint", "csv")]
        dae_training.train(*made, paths, course, progress, device="cuda")
        return made[0].read_bytes()

    def stop(step: int, steps: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("stopped", stop)
    assert train("stopped") == whole
    assert dae.read(tmp_path / "whole.safetensors").sigma == 25


def test_modules():
    """`lut.to_torch()` moves to a GPU, and is compiled there, as part of a network."""
    x, y = zip(*(image(seed) for seed in range(3)), strict=True)
    shown, _ = image(9, 33, 41)
    for method in ("least_squares", "local_filters"):
        lut = ensir.fit(list(x), list(y), method=method, models=("a", "b", "c"))
        expected, module = lut.fuse(shown), lut.to_torch().to("cuda")
        compiled = torch.compile(module, fullgraph=True)
        for given in (torch.from_numpy(shown).cuda(), torch.from_numpy(shown.astype(np.float32)).cuda()):
            for made in (module, compiled):
                np.testing.assert_allclose(made(given).cpu().numpy(), expected, rtol=0, atol=1e-4)
