"""What a configuration may say of refiners: names, chains, training sets, files."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensir.config.reading import parse
from ensir.errors import InputError
from ensir.images import image_files
from ensir.planning.plan import Plan
from ensir.storage.layout import Layout

TRAINING = {"dataset": "train", "validation": 1}
NOISY = {"kind": "photos", "degradation": {"kind": "noise", "sigma": 20.0}}
VALID: dict[str, Any] = {
    "datasets": {
        "train": {**NOISY, "images": ["rocket", "astronaut"]},
        "ref": {**NOISY, "images": ["china"]},
        "test": {**NOISY, "images": ["coffee"]},
    },
    "models": {
        "tv": {"kind": "classical", "algorithm": "tv_chambolle"},
        "dae": {"kind": "dae"},
        "refined": {"kind": "ptgrm", "base": "tv", "prior": {"kind": "restoration"}, "training": TRAINING},
        "twice": {"kind": "ptgrm", "base": "refined", "prior": {"kind": "none"}, "training": TRAINING},
    },
    "experiments": {
        "one": {
            "models": ["twice", "dae"],
            "reference": "ref",
            "tests": ["test"],
            "methods": {
                "ensir": {},
                "behind": {
                    "kind": "ptgrm",
                    "after": "ensir",
                    "prior": {"kind": "none"},
                    "training": TRAINING,
                },
                "dae_f": {"kind": "ptgrm", "after": "dae", "prior": {"kind": "base"}, "training": TRAINING},
            },
            "sweep": {"ablation": ["without_sve", "unguided", "plain", "prior_1d"]},
        }
    },
}
METHODS = "experiments.one.methods"


def changed(key: str, value: Any) -> dict[str, Any]:
    raw = deepcopy(VALID)
    section = raw
    *path, last = key.split(".")
    for name in path:
        section = section[name]
    section[last] = value
    return raw


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("models.refined.base", "vt", "models.refined.base: 'vt' is not in models; allowed: tv, dae, refined, twice"),
        ("models.refined.base", "twice", "models.refined.base: refined refines twice refines refined"),
        ("models.refined.training", None, "models.refined.training: give either `training` or `weights`"),
        ("models.refined.weights", "mine.safetensors", "models.refined.training: give either `training` or `weights`, not both"),
        ("models.refined.plain", True, "models.refined.prior: a plain network uses none; set `prior: {kind: none}`"),
        ("models.refined.prior", {"kind": "base"}, "models.refined.prior.kind: 'base' takes the features of 'tv'"),
        ("models.refined.prior.network", "sigma12", "models.refined.prior.network: 'sigma12' is not in denoisers"),
        ("models.refined.training", {"dataset": "trian"}, "models.refined.training.dataset: 'trian' is not in datasets"),
        ("models.refined.training", {"dataset": "ref"}, "models.refined.training.dataset: 'ref' is the reference of an experiment"),
        ("models.refined.training", {**TRAINING, "patch": 18}, "models.refined.training.patch: 18 must be a multiple of 4"),
        (f"{METHODS}.behind.training", {"dataset": "test"}, f"{METHODS}.behind.training.dataset: 'test' is the test of an experiment"),
        (f"{METHODS}.behind.after", "dae_f", f"{METHODS}.behind.after: 'dae_f' is a refiner itself; name what that refines"),
        (f"{METHODS}.behind.after", "tv", f"{METHODS}.behind.after: 'tv' is neither a method nor a model of the experiment"),
        (f"{METHODS}.behind.tile", 32, f"{METHODS}.behind.tile: pieces of 32 pixels, which begin at multiples of 4, cannot share 64; enlarge `tile`, or lower `overlap`"),
        (f"{METHODS}.behind.without", ["sfe"], "\"sfe\" is wrong"),
        ("experiments.one.methods", {"ensir": {}}, "experiments.one.sweep.ablation: varies `ptgrm` methods, and there is none"),
        ("experiments.one.methods.behind_plain", {"kind": "average"}, "makes a method 'behind_plain', a name that is taken"),
        ("datasets.train", {"kind": "folder", "target": "x/*.png"}, "datasets.train.input: is missing: refiners learn from inputs"),
        ("datasets.test", {"kind": "folder", "target": "x/*.png"}, "datasets.test.input: is missing: method 'behind' uses inputs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(key: str, value: Any, said: str):
    with pytest.raises(InputError) as error:
        parse(changed(key, value), "my.yaml")
    assert said.replace('"', "'") in str(error.value).replace('"', "'")


def test_a_plan_follows_the_chain_of_refiners():
    plan = Plan(parse(VALID, "my.yaml"), Layout())
    plan.check()
    ablations = [
        f"one/{m}_{a}" for m in ("behind", "dae_f") for a in ("without_sve", "unguided", "plain", "prior_1d")
    ]
    assert set(plan.networks.refiners()) == {"refined", "twice", "one/behind", "one/dae_f", *ablations}
    assert {model for _, dataset, models in plan.used() if dataset == "train" for model in models} == {
        "tv", "dae", "refined", "twice",
    }  # fmt: skip
    assert (
        plan.networks.refiners()["one/behind"].store(Layout(), "train")
        == "results/fused/one/train/ensir.zarr"
    )
    assert (
        plan.networks.refiners()["twice"].store(Layout(), "test") == "results/predictions/test/refined.zarr"
    )
    assert plan.networks.prior_files("one/dae_f") == plan.network("dae")
    assert plan.network("refined")[0] == "results/refiners/refined.safetensors"
    assert plan.networks.refiners()["one/behind_without_sve"].settings.seen["architecture"] == {
        "without": ["sve"],
        "plain": False,
    }
    assert plan.networks.refiners()["one/dae_f_prior_1d"].settings.seen["prior"] == {
        "kind": "base",
        "spatial": False,
    }


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("models.refined", {"kind": "ptgrm", "base": "tv", "prior": {"kind": "none"}, "weights": "no.safetensors"}, "models.refined.weights: no.safetensors: no such file"),
        ("models.refined.prior", {"kind": "clip", "path": "nowhere"}, "models.refined.prior.path: nowhere/config.json: no such file"),
        ("models.refined.prior.network", "no.pth", "models.refined.prior.network: no.pth: no such file"),
        ("models.refined.training", {**TRAINING, "perceptual": "no.pth"}, "models.refined.training.perceptual: no.pth: no such file"),
        ("datasets.test.images", ["coffee", "rocket"], "models.refined.training.dataset: image 'rocket' of train is image 'rocket' of test, too"),
    ],
)  # fmt: skip
def test_files_and_images_that_are_not_as_they_should_be(key: str, value: Any, said: str):
    with pytest.raises(InputError) as error:
        Plan(parse(changed(key, value), "my.yaml"), Layout()).check()
    assert said in str(error.value)


def test_a_file_that_teaches_and_tests(tmp_path: Path):
    image_files.write(tmp_path / "a/x.png", np.zeros((8, 8, 3), np.uint8))
    image_files.write(tmp_path / "b/y.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b/z.png").symlink_to(tmp_path / "a/x.png")
    raw = changed("datasets.train", {**NOISY, "kind": "folder", "target": str(tmp_path / "a/*.png")})
    raw["datasets"]["test"] = {**NOISY, "kind": "folder", "target": str(tmp_path / "b/*.png")}
    with pytest.raises(InputError, match="image 'x' of train is image 'z' of test, too; `exclude` it"):
        Plan(parse(raw, "my.yaml"), Layout()).check()
