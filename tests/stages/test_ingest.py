"""Datasets: photographs, degradations, folders, crops; and the parts that images are assigned to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.config.reading import parse
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.degradations import degrade, imresize, kernel
from ensir.planning import parts, plan
from ensir.stages.ingest import ingest
from ensir.stages.predict import predict
from ensir.storage import reading
from ensir.storage.layout import Layout

FOLDER = {
    "kind": "folder",
    "degradation": None,
    "scale": 1,
    "common_crop": None,
    "licence": "CC0",
    "citation": None,
}


def quiet(done: int, total: int) -> None:
    pass


def ingested(
    folder: Path, names: list[str], settings: dict, targets=(), inputs=(), sizes=None
) -> reading.Part:
    layout = Layout(str(folder / "results"))
    place = layout.place(layout.part(layout.dataset("d"), parts.part_name(names)))
    ingest(place, "d", names, {**FOLDER, **settings}, list(targets), list(inputs), sizes, quiet)
    return reading.Part(place.path)


@pytest.mark.parametrize(
    "name", ["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]
)
def test_photographs(name: str):
    image = photograph(name, None)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert min(image.shape[:2]) >= 300
    if name == "hubble":
        assert image.shape == (512, 512, 3)


def test_photos_are_those_that_the_libraries_show():
    import skimage.data
    import sklearn.datasets

    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        np.testing.assert_array_equal(photograph(name, None), getattr(skimage.data, name)())
    np.testing.assert_array_equal(photograph("motorcycle", None), skimage.data.stereo_motorcycle()[0])
    top, left = 180, 244  # the middle
    middle = skimage.data.hubble_deep_field()[top : top + 512, left : left + 512]
    np.testing.assert_array_equal(photograph("hubble", None), middle)
    for name in ("china", "flower"):
        np.testing.assert_array_equal(
            photograph(name, None), sklearn.datasets.load_sample_image(f"{name}.jpg")
        )


def test_photos_are_degraded_by_seed_and_name(tmp_path: Path):
    noisy = {"kind": "photos", "size": 64, "degradation": {"kind": "noise", "sigma": 10.0, "seed": 1}}
    both = ingested(tmp_path / "a", ["chelsea", "coffee"], noisy)
    one = ingested(tmp_path / "b", ["coffee"], noisy)
    np.testing.assert_array_equal(both.input(1), one.input(0))
    assert not np.array_equal(both.input(0) - both.image("chelsea"), both.input(1) - both.image("coffee"))
    difference = one.input(0).astype(float) - one.image("coffee")
    assert 8 < difference.std() < 11


def test_sixteen_bits_are_degraded_alike():
    image = photograph("coffee", 64)
    noise = {"kind": "noise", "sigma": 10.0, "seed": 1}
    deep = degrade(image.astype(np.uint16) * 257, noise, "coffee")
    np.testing.assert_allclose(deep / 257, degrade(image, noise, "coffee"), atol=0.51)


@pytest.mark.parametrize("shape", ["gaussian", "disk", "motion"])
@pytest.mark.parametrize("width", [0.7, 1.6, 3.0, 8.5])
def test_kernels_sum_to_one_and_are_centred(shape: str, width: float):
    value = kernel(shape, width)
    assert value.shape[0] == value.shape[1]
    assert value.shape[0] % 2 == 1
    assert value.min() >= 0
    assert value.sum() == pytest.approx(1)
    np.testing.assert_allclose(value, value[::-1, ::-1], atol=1e-15)


def test_bicubic_equals_matlab(data: Path):
    for name in ("baby", "bird", "butterfly", "head", "woman"):
        target = image_files.read(str(data / f"images/sr_x4/set5/gt/{name}.png"))
        degraded = image_files.read(str(data / f"images/sr_x4/set5/lq/{name}.png"))
        np.testing.assert_array_equal(imresize(target, 1 / 4), degraded)


def test_targets_and_inputs_of_several_sizes(tmp_path: Path):
    random = np.random.default_rng(0)
    shapes = {"a": (8, 12), "sub/b": (16, 4)}
    targets = {n: random.integers(0, 65536, (*s, 3)).astype(np.uint16) for n, s in shapes.items()}
    inputs = {n: t[::4, ::4] for n, t in targets.items()}
    for name in shapes:
        image_files.write(tmp_path / f"gt/{name}.png", targets[name])
        image_files.write(tmp_path / f"lq/{name}.png", inputs[name])
    files = [[str(tmp_path / f"{kind}/{name}.png") for name in shapes] for kind in ("gt", "lq")]
    part = ingested(tmp_path, list(shapes), {"scale": 4}, *files)
    for i, name in enumerate(shapes):
        np.testing.assert_array_equal(part.image(name), targets[name])
        np.testing.assert_array_equal(part.input(i), inputs[name])
    assert part.bits == 16


def test_scale_that_does_not_fit(tmp_path: Path):
    for kind in ("gt", "lq"):
        image_files.write(tmp_path / f"{kind}.png", np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(InputError, match=r"gt.png is 8×8, but .*lq.png is 8×8 and scale is 2; fix `scale`"):
        ingested(tmp_path, ["x"], {"scale": 2}, [str(tmp_path / "gt.png")], [str(tmp_path / "lq.png")])


@pytest.mark.parametrize(("anchor", "top"), [("center", 1), ("topleft", 0)])
def test_crop_to_what_all_predictions_share(tmp_path: Path, anchor: str, top: int):
    target = np.arange(10 * 10, dtype=np.uint8).reshape(10, 10, 1)
    for name, image in {"gt": target, "small": target[:8, :9], "whole": target}.items():
        for dataset in ("ref", "test"):
            image_files.write(tmp_path / dataset / name / "x.png", image)
    config = parse(
        {
            "datasets": {
                d: {"kind": "folder", "target": f"{tmp_path}/{d}/gt/*.png", "common_crop": anchor}
                for d in ("ref", "test")
            },
            "models": {
                m: {"kind": "folder", "path": f"{tmp_path}/{{dataset}}/{m}/*.png"} for m in ("small", "whole")
            },
            "experiments": {
                "e": {
                    "models": ["small", "whole"],
                    "reference": "ref",
                    "tests": ["test"],
                    "methods": {"average": {}},
                }
            },
        },
        "config",
    )
    sizes = plan.Plan(config, Layout(str(tmp_path / "results"))).sizes("test")
    assert sizes == {"x": (8, 9)}
    part = ingested(tmp_path, ["x"], {"common_crop": anchor}, [f"{tmp_path}/test/gt/x.png"], [], [sizes["x"]])
    np.testing.assert_array_equal(part.image("x"), target[top : top + 8, :9])


def test_more_than_a_border_is_not_cropped(tmp_path: Path):
    image_files.write(tmp_path / "x.png", np.zeros((100, 50, 1), np.uint8))
    with pytest.raises(InputError, match="is 50×100, cropped to 50×60; only a border of up to 32 pixels"):
        ingested(tmp_path, ["x"], {"common_crop": "center"}, [f"{tmp_path}/x.png"], [], [(60, 50)])


@settings(max_examples=30)
@given(st.sets(st.text("abcdef", min_size=1, max_size=3), min_size=1), st.integers(1, 5))
def test_every_image_is_in_one_part(names: set[str], images_per_part: int):
    made = parts.assign(sorted(names), images_per_part, [])
    assert sorted(name for held in made.values() for name in held) == sorted(names)
    assert all(len(held) <= images_per_part for held in made.values())
    assert all(part == parts.part_name(held) for part, held in made.items())


def test_appended_images_only_make_new_parts(tmp_path: Path):
    photos = {"kind": "photos", "size": 16, "degradation": {"kind": "noise", "sigma": 1.0, "seed": 0}}
    ingested(tmp_path, ["chelsea", "coffee"], photos)
    ingested(tmp_path, ["flower"], photos)
    dataset = Layout(str(tmp_path / "results")).dataset("d")
    first = parts.assign(["chelsea", "coffee", "flower"], 2, [dataset])
    grown = parts.assign(["astronaut", "chelsea", "coffee", "flower", "rocket"], 2, [dataset])
    assert set(first) < set(grown)
    assert [held for part, held in grown.items() if part not in first] == [["astronaut", "rocket"]]


def test_parts_are_remembered_by_predictions(tmp_path: Path):
    """Where a part of the dataset is gone, its predictions tell which images were in it."""
    photos = {"kind": "photos", "size": 16, "degradation": None}
    ingested(tmp_path, ["chelsea", "coffee"], photos)
    layout = Layout(str(tmp_path / "results"))
    dataset, predictions = layout.dataset("d"), layout.predictions("d", "m")
    first = parts.assign(["chelsea", "coffee"], 2, [dataset])
    Path(predictions).parent.mkdir(parents=True)
    Path(dataset).rename(predictions)
    assert parts.assign(["chelsea", "coffee"], 1, [dataset, predictions]) == first
    assert parts.assign(["chelsea", "coffee"], 1, [dataset]) != first


def test_a_crop_is_whole_pixels_of_what_is_made_smaller(tmp_path: Path):
    """Else the target would be cut once more, from its top left, and predictions from their middle."""
    target = np.arange(11 * 11, dtype=np.uint8).reshape(11, 11, 1)
    for name in ("gt", "a", "b"):
        for dataset in ("ref", "test"):
            image_files.write(tmp_path / dataset / name / "x.png", target)
    folder = {"kind": "folder", "common_crop": "center", "degradation": {"kind": "downscale", "scale": 4}}
    models = {m: {"kind": "folder", "path": f"{tmp_path}/{{dataset}}/{m}/*.png"} for m in ("a", "b")}
    experiment = {"models": ["a", "b"], "reference": "ref", "tests": ["test"], "methods": {"average": {}}}
    config = parse(
        {
            "datasets": {d: {**folder, "target": f"{tmp_path}/{d}/gt/*.png"} for d in ("ref", "test")},
            "models": models,
            "experiments": {"e": experiment},
        },
        "config",
    )
    sizes = plan.Plan(config, Layout(str(tmp_path / "results"))).sizes("test")
    assert sizes == {"x": (8, 8)}


@pytest.mark.parametrize("name", ["x{y}", "b<ild>"])
def test_names_that_snakemake_cannot_read(tmp_path: Path, name: str):
    image_files.write(tmp_path / f"gt/{name}.png", np.zeros((8, 8, 1), np.uint8))
    photos = {
        "kind": "folder",
        "target": f"{tmp_path}/gt/*.png",
        "degradation": {"kind": "noise", "sigma": 1.0},
    }
    experiment = {"models": ["a", "b"], "reference": "ref", "tests": ["test"], "methods": {"average": {}}}
    config = parse(
        {
            "datasets": {"ref": photos, "test": photos},
            "models": {m: {"kind": "classical", "algorithm": "median"} for m in ("a", "b")},
            "experiments": {"e": experiment},
        },
        "config",
    )
    with pytest.raises(
        InputError, match=r"datasets\.ref\.target: .*\.png: Snakemake reads no path with one of"
    ):
        plan.Plan(config, Layout(str(tmp_path / "results"))).check()


def test_an_image_may_be_excluded_because_its_input_is_missing(tmp_path: Path):
    for path in ("gt/a.png", "gt/b.png", "lq/a.png"):
        image_files.write(tmp_path / path, np.zeros((4, 5, 3), np.uint8))
    dataset = {"kind": "folder", "target": f"{tmp_path}/gt/*.png", "input": f"{tmp_path}/lq"}

    experiment = {"models": ["a", "b"], "reference": "d", "tests": ["e"], "methods": {"average": {}}}

    def planned(**settings) -> dict[str, str]:
        config = parse(
            {
                "datasets": {"d": {**dataset, **settings}, "e": dataset},
                "models": {m: {"kind": "folder", "path": f"{{dataset}}/{m}"} for m in ("a", "b")},
                "experiments": {"one": experiment},
            },
            "config",
        )
        return plan.Plan(config, Layout(str(tmp_path / "results"))).inputs("d")

    with pytest.raises(
        InputError, match=r"datasets.d.input: no file for 'b' \(1 of 2 images\); add the files, or exclude"
    ):
        planned()
    assert planned(exclude=["b"]) == {"a": f"{tmp_path}/lq/a.png"}
    with pytest.raises(InputError, match=r"datasets.d.target: `exclude` names 'c', which matches no image"):
        planned(exclude=["c"])


def test_a_prediction_in_another_range_is_seen_by_its_target(tmp_path: Path):
    target = photograph("chelsea", 48)
    image_files.write(tmp_path / "gt/chelsea.png", target)
    ingested(tmp_path, ["chelsea"], {}, [f"{tmp_path}/gt/chelsea.png"])
    layout = Layout(str(tmp_path / "results"))
    part = layout.part(layout.dataset("d"), parts.part_name(["chelsea"]))
    (tmp_path / "digest").write_text("")
    np.save(tmp_path / "chelsea.npy", target / 255)

    def predicted(**settings) -> np.ndarray:
        model = {"kind": "folder", "value_range": [0, 1], "array": None, "any_range": False, **settings}
        place = layout.place(layout.part(layout.predictions("d", "m"), parts.part_name(["chelsea"])))
        predict(place, part, str(tmp_path / "digest"), "m", model, [f"{tmp_path}/chelsea.npy"], None, quiet)
        return reading.Part(place.path).image("chelsea")

    with pytest.raises(
        InputError, match=r"chelsea.npy: all of its values, .* black in \[0, 255\]; .* perhaps \[0, 1\]"
    ):
        predicted(value_range=[0, 255])
    assert predicted(value_range=[0, 255], any_range=True).max() <= 1
    np.testing.assert_array_equal(predicted(), target)


def test_grey_images_become_colour_on_request(tmp_path: Path):
    """Target, input and prediction; an image of three channels stays as it is."""
    random = np.random.default_rng(0)
    shapes = {"bridge": (6, 8, 1), "pepper": (6, 8, 3)}
    files: dict[str, list[str]] = {}
    images = {}
    for kind in ("gt", "lq", "pred"):
        for name, shape in shapes.items():
            images[kind, name] = random.integers(0, 256, shape, np.uint8)
            image_files.write(tmp_path / kind / f"{name}.png", images[kind, name])
            files.setdefault(kind, []).append(str(tmp_path / kind / f"{name}.png"))
    with pytest.raises(InputError, match="or set `grey: replicate`"):
        ingested(tmp_path / "refused", list(shapes), {}, files["gt"], files["lq"])
    part = ingested(tmp_path, list(shapes), {"grey": "replicate"}, files["gt"], files["lq"])
    layout = Layout(str(tmp_path / "results"))
    place = layout.place(layout.part(layout.predictions("d", "m"), Path(part.path).name))
    section = {"kind": "folder", "value_range": [0, 1], "any_range": False, "array": None}
    digest = layout.digest(str(part.path))
    predict(place, str(part.path), digest, "m", section, files["pred"], None, quiet)
    predicted = reading.Part(place.path)
    for i, name in enumerate(shapes):
        for kind, found in (("gt", part.image(name)), ("lq", part.input(i)), ("pred", predicted.image(name))):
            np.testing.assert_array_equal(found, np.broadcast_to(images[kind, name], (6, 8, 3)))
