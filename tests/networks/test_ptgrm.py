"""PTG-RM: the equations, what guides it, its training, the restorer."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional
from typer.testing import CliRunner

from ensir import restorers
from ensir.cli import app
from ensir.errors import InputError
from ensir.execution import devices
from ensir.networks import dae, features, heads, named_weights, refiner, refiner_training
from ensir.networks.refiner import Architecture
from ensir.networks.refiner_training import Training
from ensir.networks.sections import CLIP_FILES
from ensir.networks.shipped import SHIPPED_DAES
from ensir.planning.parts import part_name
from ensir.restorers import ptgrm
from ensir.stages.ingest import ingest
from ensir.stages.predict import predict
from ensir.storage import provenance, reading
from ensir.storage.layout import Layout

NAMES = ["astronaut", "china", "coffee", "flower", "rocket"]
RESTORATION = {"kind": "restoration", "spatial": True}
NONE = {"kind": "none"}
SMALL = Training(steps=6, patch=16, batch=1, validation=1, every=2, average=0.9)
needs_spandrel = pytest.mark.skipif(find_spec("spandrel") is None, reason="needs the extra `pretrained`")
needs_clip = pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra `clip`")


def quiet(done: int, total: int) -> None:
    pass


def made(architecture: Architecture, seed: int = 0) -> Any:
    """Return a network of which nothing is zero."""
    torch.manual_seed(seed)
    network = architecture.make().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def inputs(guide: int = 0, size: tuple[int, int] = (16, 24), spatial: bool = False) -> list[Any]:
    random = torch.Generator().manual_seed(1)
    base, degraded = (torch.rand(2, 3, *size, generator=random) for _ in range(2))
    place = torch.from_numpy(refiner.position(*size)).permute(2, 0, 1).expand(2, -1, -1, -1)
    shape = (2, guide, 5, 7) if spatial else (2, guide, 1, 1)
    return [base, degraded, place, torch.rand(*shape, generator=random) if guide else None]


def parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


# ── the equations ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_size_of_the_published_module():
    guided = parameters(Architecture(512).make())
    assert 0.6e6 <= guided <= 0.7e6
    assert 0.4 < 2 * parameters(refiner.Transform(512)) / guided < 0.5  # nearly half in the maps of the prior
    assert parameters(Architecture(0, plain=True).make()) == pytest.approx(guided, rel=0.01)


def test_it_begins_as_the_base_model():
    for architecture in (Architecture(8), Architecture(0, plain=True)):
        base, degraded, *rest = inputs(8)
        refined = architecture.make()(base, degraded, *rest)
        assert (refined - base).abs().max() < 0.02


def test_the_output_is_the_input_with_the_masked_change_and_the_residual():
    network, (base, degraded, place, guide) = made(Architecture(8)), inputs(8)
    seen = {}
    network.decoder.register_forward_hook(lambda module, given, result: seen.update(both=result))
    refined = network(base, degraded, place, guide)
    mask, residual = seen["both"]
    assert mask.shape == residual.shape == base.shape
    assert mask.min() >= 0
    assert mask.max() <= 1
    torch.testing.assert_close(refined, degraded + (base - degraded) * mask + residual)
    assert mask.std() > 0.01  # I_m is used


def test_short_and_long_range_are_mixed_pixel_by_pixel():
    module = made(Architecture(8)).enhancement
    f, place, guide = torch.rand(2, 16, 4, 6), torch.rand(2, 2, 4, 6), torch.rand(2, 8, 1, 1)
    transformed = module.guidance.transform(guide, (4, 6))
    embedded = module.guidance.embedding(place)
    mask = torch.sigmoid(module.mask(torch.cat([f, transformed, embedded], 1)))
    assert mask.shape == (2, 1, 4, 6)
    expected = mask * module.short(f) + (1 - mask) * module.long(f)
    torch.testing.assert_close(module(f, place, guide), expected)


def test_both_attentions_are_fused_and_added():
    module = made(Architecture(8)).attention
    f, place, guide = torch.rand(2, 16, 4, 6), torch.rand(2, 2, 4, 6), torch.rand(2, 8, 1, 1)
    transformed = module.guidance.transform(guide, (4, 6))
    embedded = module.guidance.embedding(place)
    pooled = torch.cat([f.mean((2, 3)), transformed[:, :, 0, 0]], 1)
    channel = f * torch.sigmoid(module.channel(pooled))[:, :, None, None]
    kernels = module.kernels(torch.cat([f, transformed, embedded], 1))
    spatial = f * torch.sigmoid(module.spatial(refiner.filtered(f, kernels)))
    torch.testing.assert_close(module(f, place, guide), module.fusion(torch.cat([channel, spatial], 1)) + f)


def test_every_pixel_is_filtered_by_its_own_kernel():
    f, kernels = torch.rand(1, 2, 4, 5), torch.rand(1, 18, 4, 5)
    found, padded = refiner.filtered(f, kernels), functional.pad(f, (1, 1, 1, 1))
    for channel in range(2):
        for y in range(4):
            for x in range(5):
                own = kernels[0, 9 * channel : 9 * channel + 9, y, x].view(3, 3)
                expected = (padded[0, channel, y : y + 3, x : x + 3] * own).sum()
                torch.testing.assert_close(found[0, channel, y, x], expected)


def test_a_vector_guides_every_pixel_alike_and_a_picture_does_not():
    transform = refiner.Transform(8)
    vector, picture = torch.rand(1, 8, 1, 1), torch.rand(1, 8, 3, 4)
    flat = transform(vector, (6, 8))
    assert torch.equal(flat, flat[:, :, :1, :1].expand_as(flat))
    torch.testing.assert_close(flat, transform(vector.expand(-1, -1, 2, 2), (6, 8)))
    spread = transform(picture, (6, 8))
    assert spread.shape == (1, 64, 6, 8)
    assert spread.std((2, 3)).min() > 0


@pytest.mark.parametrize("without", [(), ("sve",), ("channel",), ("spatial",), ("position",), ("channel", "spatial"), refiner.COMPONENTS])  # fmt: skip
@pytest.mark.parametrize("guide", [0, 8])
def test_what_is_left_out_is_gone(without: tuple[str, ...], guide: int):
    network, given = made(Architecture(guide, without)), inputs(guide, spatial=True)
    whole = made(Architecture(guide))
    assert (parameters(network) < parameters(whole)) == bool(without)
    refined = network(*given)
    assert refined.shape == given[0].shape
    elsewhere = [*given[:2], -given[2], given[3]]
    looks = "position" not in without and not {"sve", "spatial"} <= set(without)
    assert torch.equal(network(*elsewhere), refined) != looks
    if guide:
        other = network(*given[:3], torch.flip(given[3], [1]))
        assert torch.equal(other, refined) == ({"sve", "channel", "spatial"} <= set(without))


# ── what guides it ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spatial", [True, False])
def test_the_features_of_a_dae_are_what_its_last_layer_gets(spatial: bool):
    prior = features.Prior({"kind": "restoration", "spatial": spatial}, [SHIPPED_DAES["sigma25"]], "cpu")
    x = torch.rand(2, 3, 18, 23)
    found = prior(x)
    assert prior.channels == 64
    network = dae.read(SHIPPED_DAES["sigma25"]).network
    seen = []
    network.tail.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network(255 * x)
    expected = seen[0] if spatial else seen[0].mean((2, 3), keepdim=True)
    torch.testing.assert_close(found, expected)


def test_no_prior_is_no_features():
    prior = features.Prior(NONE, [], "cpu")
    assert (prior.channels, prior(torch.rand(1, 3, 8, 8))) == (0, None)


@needs_spandrel
def test_the_features_of_a_published_network(data: Path):
    prior = features.Prior(RESTORATION, [str(data / "weights/dncnn_gray_sigma25.pth")], "cpu")
    assert prior.channels == 64
    x = torch.rand(2, 3, 9, 10)
    assert prior(x).shape == (2, 64, 9, 10)
    torch.testing.assert_close(
        prior(x), prior(x.mean(1, keepdim=True).expand(-1, 3, -1, -1))
    )  # a grey network


@needs_spandrel
def test_a_network_that_enlarges_is_no_prior(data: Path):
    with pytest.raises(InputError, match=r"craft_x4.pth: enlarges 4 times; a prior must keep the size"):
        features.Prior(RESTORATION, [str(data / "weights/craft_x4.pth")], "cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    devices.fix_torchvision()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=8, projection_dim=12,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


@needs_clip
def test_the_features_of_clip(clip: Path):
    files = [str(clip / name) for name in CLIP_FILES]
    x = torch.rand(2, 3, 20, 31)
    whole = features.Prior({"kind": "clip", "spatial": False}, files, "cpu")
    assert (whole.channels, whole(x).shape) == (12, (2, 12, 1, 1))
    patches = features.Prior({"kind": "clip", "spatial": True}, files, "cpu")
    assert (patches.channels, patches(x).shape) == (16, (2, 16, 4, 4))
    assert whole.identity != patches.identity
    assert not torch.equal(whole(x), whole(1 - x))


@needs_clip
@pytest.mark.parametrize("content", ["{", '{"model_type": "bert"}'])
def test_what_is_no_clip(tmp_path: Path, clip: Path, content: str):
    shutil.copytree(clip, tmp_path / "broken")
    (tmp_path / "broken/config.json").write_text(content)
    (tmp_path / "broken/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="broken: holds no CLIP that transformers can read"):
        features.Prior(
            {"kind": "clip", "spatial": False},
            [str(tmp_path / "broken" / n) for n in CLIP_FILES],
            "cpu",
        )


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> tuple[list[str], list[str]]:
    """Parts of a noisy dataset, and of a classical model's predictions."""
    return made_stores(tmp_path_factory.mktemp("stores"), NAMES, "train")


