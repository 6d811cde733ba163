"""Patterns with named parts: what they match, what they call it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensir.errors import InputError
from ensir.images import listing
from ensir.images.patterns import Pattern
from ensir.planning import check


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read(pattern: str, path: str) -> dict[str, str] | None:
    return Pattern(pattern, "key").read(path, "")


# Targets, inputs, predictions and their patterns, as published or as the published code writes them; and two names.
LAYOUTS = {
    "GoPro": (
        "test/{scene}/sharp/{frame}.png", "test/{scene}/blur/{frame}.png", "results/{model}/{scene}-{frame}.png",
        ["GOPR0384_11_00/000001", "GOPR0868_11_02/000011"],
    ),
    "RealBlur": (
        "{scene}/gt/gt_{frame}.png", "{scene}/blur/blur_{frame}.png", "out/{model}/{scene}/blur/blur_{frame}.png",
        ["scene001/1", "scene230/21"],
    ),
    "HIDE": (
        "GT/{image}.png", "test/*/{image}.png", "results/{model}/{image}.png",
        ["1fromGOPR0950", "2fromGOPR1096.MP4"],
    ),
    "Rain100L": (
        "norain-{image}.png", "rain-{image}.png", "results/{model}/rain-{image}_out.png", ["001", "100"],
    ),
    "SIDD": (
        "Data/{scene}/{n}_GT_SRGB_{frame}.PNG", "Data/{scene}/{n}_NOISY_SRGB_{frame}.PNG",
        "out/{model}/{n}_{frame}@{scene}.png",
        ["0001_001_S6_00100_00060_3200_L/0001/010", "0200_010_GP_01600_03200_5500_N/0200/011"],
    ),
    "Set5": (
        "HR/{image}.png", "LRx4/{image}x4.png", "results/{model}/{dataset}/{image}_SR.png", ["baby", "bird"],
    ),
    "Set14": (
        "image_SRF_4/img_{image}_SRF_4_HR.png", "image_SRF_4/img_{image}_SRF_4_LR.png",
        "results/{model}/img_{image}.png", ["001", "014"],
    ),
    "BasicSR": (
        "{dataset}/GTmod12/{image}.png", "{dataset}/LRbicx4/{image}.png",
        "results/{model}/visualization/{dataset}/{image}_{model}.png", ["baby", "ppt_3"],
    ),
    "DIV2K": (
        "DIV2K_valid_HR/{image}.png", "DIV2K_valid_LR_bicubic/X4/{image}x4.png", "sr/{model}/{image}x4_{model}.png",
        ["0801", "0900"],
    ),
    "REDS": (
        "val_sharp/{scene}/{frame}.png", "val_blur/{scene}/{frame}.jpg", "out/{model}/{scene}_{frame}.png",
        ["000/00000000", "029/00000099"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts(tmp_path: Path, monkeypatch, layout: str):
    """As one dataset and two models of a configuration: every target finds its input and its predictions."""
    monkeypatch.chdir(tmp_path)
    target, degraded, prediction, names = LAYOUTS[layout]
    parts = Pattern(target.replace("{dataset}", layout), "key").parts
    models, datasets = ("MPRNet", "NAF_Net-w64"), (layout, "reference")
    for dataset in datasets:
        for name in names:
            values = dict(zip(parts, name.split("/"), strict=True)) | {"dataset": dataset}
            touch(tmp_path, *(
                f"{dataset}/{pattern.replace('*', 'long-shot').format(**values, model=model)}"
                for pattern in (target, degraded, prediction) for model in models
            ))  # fmt: skip
    raw = {
        "datasets": {
            name: {"kind": "folder", "target": f"{name}/{target}", "input": f"{name}/{degraded}"}
            for name in datasets
        },
        "models": {model: {"kind": "folder", "path": f"{{dataset}}/{prediction}"} for model in models},
        "experiments": {
            "one": {
                "models": list(models),
                "reference": "reference",
                "tests": [layout],
                "methods": {"average": {}},
            }
        },
    }
    plan = check.plan(raw, "my.yaml", [], str(tmp_path))
    assert list(plan.targets(layout)) == names
    for found in (plan.inputs(layout), *(plan.predictions(layout, model) for model in models)):
        assert list(found) == names
        assert all(
            value in path for name, path in found.items() for value in name.split("/")
        )  # each with its own file
        assert len(set(found.values())) == len(names)


@pytest.mark.parametrize(
    ("pattern", "path", "parts"),
    [
        ("{a}.png", "x.y.png", {"a": "x.y"}),
        ("{a}.*", "x.y.png", {"a": "x.y"}),
        ("{a}.png", "deep/x.png", None),
        ("{a}/{b}.png", "x/y.png", {"a": "x", "b": "y"}),
        ("{a}/*/{b}.png", "x/any/y.png", {"a": "x", "b": "y"}),
        ("{a}/**/{b}.png", "x/y.png", {"a": "x", "b": "y"}),
        ("{a}/**/{b}.png", "x/any/thing/y.png", {"a": "x", "b": "y"}),
        ("**/{b}.png", "x/any/y.png", {"b": "y"}),
        ("{a}/{a}_{b}.png", "x_1/x_1_y.png", {"a": "x_1", "b": "y"}),
        ("{a}/{a}_{b}.png", "x/z_y.png", None),
        ("{a,\\d+}-{b}.png", "12-y-3.png", {"a": "12", "b": "y-3"}),
        ("{a, [a-z]{2,3}}{b,\\d+}.png", "abc1.png", {"a": "abc", "b": "1"}),
        ("{a,\\d+}.png", "x1.png", None),
        ("[{]{a}?.png", "{x1.png", {"a": "x"}),
        ("{a}[!x].png", "ab.png", {"a": "a"}),
        ("${UNSET}/{a}.png", "${UNSET}/x.png", {"a": "x"}),
        ("{é1}.png", "x.png", "brace"),
        ("{}.png", "x.png", "brace"),
        ("{a b}/c.png", "x/c.png", "brace"),
        ("{a}.png}", "x.png}", "brace"),
        ("{a}", "x.png", "must end in an extension, such as .png, or .* for any"),
        ("{a}.{b}", "x.png", "must end in an extension"),
        ("{a}/", "x/", "must end in an extension"),
        ("{a,[}.png", "x.png", "'[' in '{a,[}.png' is no regular expression (unterminated"),
        ("{a}-{b}.png", "x-y-z.png", "'x-y-z.png' can be read in two ways, {a} = 'x', {b} = 'y-z' or {a} = 'x-y', {b} = 'z'; say in the pattern what a part is made of, such as {a,[^-]+} or {b,[^-]+}"),
        ("{a}{b}.png", "xyz.png", "can be read in two ways, {a} = 'x', {b} = 'yz' or {a} = 'xy', {b} = 'z'"),
        ("{a}*.png", "xy.png", "can be read in two ways"),
        ("*{b}.png", "xy.png", "can be read in two ways"),
        ("*{frame,\\d\\d}*.png", "scene01_02.png", "{frame} = '01' or {frame} = '02'; write out the text around the parts"),
        ("gt/*_{id,\\d+}_*.png", "gt/a_12_34_b.png", "can be read in two ways, {id} = '12' or {id} = '34'; write out"),
    ],
)  # fmt: skip
def test_reading(pattern: str, path: str, parts: object):
    if isinstance(parts, str):
        with pytest.raises(InputError) as error:
            read(pattern, path)
        assert parts in str(error.value)
        assert str(error.value).startswith("key: ")
    else:
        assert read(pattern, path) == parts


@given(
    st.lists(st.sampled_from(["{a}", "{b}", "{a,[xy]+}", "-", "/", "*", "?", "x"]), min_size=1, max_size=6),
    st.text("xy-/", min_size=1, max_size=8),
)
def test_what_is_read_makes_the_path(pieces: list[str], path: str):
    """No part is read that, put in its place, does not give the path; and the glob matches what is read."""
    pattern = "".join(pieces) + ".png"
    try:
        values = read(pattern, path + ".png")
    except InputError:  # in two ways
        return
    if values is not None and not {"*", "?"} & set(pieces):
        made = "".join(values[piece[1]] if piece[0] == "{" else piece for piece in pieces)
        assert made.replace("//", "/") + ".png" == path + ".png"


def test_two_files_with_the_same_parts(tmp_path: Path):
    touch(tmp_path, "x/one/1.png", "x/two/1.png")
    with pytest.raises(InputError) as error:
        listing.find(f"{tmp_path}/{{a}}/*/{{b}}.png", "key")
    assert str(error.value) == (
        f"key: {tmp_path}/x/one/1.png and {tmp_path}/x/two/1.png have the same name 'x/1'; remove one of them, or tell "
        "them apart by one more part"
    )


def test_parts_that_one_pattern_lacks(tmp_path: Path):
    touch(tmp_path, "gt/x/1.png", "out/x/1.png")
    targets = listing.find(f"{tmp_path}/gt/{{scene}}/{{frame}}.png", "key")
    with pytest.raises(InputError) as error:
        listing.match(targets, listing.find(f"{tmp_path}/out/*/{{frame}}.png", "key"), "models.m.path")
    assert str(error.value) == (
        "models.m.path: names images by {frame}, but what they are matched to is named by {scene}, {frame}; use the "
        "same parts in both, and * for what does not tell images apart"
    )


def test_names_of_globs_and_of_parts(tmp_path: Path):
    """A glob names images by folders, which may be what a pattern on the other side makes of its parts."""
    touch(tmp_path, "gt/x/1.png", "out/1 of x.png")
    by_folder, by_parts = f"{tmp_path}/gt/**/*.png", f"{tmp_path}/out/{{b}} of {{a}}.png"
    named = listing.find(f"{tmp_path}/gt/{{a}}/{{b}}.png", "key")
    for targets in (listing.find(by_folder, "key"), named):
        assert list(targets) == ["x/1"]
    assert listing.match(named, listing.find(by_folder, "key"), "key") == named
    assert listing.match(named, listing.find(by_parts, "key"), "key") == {"x/1": f"{tmp_path}/out/1 of x.png"}
    with pytest.raises(InputError, match=r"no file for 'x/1'.* it holds '1/x' instead"):
        listing.match(listing.find(by_folder, "key"), listing.find(by_parts, "key"), "key")


def test_exclude_takes_names(tmp_path: Path):
    touch(tmp_path, "x/1.png", "x/2.png", "y/1.png")
    pattern = f"{tmp_path}/{{scene}}/{{frame}}.png"
    assert list(listing.find(pattern, "key", exclude=["x/*"])) == ["y/1"]


def test_no_suffix_beside_parts(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"has named parts, where no suffix .*; write '_x4' into the pattern"
    ):
        listing.find(f"{tmp_path}/{{image}}.png", "key", "_x4")


def test_what_does_not_fit_is_told(tmp_path: Path, caplog):
    touch(tmp_path, "x/x_1.png", "y/z_1.png", "x/x_2.jpg")
    pattern = f"{tmp_path}/{{a}}/{{a}}_{{b}}.png"
    assert list(listing.find(pattern, "key")) == ["x/1"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        f"key: {pattern!r} passes over 2 images beside those it finds, the first {tmp_path}/x/x_2"
    )
    with pytest.raises(
        InputError, match=r"images of other names or kinds are there \(1, the first .*z_1.png"
    ):
        listing.find(f"{tmp_path}/y/{{a}}_{{a}}.png", "key")
    with pytest.raises(InputError, match=r"no image matches '.*/\{a\}/no_\{b\}.png'.*; fix the path"):
        listing.find(f"{tmp_path}/{{a}}/no_{{b}}.png", "key")


def test_slashes_and_home(tmp_path: Path, monkeypatch):
    touch(tmp_path, "gt/x/1.png", "gt/[y]/2.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "gt")
    for pattern in (
        "~/gt//{a}/{b}.png",
        f"{tmp_path}//gt/{{a}}//{{b}}.png",
        "{a}/{b}.png",
        "../gt/./{a}/{b}.png",
    ):
        assert list(listing.find(pattern, "key")) == ["[y]/2", "x/1"]
