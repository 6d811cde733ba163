"""Denoising autoencoders: files of three origins, training that goes on where it stopped, the restorer."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from typer.testing import CliRunner

from ensir import restorers
from ensir.cli import app
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.images import image_files, similarity
from ensir.images.degradations import degrade
from ensir.networks import dae, dae_training, examples
from ensir.networks.dae import Architecture
from ensir.networks.dae_training import Training
from ensir.networks.shipped import SHIPPED_DAES
from ensir.restorers import dae as dae_restorer
from ensir.restorers.daep import DaepModel

SMALL = Training(
    sigma=25, steps=12, architecture=Architecture(8, 1), patch=16, batch=2, validation=1, every=4, average=0.9
)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee", "china", "rocket"):
        image_files.write(folder / f"{name}.png", photograph(name, 64))
    return sorted(map(str, folder.glob("*.png")))


def train(
    folder: Path, photographs: list[str], training: Training, anew: bool = False
) -> dict[str, torch.Tensor]:
    output = folder / "dae.safetensors"
    files = (output, folder / "checkpoint", folder / "curve.csv")
    dae_training.train(*files, photographs, training, lambda *_: None, "cpu", anew)
    return load_file(output)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_published_file_is_run_in_rgb(data):
    path = data / "weights/dae_sigma11.safetensors"
    weights, found = load_file(path), dae.read(path)
    x = torch.from_numpy(photograph("chelsea", 48).astype(np.float32)).permute(2, 0, 1)[None]
    value = x.flip(1)  # BGR, as the file says
    for layer in range(1, 21):
        value = functional.conv2d(
            value, weights[f"conv{layer}.weight"], weights[f"conv{layer}.bias"], padding=1
        )
        value = functional.relu(value) if layer < 20 else value
    assert (found.architecture, found.sigma) == ("published", None)
    torch.testing.assert_close(found.network(x), x + value.flip(1), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(("name", "sigma", "gain"), [("sigma11", 11, 5.5), ("sigma25", 25, 8.0)])
def test_the_shipped_weights_denoise(name: str, sigma: float, gain: float):
    found = dae.read(SHIPPED_DAES[name])
    assert found.sigma == sigma
    assert Path(SHIPPED_DAES[name]).stat().st_size <= 3e6
    noisy = 10 * np.log10(255**2 / sigma**2)
    assert dae_training.psnr(found.network, {"chelsea": photograph("chelsea", 128)}, sigma) > noisy + gain


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 12), (12, 9), (7, 5)])
def test_any_size(size: tuple[int, int]):
    network = dae.read(SHIPPED_DAES["sigma25"]).network
    assert network(torch.full((1, 3, *size), 99.0)).shape == (1, 3, *size)


def test_an_even_image_is_not_touched_by_what_an_odd_one_needs():
    network = dae.read(SHIPPED_DAES["sigma25"]).network
    x = torch.from_numpy(photograph("chelsea", 32).astype(np.float32)).permute(2, 0, 1)[None]
    odd = x[..., :31]
    continued = torch.cat([odd, odd[..., -1:]], dim=3)
    assert torch.equal(network(odd), network(continued)[..., :31])


def broken(folder: Path, what: str) -> Path:
    path = folder / "dae.safetensors"
    if what == "missing":
        return path
    if what == "damaged":
        path.write_bytes(Path(SHIPPED_DAES["sigma11"]).read_bytes()[:1000])
        return path
    weights = {f"conv{i}.{kind}": torch.zeros(1) for i in range(1, 21) for kind in ("weight", "bias")}
    facts = {"architecture": {"width": 8, "blocks": 1}, "sigma": 25}
    match what:
        case "other names":
            save_file({"body.0": torch.zeros(1)}, path)
        case "other shapes":
            save_file(weights, path)
        case "other metadata":
            save_file({"x": torch.zeros(1)}, path, {"ensir": "[]"})
        case "fewer weights":
            save_file({"head.bias": torch.zeros(8)}, path, {"ensir": json.dumps(facts)})
    return path


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "no such file"),
        ("damaged", "cannot be read as .safetensors"),
        ("other names", "holds no DAE"),
        ("other shapes", "holds no DAE"),
        ("other metadata", "holds no DAE"),
        ("fewer weights", "holds no DAE"),
    ],
)
def test_what_is_no_dae(tmp_path, what: str, message: str):
    path = broken(tmp_path, what)
    with pytest.raises(InputError, match=message) as error:
        dae.read(path)
    assert str(path) in str(error.value)
    if what not in ("other shapes", "fewer weights"):  # which its head does not tell
        with pytest.raises(InputError, match=message):
            DaepModel(kind="daep", dae=str(path)).check_network([str(path)])


def test_noise_that_weights_are_said_to_be_for():
    weights = SHIPPED_DAES["sigma25"]
    DaepModel(kind="daep", dae_sigma=25.0).check_network([weights])
    with pytest.raises(
        InputError, match="was trained for noise of σ = 25, where `dae_sigma` says 11; remove that"
    ):
        DaepModel(kind="daep", dae_sigma=11.0).check_network([weights])


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_training_that_was_stopped_goes_on(tmp_path, photographs):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    straight = train(whole, photographs, SMALL)
    seen = []

    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        seen.append(step)
        if step == 6:  # after the checkpoint of step 4
            raise Stopped

    with pytest.raises(Stopped):
        dae_training.train(
            halved / "dae.safetensors",
            halved / "checkpoint",
            halved / "curve.csv",
            photographs,
            SMALL,
            stop,
            "cpu",
        )
    assert not (halved / "dae.safetensors").exists()
    resumed = train(halved, photographs, SMALL)
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name
    curves = [list(csv.DictReader((folder / "curve.csv").open())) for folder in (whole, halved)]
    for curve in curves:
        assert [row["step"] for row in curve] == ["4", "8", "12"]
        for row in curve:
            assert float(row.pop("seconds")) >= 0
    assert curves[0] == curves[1]


def test_a_finished_training_goes_on_with_more_steps(tmp_path, photographs):
    first = train(tmp_path, photographs, SMALL)
    again = train(tmp_path, photographs, SMALL)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    more = train(tmp_path, photographs, dataclasses.replace(SMALL, steps=16))
    assert not torch.equal(more["head.weight"], first["head.weight"])
    assert (tmp_path / "curve.csv").read_text().count("\n") == 5
    with pytest.raises(InputError, match="has taken 16 steps, more than 12; ask for more"):
        train(tmp_path, photographs, SMALL)


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.1}, {"patch": 8}, {"batch": 1}, {"steps": 8}, {"steps": 16}]
)
def test_a_rule_trains_what_its_configuration_says(tmp_path, photographs, change: dict):
    other = dataclasses.replace(SMALL, **change)
    before = train(tmp_path / "rule", photographs, SMALL, anew=True)
    changed = train(tmp_path / "rule", photographs, other, anew=True)
    straight = train(tmp_path / "straight", photographs, other)
    assert not torch.equal(before["head.weight"], changed["head.weight"])
    for name, value in straight.items():
        assert torch.equal(value, changed[name]), name


def test_a_training_learns(tmp_path, photographs):
    training = dataclasses.replace(SMALL, steps=150, batch=4, every=50)
    train(tmp_path, photographs, training)
    quality = [float(row["psnr"]) for row in csv.DictReader((tmp_path / "curve.csv").open())]
    assert quality == sorted(quality)
    assert quality[-1] > 20.17 + 0.8  # the noisy image has 20.17 dB
    assert dae.read(tmp_path / "dae.safetensors").sigma == 25


def test_reduced_precision_keeps_float32_weights(tmp_path, photographs):
    weights = train(tmp_path, photographs, dataclasses.replace(SMALL, precision="bfloat16"))
    held = torch.load(tmp_path / "checkpoint", weights_only=True)
    assert {value.dtype for value in held["network"].values()} == {torch.float32}
    assert {value.dtype for value in weights.values()} == {torch.float32}
    assert held["curve"][-1]["psnr"] == pytest.approx(20.17, abs=3)


def test_the_rate_is_held_and_lowered():
    training = Training(sigma=25, steps=100, cooldown=0.5)
    rates = [training.rate(step) for step in range(101)]
    assert set(rates[:51]) == {training.learning_rate}
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[100] == 0


def test_a_checkpoint_of_another_training(tmp_path, photographs):
    train(tmp_path, photographs, SMALL)
    with pytest.raises(InputError, match="checkpoint: belongs to another training"):
        train(tmp_path, photographs, dataclasses.replace(SMALL, sigma=11))
    (tmp_path / "checkpoint").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        train(tmp_path, photographs, SMALL)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((64, 64, 1), np.uint8, "is not 8-bit RGB"),
        ((64, 64, 3), np.uint16, "is not 8-bit RGB"),
        ((64, 15, 3), np.uint8, "is 15×64, smaller than a patch of 16 pixels"),
    ],
)
def test_photographs_that_teach_nothing(tmp_path, photographs, shape, dtype, message: str):
    image_files.write(tmp_path / "z.png", np.zeros(shape, dtype))
    with pytest.raises(InputError, match=message):
        train(tmp_path, [*photographs, str(tmp_path / "z.png")], SMALL)


def test_too_few_photographs(tmp_path, photographs):
    with pytest.raises(InputError, match="1 images with different names; more than 1"):
        train(tmp_path, photographs[:1], SMALL)


def test_photographs_of_equal_names():
    """In several folders: each has a name, in whatever order they are given."""
    paths = ["photos/b/1.png", "photos/a/1.png", "photos/a.b.jpg"]
    assert examples.named(paths) == {"a.b": paths[2], "a/1": paths[1], "b/1": paths[0]}
    assert examples.named(["p/1.png", "p/1.jpg"]) == {"1.jpg": "p/1.jpg", "1.png": "p/1.png"}
    assert examples.named(["photos/a/2.png", "photos/a/1.png"]) == {
        "1": "photos/a/1.png",
        "2": "photos/a/2.png",
    }


def test_the_commands(tmp_path, photographs):
    folder, output = Path(photographs[0]).parent, tmp_path / "my.safetensors"
    arguments = ["--patch", "16", "--batch", "1", "--validation", "1", "--sigma", "30", "-o", str(output)]
    result = CliRunner().invoke(app, ["dae", "train", f"{folder}/*.png", "--steps", "3", *arguments])
    assert result.exit_code == 0, result.output
    assert dae.read(output).sigma == 30
    names = [str(output), SHIPPED_DAES["sigma25"]]
    result = CliRunner().invoke(
        app, ["dae", "measure", *names, "--images", f"{folder}/*.png", "--sigma", "30"]
    )
    assert result.exit_code == 0, result.output
    mine, shipped = (float(line.split()[-2]) for line in result.output.splitlines()[-2:])
    assert shipped > mine + 3
    image_files.write(tmp_path / "deep.png", np.zeros((64, 64, 3), np.uint16))
    result = CliRunner().invoke(
        app, ["dae", "measure", "sigma25", "--images", str(tmp_path / "deep.png"), "--sigma", "25"]
    )
    assert result.exit_code == 2
    assert "deep.png: holds uint16 values; convert it to 8 bits" in result.output


# ── the restorer ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("channels", "bits"), [(3, 8), (1, 8), (3, 16)])
def test_a_dae_denoises(channels: int, bits: int, precision: str):
    target = photograph("chelsea", 97)[..., :channels]
    target = target.astype(np.uint16) * 257 if bits == 16 else target
    noise = {"kind": "noise", "sigma": 25.0, "seed": 0}
    degraded = restorers.Degraded("x", degrade(target, noise, "x"), target.shape, bits, 1, noise)
    settings = {
        "kind": "dae", "path": SHIPPED_DAES["sigma25"], "precision": precision,
        "tile": 64, "overlap": 40, "batch": 2, "device": "cpu",
    }  # fmt: skip
    (prediction,) = dae_restorer.Restorer(settings, []).restore([degraded])
    unit = 1 if bits == 8 else 257
    assert prediction.shape == target.shape
    least = 27 if channels == 3 else 23  # the noise of a grey image is the same in R, G and B
    assert similarity.psnr(target / unit, prediction / unit) > least
    whole = settings | {"tile": 512}
    (uncut,) = dae_restorer.Restorer(whole, []).restore([degraded])
    assert np.abs(uncut - prediction).max() < (0.02 if precision == "float32" else 4) * unit