def made_stores(folder: Path, names: list[str], dataset: str, **more: Any) -> tuple[list[str], list[str]]:
    layout = Layout(str(folder / "results"))
    noisy = {"kind": "photos", "size": 40, "degradation": {"kind": "noise", "sigma": 25.0, "seed": 0}, **more}
    noisy = {"scale": 1, "common_crop": None, "licence": None, "citation": None, **noisy}
    part = layout.part(layout.dataset(dataset), part_name(names))
    ingest(layout.place(part), dataset, names, noisy, [], [], None, quiet)
    base = layout.part(layout.predictions(dataset, "smooth"), part_name(names))
    scale = noisy["degradation"].get("scale", 1)
    model = {"kind": "classical", "algorithm": "gaussian" if scale == 1 else "bicubic", "options": {}}
    predict(layout.place(base), part, layout.digest(part), "smooth", model, [], None, quiet)
    return [part], [base]


def train(
    folder: Path, stores: Any, course: Training, prior: Any = RESTORATION, **more: Any
) -> dict[str, torch.Tensor]:
    output = folder / "refiner.safetensors"
    options = {"architecture": {"without": [], "plain": False}, "perceptual": None, "progress": quiet, **more}
    files = [SHIPPED_DAES["sigma25"]] if prior["kind"] == "restoration" else []
    refiner_training.train(
        output, folder / "checkpoint", folder / "curve.csv", refiner_training.Examples(*stores), prior, files,
        course=course, device="cpu", **options,
    )  # fmt: skip
    return load_file(output)


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path, stores):
    straight = train(tmp_path / "whole", stores, SMALL)

    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        if step == 5:  # after the checkpoint of step 4
            raise Stopped

    with pytest.raises(Stopped):
        train(tmp_path / "halved", stores, SMALL, progress=stop)
    resumed = train(tmp_path / "halved", stores, SMALL)
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())
    curves = [list(csv.DictReader((tmp_path / f / "curve.csv").open())) for f in ("whole", "halved")]
    for curve in curves:
        assert [row["step"] for row in curve] == ["2", "4", "6"]
        for row in curve:
            assert float(row.pop("seconds")) >= 0
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_another_prior_is_another_training(tmp_path, stores):
    short = dataclasses.replace(SMALL, steps=2)
    train(tmp_path, stores, short, NONE)
    with pytest.raises(InputError, match="checkpoint: belongs to another training"):
        train(tmp_path, stores, short)
    fresh = train(tmp_path / "fresh", stores, short)
    anew = train(tmp_path, stores, short, restart=True)
    assert all(torch.equal(value, anew[name]) for name, value in fresh.items())


@pytest.mark.parametrize(
    ("plain", "course"),
    [
        pytest.param(False, {"steps": 20, "every": 10, "learning_rate": 2e-3}, marks=pytest.mark.slow),
        (True, {"steps": 30, "every": 15, "batch": 4, "learning_rate": 5e-4}),
    ],
)
def test_a_training_learns(tmp_path, stores, plain: bool, course: dict[str, Any]):
    course = dataclasses.replace(SMALL, **course)
    train(tmp_path, stores, course, NONE, architecture={"without": [], "plain": plain})
    first, last = (float(row["psnr"]) for row in csv.DictReader((tmp_path / "curve.csv").open()))
    assert last > first
    trained = refiner.read(tmp_path / "refiner.safetensors")
    assert trained.facts["psnr"] == pytest.approx(last, abs=1e-3)


def test_a_training_stops_early_and_keeps_the_best(tmp_path, stores):
    course = dataclasses.replace(SMALL, steps=40, every=1, patience=2, learning_rate=0.5)  # which spoils it
    kept = train(tmp_path, stores, course, NONE)
    quality = [float(row["psnr"]) for row in csv.DictReader((tmp_path / "curve.csv").open())]
    best = int(np.argmax(quality))
    assert len(quality) == best + 3 < 40
    again = train(tmp_path, stores, course, NONE)
    assert all(torch.equal(value, again[name]) for name, value in kept.items())
    trained = refiner.read(tmp_path / "refiner.safetensors")
    assert trained.facts["psnr"] == pytest.approx(max(quality), abs=1e-3)
    examples, guide = refiner_training.Examples(*stores), features.Prior(NONE, [], "cpu")
    measured = refiner_training.psnr(trained.network, guide, examples, trained.facts["validation"], "cpu")
    assert measured == pytest.approx(max(quality), abs=1e-3)


@pytest.mark.slow
def test_the_perceptual_loss_and_reduced_precision_change_the_weights(tmp_path, stores):
    course = dataclasses.replace(SMALL, steps=2)
    alone = train(tmp_path / "a", stores, course, NONE)
    both = train(tmp_path / "b", stores, course, NONE, perceptual=SHIPPED_DAES["sigma11"])
    reduced = train(tmp_path / "c", stores, dataclasses.replace(course, precision="bfloat16"), NONE)
    assert {value.dtype for value in reduced.values()} == {torch.float32}
    for other in (both, reduced):
        assert any(not torch.equal(value, other[name]) for name, value in alone.items())


def test_patches_come_from_one_place_of_all_images(stores):
    examples = refiner_training.Examples(*stores)
    course = dataclasses.replace(SMALL, batch=16)
    target, base, degraded, place = refiner_training.patches(examples, NAMES, course, 3)
    assert target.shape == base.shape == degraded.shape == (16, 3, 16, 16)
    assert ((degraded - target).std() - 25 / 255).abs() < 0.02
    assert (base - target).abs().mean() < (degraded - target).abs().mean()
    rows, columns = place[:, 0], place[:, 1]
    torch.testing.assert_close(rows.diff(dim=1), torch.full_like(rows[:, 1:], 2 / 39), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        columns.diff(dim=2), torch.full_like(columns[..., 1:], 2 / 39), atol=1e-5, rtol=0
    )
    again = refiner_training.patches(examples, NAMES, course, 3)
    assert all(torch.equal(*pair) for pair in zip(again, (target, base, degraded, place), strict=True))


def test_what_cannot_be_learned_from(tmp_path, stores):
    with pytest.raises(InputError, match="smaller than a patch of 64 pixels; leave it out, or lower `patch`"):
        train(tmp_path, stores, dataclasses.replace(SMALL, patch=64))
    with pytest.raises(InputError, match="5 images with different names; more than 5 are needed"):
        train(tmp_path, stores, dataclasses.replace(SMALL, validation=5))


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_no_refiner(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        refiner.read(tmp_path / "no.safetensors")
    with pytest.raises(InputError, match="holds no refiner"):
        refiner.read(SHIPPED_DAES["sigma25"])
    path = tmp_path / "other.safetensors"
    named_weights.write(path, torch.nn.Linear(2, 2), {"refiner": {"guide": 0, "without": [], "plain": True}})
    with pytest.raises(InputError, match="holds no refiner"):
        refiner.read(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="cannot be read as"):
        refiner.read(path)


# ── the restorer ─────────────────────────────────────────────────────────────────────────────────────────────


def written(path: Path, architecture: Architecture, prior: dict[str, Any]) -> Path:
    network = made(architecture)
    facts = {"prior": prior, "dataset": "train", "images": ["p"], "image_digests": ["0"]}
    refiner.write(path, network, architecture, facts)
    return path


@pytest.fixture(scope="module")
def unguided(tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("refiner") / "r.safetensors", Architecture(0), NONE)


def restorer(path: Path, **more: Any) -> Any:
    options = {
        "kind": "ptgrm", "path": str(path), "beside": [], "prior": NONE, "device": "cpu", "tile": None, "overlap": 16,
        "batch": 1, "architecture": {"without": [], "plain": False},
    }  # fmt: skip
    return ptgrm.Restorer({**options, **more}, [])


def degraded(
    shape: tuple[int, int, int], scale: int = 1, bits: int = 8, name: str = "x"
) -> restorers.Degraded:
    random = np.random.default_rng(list(shape))
    dtype = np.uint8 if bits == 8 else np.uint16
    low = (-(-shape[0] // scale), -(-shape[1] // scale), shape[2])
    return restorers.Degraded(
        name, random.integers(0, 2**bits, low).astype(dtype), shape, bits, scale, None,
        random.integers(0, 2**bits, shape).astype(dtype),
    )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), channels=st.sampled_from([1, 3]))
def test_images_of_any_size(unguided: Path, height: int, width: int, channels: int):
    (refined,) = restorer(unguided).restore([degraded((height, width, channels))])
    assert refined.shape == (height, width, channels)
    assert np.isfinite(refined).all()


def test_what_the_restorer_runs_is_the_network(unguided: Path):
    given = degraded((24, 32, 3))
    (refined,) = restorer(unguided).restore([given])
    base, low = (
        torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)[None]
        for image in (given.base, given.image)
    )
    place = torch.from_numpy(refiner.position(24, 32)).permute(2, 0, 1)[None]
    expected = refiner.read(unguided).network(base, low, place, None)
    np.testing.assert_allclose(refined, 255 * expected[0].permute(1, 2, 0).numpy(), atol=1e-2)


def test_batches_and_pieces_that_hold_the_image_change_nothing(unguided: Path):
    given = [degraded((24, 32, 3), name=name) for name in "ab"]
    alone = list(restorer(unguided).restore(given))
    for more in ({"batch": 2}, {"tile": 32}):
        for one, other in zip(alone, restorer(unguided, **more).restore(given), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=0.1)


def test_a_piece_is_refined_as_the_network_refines_it_in_its_place(unguided: Path):
    given = degraded((32, 56, 3))
    (tiled,) = restorer(unguided, tile=32).restore([given])
    channels = [given.base / np.float32(255), given.image / np.float32(255), refiner.position(32, 56)]
    left = [torch.from_numpy(part[:, :32]).float().permute(2, 0, 1)[None] for part in channels]
    expected = refiner.read(unguided).network(*left, None)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(tiled[:, :20], 255 * expected[:, :20], atol=1e-2)


@pytest.mark.parametrize(("scale", "bits"), [(2, 8), (1, 16), (3, 16)])
def test_smaller_inputs_and_more_bits(unguided: Path, scale: int, bits: int):
    given = degraded((12, 18, 3), scale, bits)
    (refined,) = restorer(unguided).restore([given])
    assert refined.shape == (12, 18, 3)
    assert np.abs(refined).max() > 300 if bits == 16 else True


def test_an_input_that_is_not_of_the_size_of_the_target(unguided: Path):
    given = dataclasses.replace(degraded((12, 18, 3)), scale=2)
    with pytest.raises(InputError, match="its input is 36×24 at the size of the target, which is 18×12"):
        list(restorer(unguided).restore([given]))


def test_a_refiner_is_used_as_it_was_trained(tmp_path: Path, unguided: Path):
    with pytest.raises(InputError, match="was trained with another prior"):
        restorer(unguided, prior=RESTORATION, beside=[SHIPPED_DAES["sigma25"]])
    with pytest.raises(InputError, match=r"was trained with `without: \[\]`, `plain: false`"):
        restorer(unguided, architecture={"without": ["sve"], "plain": False})
    identity = features.Prior(RESTORATION, [SHIPPED_DAES["sigma11"]], "cpu").identity
    path = written(tmp_path / "r.safetensors", Architecture(64), identity)
    (refined,) = restorer(path, prior=RESTORATION, beside=[SHIPPED_DAES["sigma11"]]).restore(
        [degraded((9, 9, 3))]
    )
    assert refined.shape == (9, 9, 3)
    assert heads.identity_of_prior(RESTORATION, [SHIPPED_DAES["sigma11"]]) == identity
    heads.check_refiner(str(path), {"without": [], "plain": False}, identity)
    with pytest.raises(InputError, match="was trained with another prior"):
        heads.check_refiner(str(path), {"without": [], "plain": False}, {**identity, "spatial": False})
    with pytest.raises(InputError, match=r"was trained with `without: \[\]`, `plain: false`"):
        heads.check_refiner(str(path), {"without": ["sve"], "plain": False}, identity)
    with pytest.raises(InputError, match="holds no refiner"):
        heads.check_refiner(SHIPPED_DAES["sigma11"], {"without": [], "plain": False}, identity)
    with pytest.raises(InputError, match="was trained with another prior"):
        restorer(path, prior=RESTORATION, beside=[SHIPPED_DAES["sigma25"]])


def test_images_that_taught_it_are_refused(tmp_path: Path, stores):
    train(tmp_path, stores, dataclasses.replace(SMALL, steps=1), NONE)
    trained = restorer(tmp_path / "refiner.safetensors")
    trained.check(reading.Part(stores[0][0]))  # its own training set: for what stands behind it
    (seen,), _ = made_stores(tmp_path / "test", ["chelsea", "coffee"], "test")
    with pytest.raises(InputError, match="image 'coffee' of test is image 'coffee' of train, from which"):
        trained.check(reading.Part(seen))


def test_super_resolution_from_stores(tmp_path: Path):
    stores = made_stores(tmp_path, NAMES, "train", degradation={"kind": "downscale", "scale": 2})
    train(tmp_path, stores, dataclasses.replace(SMALL, steps=1), NONE)
    part, base = (reading.Part(paths[0]) for paths in stores)
    given = restorers.Degraded(
        "astronaut", part.input(0), part.shapes[0], 8, 2, None, base.image("astronaut")
    )
    (refined,) = restorer(tmp_path / "refiner.safetensors").restore([given])
    assert np.abs(refined - given.base).mean() < 5


# ── the commands ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_commands(tmp_path: Path, stores):
    output = tmp_path / "mine.safetensors"
    folders = [str(Path(paths[0]).parent) for paths in stores]
    small = [
        "--steps",
        "2",
        "--patch",
        "16",
        "--batch",
        "1",
        "--validation",
        "1",
        "--device",
        "cpu",
        "-o",
        str(output),
    ]
    result = CliRunner().invoke(app, ["ptgrm", "train", *folders, *small, "--without", "sve", "--1d"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["ptgrm", "show", str(output)])
    told = json.loads(result.output)
    assert told["refiner"] == {"guide": 64, "without": ["sve"], "plain": False}
    assert told["parameters"] == parameters(refiner.read(output).network)
    for wrong, message in (
        (["--plain"], "a plain network uses none"),
        (["--without", "sfe"], "must be one of sve, channel"),
        (["--patch", "18"], "must be a multiple of 4"),
        (["--prior", "no.pth"], "no.pth: no such file"),
    ):
        result = CliRunner().invoke(app, ["ptgrm", "train", *folders, *small, *wrong])
        assert result.exit_code == 2
        assert message in result.output
    result = CliRunner().invoke(app, ["ptgrm", "train", str(tmp_path), folders[1], *small])
    assert "holds no parts of a store" in result.output


def test_code_that_a_method_runs_is_counted(monkeypatch: pytest.MonkeyPatch):
    """A change of the network, or of how it is run, fuses anew."""
    counted = []
    monkeypatch.setattr(provenance, "_code", lambda module: counted.append(module) or "")
    provenance.source_digest.__wrapped__("ensir.methods.ptgrm")
    assert {"ensir.networks.refiner", "ensir.networks.features", "ensir.networks.runner"} <= set(counted)
