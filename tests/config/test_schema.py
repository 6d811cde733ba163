from contextlib import suppress
from typing import get_args

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ensir.config.reading import load, parse
from ensir.config.reference import json_schema
from ensir.datasets import photos
from ensir.errors import InputError
from ensir.methods import average, ensir, refesr
from ensir.planning import check
from ensir.planning.plan import Plan
from ensir.restorers import classical
from ensir.storage.layout import Layout

VALID = """
datasets:
  train: {kind: folder, target: "train/gt/*.png", input: "train/lq/*.png"}
  test: {kind: photos, images: [chelsea], degradation: {kind: noise, sigma: 25}}
  bare: {kind: folder, target: "bare/gt/*.png"}
  blurred: {kind: photos, images: [china], degradation: {kind: blur}}
  spare: {kind: photos, images: [china], degradation: {kind: blur}}
models:
  IMDN: {kind: folder, path: "{dataset}/IMDN/*.png"}
  CRAFT: {kind: folder, path: "{dataset}/CRAFT/*.png"}
  tv: {kind: classical, algorithm: tv_chambolle}
  wavelet: {kind: classical, algorithm: wavelet}
  mine: {kind: function, function: "mine.models:restore"}
  lanczos: {kind: classical, algorithm: lanczos}
  spare: {kind: folder, path: "spare/*.png"}
experiments:
  denoise:
    models: [IMDN, tv, wavelet, mine]
    reference: train
    tests: [test]
    methods:
      average:
      zzpm: {literal: true}
      ensir: {bin_width: 32}
      ensir_b24: {kind: ensir, bin_width: 24}
  folders:
    models: [IMDN, CRAFT]
    reference: train
    tests: [bare]
    score: {space: y}
    methods: {ensir: {}, spare: {kind: average}}
compute: {shards: 2}
"""
GONE = object()
IS_NAME = "allowed: name (up to 100 letters and digits, then also - and _)"
ARE_NAMES = "allowed: list of names (up to 100 letters and digits, then also - and _)"
PHOTOS = ", ".join(get_args(photos.Photo))
ALGORITHMS = ", ".join(classical.ALGORITHMS)

# The dotted key, the value written there (GONE: the key is removed), and what is said of that key.
WRONG = [
    # unknown keys, at every depth
    (
        "modles",
        {},
        "unknown key; allowed: datasets, models, denoisers, experiments, compute, dask, report, results; did you mean 'models'?",
    ),
    (
        "datasets.train.inptu",
        "x",
        "unknown key; allowed: kind, target, input, target_suffix, input_suffix, exclude, scale, "
        "common_crop, grey, degradation, value_range, array, images_per_part, licence, citation; did you mean 'input'?",
    ),
    (
        "datasets.train.crop",
        "topleft",
        "unknown key; allowed: kind, target, input, target_suffix, input_suffix, exclude, scale, "
        "common_crop, grey, degradation, value_range, array, images_per_part, licence, citation; did you mean 'common_crop'?",
    ),
    ("datasets.test.degradation.sigmas", 5, "unknown key; allowed: kind, sigma, seed; did you mean 'sigma'?"),
    (
        "models.IMDN.paht",
        "x",
        "unknown key; allowed: kind, path, suffix, value_range, array, any_range, seconds; did you mean 'path'?",
    ),
    (
        "experiments.denoise.test",
        "x",
        "unknown key; allowed: models, reference, tests, score, methods, sweep, allow_overlap, png, fused, expected_error, figures; "
        "did you mean 'tests'?",
    ),
    (
        "experiments.folders.score.spaces",
        "y",
        "unknown key; allowed: space, crop, metrics, rounded; did you mean 'space'?",
    ),
    (
        "experiments.denoise.methods.ensir.binwidth",
        8,
        "unknown key; allowed: kind, arithmetic, precision, prior, max_steps, "
        "bin_width, channels; did you mean 'bin_width'?",
    ),
    ("compute.shard", 1, "unknown key; allowed: device, shards; did you mean 'shards'?"),
    # missing keys
    ("experiments", GONE, "is missing; allowed: named sections, at least 1"),
    ("datasets.test.degradation.sigma", GONE, "is missing; allowed: number, more than 0"),
    ("experiments.folders.reference", GONE, f"is missing; {IS_NAME}"),
    ("experiments.denoise.tests", GONE, f"is missing; {ARE_NAMES}, at least 1"),
    # kinds
    ("datasets.spare.kind", GONE, "is missing; allowed: folder, photos, store"),
    (
        "datasets.spare.kind",
        "photo",
        "'photo' is wrong; allowed: folder, photos, store; did you mean 'photos'?",
    ),
    (
        "datasets.blurred.degradation.kind",
        "nois",
        "'nois' is wrong; allowed: noise, blur, downscale, mask; did you mean 'noise'?",
    ),
    (
        "models.spare.kind",
        GONE,
        "is missing; allowed: checkpoint, classical, dae, daep, dmsp, exported, folder, function, ptgrm, store",
    ),
    (
        "models.spare.kind",
        3,
        "3 is wrong; allowed: checkpoint, classical, dae, daep, dmsp, exported, folder, function, ptgrm, store",
    ),
    (
        "experiments.folders.methods.spare.kind",
        GONE,
        "is missing, and 'spare' is no kind; allowed: adaboost, average, bagging, best, ensir, gbdt, hgbt, least_squares, local_filters, ptgrm, refesr, rforest, weighted, zzpm",
    ),
    (
        "experiments.folders.methods.spare.kind",
        "averag",
        "'averag' is wrong; allowed: adaboost, average, bagging, best, ensir, gbdt, hgbt, least_squares, local_filters, ptgrm, refesr, rforest, weighted, zzpm; did you mean 'average'?",
    ),
    # wrong types
    ("datasets.train.scale", "four", "'four' is wrong; allowed: whole number, at least 1, at most 64"),
    ("datasets.train.scale", 1.5, "1.5 is wrong; allowed: whole number, at least 1, at most 64"),
    ("datasets.train.scale", True, "true is wrong; allowed: whole number, at least 1, at most 64"),
    ("datasets.test.degradation.sigma", "much", "'much' is wrong; allowed: number, more than 0"),
    (
        "datasets.test.size",
        "big",
        "'big' is wrong; allowed: whole number, at least 16, at most 65536, or null",
    ),
    ("datasets.bare.input", 7, "7 is wrong; allowed: text, or null"),
    ("datasets.train.exclude", "x", "'x' is wrong; allowed: list of texts"),
    ("datasets.new", None, "null is wrong; allowed: section"),
    ("models.new", "folder", "'folder' is wrong; allowed: section"),
    ("models.CRAFT.path", ["a"], '["a"] is wrong; allowed: text'),
    ("experiments.denoise.models", "IMDN", f"'IMDN' is wrong; {ARE_NAMES}, at least 2"),
    ("experiments.denoise.png", "yes please", "'yes please' is wrong; allowed: true or false"),
    ("experiments.denoise.methods", ["ensir"], '["ensir"] is wrong; allowed: named sections, at least 1'),
    ("experiments.folders.methods.ensir.prior", ["half", 1], "'half' is wrong; allowed: number"),
    ("compute", [2], "[2] is wrong; allowed: section"),
    # values that are not allowed
    ("datasets.test.images", ["chelsey"], f"'chelsey' is wrong; allowed: {PHOTOS}; did you mean 'chelsea'?"),
    ("datasets.test.images", [], f"[] is wrong; allowed: list of {PHOTOS}, at least 1"),
    ("datasets.train.images_per_part", 0, "0 is wrong; allowed: whole number, at least 1, at most 1000000"),
    ("datasets.test.degradation.sigma", -1, "-1 is wrong; allowed: number, more than 0"),
    (
        "models.wavelet.algorithm",
        "tv_chambole",
        f"'tv_chambole' is wrong; allowed: {ALGORITHMS}; did you mean 'tv_chambolle'?",
    ),
    ("models.mine.function", "restore", "'restore' is wrong; allowed: package.module:name"),
    ("experiments.folders.models", ["IMDN"], f'["IMDN"] is wrong; {ARE_NAMES}, at least 2'),
    ("experiments.denoise.tests", [], f"[] is wrong; {ARE_NAMES}, at least 1"),
    ("experiments.folders.score.space", "ycbcr", "'ycbcr' is wrong; allowed: rgb, y"),
    (
        "experiments.folders.score.metrics",
        ["psnrr"],
        '["psnrr"] is wrong; allowed: list of ciede2000, gmsd, lpips, ms_ssim, psnr, psnr_y, ssim, ssim_y; or named sections, your own metrics among them, at least 1',
    ),
    (
        "experiments.denoise.methods.ensir.bin_width",
        0,
        "0 is wrong; allowed: whole number, at least 1, at most 256, or auto",
    ),
    (
        "experiments.denoise.methods.ensir.bin_width",
        257,
        "257 is wrong; allowed: whole number, at least 1, at most 256, or auto",
    ),
    (
        "experiments.denoise.methods.ensir_b24.arithmetic",
        "relased",
        "'relased' is wrong; allowed: released, paper; did you mean 'released'?",
    ),
    (
        "experiments.denoise.sweep.bin_widths",
        [1],
        "unknown key; allowed: bin_width, max_steps, ablation; did you mean 'bin_width'?",
    ),
    (
        "experiments.denoise.sweep.bin_width",
        [16, 300],
        "300 is wrong; allowed: whole number, at least 1, at most 256",
    ),
    (
        "experiments.denoise.sweep.max_steps",
        10,
        "10 is wrong; allowed: list of whole numbers, at least 1, at most 1000000",
    ),
    ("compute.device", "gpu", "'gpu' is wrong; allowed: auto, cpu, cuda"),
    # bad names
    (
        "datasets.my set",
        {"kind": "photos", "images": ["china"], "degradation": {"kind": "blur"}},
        f"'my set' is wrong; {IS_NAME}",
    ),
    ("models._x", {"kind": "folder", "path": "x"}, f"'_x' is wrong; {IS_NAME}"),
]
# The same, for errors that the JSON schema does not show.
UNSEEN = [
    ("models.tv.options.weigth", 1, "unknown key; allowed: weight, max_num_iter; did you mean 'weight'?"),
    ("models.lanczos.options.a", 2, "unknown key; allowed: none"),
    ("datasets.test.degradation.sigma", float("nan"), "NaN is wrong; allowed: number, more than 0"),
    (
        "datasets.train.degradation",
        {"kind": "mask", "missing": 0.5},
        "'mask' cannot be combined with `input`, where only noise and blur may describe how it was made; remove one of them",
    ),
    (
        "models.mine.options.weights",
        "${ENSIR_UNSET}/w.pth",
        "'${ENSIR_UNSET}/w.pth' needs the environment variable ENSIR_UNSET; set it",
    ),
]
# The same, for errors that depend on other keys, too.
CLASHES = [
    (
        "experiments.denoise.models",
        ["IMDM", "tv"],
        "'IMDM' is not in models; allowed: IMDN, CRAFT, tv, wavelet, mine, lanczos, spare; "
        "did you mean 'IMDN'?",
    ),
    ("experiments.folders.models", ["IMDN", "IMDN"], "'IMDN' is named twice; remove one"),
    (
        "experiments.denoise.tests",
        ["tset"],
        "'tset' is not in datasets; allowed: train, test, bare, blurred, spare; did you mean 'test'?",
    ),
    ("experiments.denoise.tests", ["test", "test"], "'test' is named twice; remove one"),
    (
        "experiments.denoise.reference",
        "trains",
        "'trains' is not in datasets; allowed: train, test, bare, blurred, spare; did you mean 'train'?",
    ),
    ("experiments.denoise.reference", "test", "'test' is one of the tests too; choose another dataset"),
    ("models.IMDN.path", "IMDN/*.png", "'IMDN/*.png' must contain {dataset}: bare, test, train use it"),
    ("experiments.denoise.methods.tv", {"kind": "average"}, "a model is called 'tv' too; rename one of them"),
    ("models.IMDN.value_range", [1, 0], "[1, 0] must be black and white, in this order"),
    ("models.IMDN.value_range", [0], "[0] must be black and white, in this order"),
    ("experiments.folders.methods.ensir.prior", [1], "[1] must hold 2 numbers, one per model"),
    ("experiments.folders.methods.ensir.prior", [1.5, -0.5], "[1.5, -0.5] must not be negative"),
    ("experiments.folders.methods.ensir.prior", [0.5, 0.6], "[0.5, 0.6] must sum to one"),
]
# The same, for methods that do not suit the experiment.
UNSUITED = [
    (
        "experiments.denoise.methods.refesr",
        None,
        "refesr is for super-resolution, but the scale of dataset 'train' is 1; remove refesr",
        "refesr is for super-resolution, but the scale of dataset 'test' is 1; remove refesr",
    ),
    (
        "experiments.folders.methods.spare",
        {"kind": "refesr"},
        "refesr is for super-resolution, but the scale of dataset 'train' is 1; remove refesr",
        "refesr uses degraded inputs, but dataset 'bare' has none; give its `input`",
    ),
    (
        "experiments.denoise.sweep.bin_width",
        [24],
        "24 makes a method 'ensir_b24', a name that is taken; rename that",
    ),
]
# The same, for errors that stand at other keys: the whole lines.
ELSEWHERE = [
    (
        "datasets.bare.target",
        GONE,
        "datasets.bare.target: is missing; give it, or, of a test set without targets, `input` alone",
    ),
    (
        "models.spare",
        {"kind": "exported", "path": "net.pth"},
        "models.spare.path: 'net.pth' is wrong; allowed: path that ends in .pt2 or .onnx",
    ),
    (
        "models.spare",
        {"kind": "checkpoint", "path": "net.pth", "tile": 64},
        "models.spare.tile: pieces of 64 pixels, which begin at multiples of 1, cannot share 64; enlarge `tile`, or lower `overlap`",
    ),
    (
        "models.spare",
        {"kind": "dae", "dae": "sigma24"},
        "models.spare.dae: 'sigma24' is not in denoisers; allowed: sigma11, sigma25; did you mean 'sigma25'?",
    ),
    (
        "models.spare",
        {"kind": "dmsp", "kernel_size": 8},
        "models.spare.kernel_size: 8 must be odd",
    ),
    (
        "models.mine",
        {"kind": "dmsp"},
        "datasets.train.degradation: is missing: model 'mine' has to know how the inputs were made; "
        "together with `input`, it describes that",
    ),
    (
        "denoisers.sigma11",
        {"photographs": "*.png", "sigma": 3},
        "denoisers.sigma11: is the name of weights that ship with the package; choose another",
    ),
    (
        "experiments.folders",
        {
            "models": ["IMDN", "CRAFT"],
            "reference": "train",
            "tests": ["bare"],
            "methods": {"average": None},
            "sweep": {"bin_width": [16]},
        },
        "experiments.folders.sweep.bin_width: varies `ensir` methods, and there is none; add one, or remove it",
    ),
    (
        "experiments.denoise.methods.ensr",
        {},
        "experiments.denoise.methods.ensr.kind: is missing, and 'ensr' is no kind; "
        "allowed: adaboost, average, bagging, best, ensir, gbdt, hgbt, least_squares, local_filters, ptgrm, refesr, rforest, weighted, zzpm; did you mean 'ensir'?",
    ),
    (
        "experiments.folders.methods.ensir",
        {"prior": [0.5, 0.5], "arithmetic": "paper"},
        "experiments.folders.methods.ensir.prior: "
        "arithmetic `paper` starts from uniform weights; remove `prior`",
    ),
    (
        "models",
        {5: {"kind": "folder", "path": "{dataset}/*"}, "IMDN": {"kind": "folder", "path": "{dataset}/*"}},
        "experiments.denoise.models: 'mine' is not in models; allowed: 5, IMDN",
        "experiments.denoise.models: 'tv' is not in models; allowed: 5, IMDN",
        "experiments.denoise.models: 'wavelet' is not in models; allowed: 5, IMDN",
        "experiments.folders.models: 'CRAFT' is not in models; allowed: 5, IMDN",
        f"models.5: 5 is wrong; {IS_NAME}",
    ),
    (
        "datasets.train.input",
        GONE,
        "datasets.train.input: is missing: model 'mine' restores inputs; give `input` or `degradation`",
        "datasets.train.input: is missing: model 'tv' restores inputs; give `input` or `degradation`",
        "datasets.train.input: is missing: model 'wavelet' restores inputs; give `input` or `degradation`",
    ),
    (
        "experiments.folders.score.metrics.own",
        {"higher_is_better": False},
        "experiments.folders.score.metrics.own.function: is missing; allowed: package.module:name",
    ),
]


def changed(*changes):
    """Return the valid configuration with some keys written or removed."""
    raw = yaml.safe_load(VALID)
    for key, value, *_ in changes:
        *path, last = key.split(".")
        section = raw
        for step in path:
            section = section.setdefault(step, {})
        if value is GONE:
            del section[last]
        else:
            section[last] = value
    return raw


def errors(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value).split("\n")


def counted(config, experiment):
    """Return the bin width of the statistics of an experiment; None where no method needs any."""
    _, settings = Plan(config, Layout()).statistics(experiment).get("bins", ("", {}))
    return settings.get("bin_width")


def test_valid():
    config = parse(yaml.safe_load(VALID), "my.yaml")
    denoise = config.experiments["denoise"]
    assert denoise.methods["average"] == average.Average()
    assert denoise.methods["ensir_b24"] == ensir.Ensir(bin_width=24)
    assert counted(config, "denoise") == 8
    assert [name for name, method in denoise.methods.items() if method.made == "lut"] == [
        "ensir",
        "ensir_b24",
    ]


@pytest.mark.parametrize("metrics", [["ssim", "psnr"], {"ssim": {}, "psnr": None}])
def test_built_in_metrics(metrics):
    score = (
        parse(changed(("experiments.folders.score.metrics", metrics)), "my.yaml").experiments["folders"].score
    )
    assert [(name, metric.kind) for name, metric in score.metrics.items()] == [
        ("ssim", "ssim"),
        ("psnr", "psnr"),
    ]


def test_sweep():
    raw = changed(("experiments.folders.sweep", {"bin_width": [16, 24], "max_steps": [10]}))
    config = parse(raw, "my.yaml")
    folders = config.experiments["folders"]
    assert list(folders.methods) == ["ensir", "spare", "ensir_b16", "ensir_b24", "ensir_s10"]
    assert folders.methods["ensir_b16"] == ensir.Ensir(bin_width=16)
    assert folders.methods["ensir_s10"] == ensir.Ensir(max_steps=10)
    assert counted(config, "folders") == 8


def test_sweep_of_several_methods():
    raw = changed(("experiments.denoise.sweep", {"max_steps": [10]}))
    methods = parse(raw, "my.yaml").experiments["denoise"].methods
    assert methods["ensir_b24_s10"] == ensir.Ensir(bin_width=24, max_steps=10)


def test_refesr_in_super_resolution():
    smaller = {"kind": "downscale", "scale": 2}
    raw = changed(
        ("datasets.blurred.degradation", smaller),
        ("datasets.train.scale", 4),
        ("experiments.denoise.models", ["IMDN", "mine"]),
        ("experiments.denoise.tests", ["blurred"]),
        ("experiments.denoise.methods.refesr", None),
    )
    assert parse(raw, "my.yaml").experiments["denoise"].methods["refesr"] == refesr.Refesr()


def test_no_bins():
    raw = changed(("experiments.folders.methods", {"average": None}))
    assert counted(parse(raw, "my.yaml"), "folders") is None


# ── errors of content ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("key", "value", "message"), WRONG + UNSEEN + CLASHES)
def test_one_error(key, value, message):
    assert errors(parse, changed((key, value)), "my.yaml") == [f"my.yaml: {key}: {message}"]


WHERE = "path, s3:// or http(s):// URL without user and query"
SHA = "a1" * 32


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"path": "https://me:secret@host/{dataset}"}, "path", f"'https://me:secret@host/{{dataset}}' is wrong; allowed: {WHERE}"),
        ({"path": "https://host/{dataset}?key=1"}, "path", f"'https://host/{{dataset}}?key=1' is wrong; allowed: {WHERE}"),
        ({"path": "gs://bucket/{dataset}"}, "path", f"'gs://bucket/{{dataset}}' is wrong; allowed: {WHERE}"),
        ({"path": "s3://bucket/IMDN"}, "path", "'s3://bucket/IMDN' must contain {dataset}: bare, test, train use it"),
        ({"digests": {"test": "a1"}}, "digests.test", "'a1' is wrong; allowed: SHA-256 (64 digits of 0–9 and a–f)"),
        ({"copy": True}, "copy", "unknown key; allowed: kind, path, digests, fetch, seconds"),
    ],
)  # fmt: skip
def test_stores(changes, key, message):
    store = {"kind": "store", "path": "s3://bucket/{dataset}", "digests": {"test": SHA}, "fetch": True}
    assert parse(changed(("models.IMDN", store)), "my.yaml").models["IMDN"].digests == {"test": SHA}
    raw = changed(("models.IMDN", store | changes))
    assert errors(parse, raw, "my.yaml") == [f"my.yaml: models.IMDN.{key}: {message}"]


@pytest.mark.parametrize("change", UNSUITED, ids=lambda change: change[0])
def test_unsuited_method(change):
    key, _, *messages = change
    assert errors(parse, changed(change), "my.yaml") == sorted(
        f"my.yaml: {key}: {message}" for message in messages
    )


@pytest.mark.parametrize("change", ELSEWHERE, ids=lambda change: change[0])
def test_error_elsewhere(change):
    assert errors(parse, changed(change), "my.yaml") == [f"my.yaml: {line}" for line in change[2:]]


@given(st.lists(st.sampled_from(WRONG + UNSEEN), min_size=1, unique_by=lambda wrong: wrong[0]))
def test_every_error_is_told(wrongs):
    keys = [wrong[0] for wrong in wrongs]
    wrongs = [wrong for wrong in wrongs if not any(wrong[0].startswith(f"{key}.") for key in keys)]
    lines = errors(parse, changed(*wrongs), "my.yaml")
    assert lines == sorted(f"my.yaml: {key}: {message}" for key, _, message in wrongs)


KEYS = sorted({wrong[0] for wrong in WRONG + UNSEEN + CLASHES})
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 999)
    | st.floats()
    | st.sampled_from(["", "IMDN", "folder", "${"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "path", "tv", 5, None]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(KEYS), JUNK)
def test_junk_is_an_input_error(key, junk):
    with suppress(InputError):
        check.plan(changed((key, junk)), "my.yaml", [])


def test_too_many_bin_sets():
    models = [f"model{i}" for i in range(8)]
    raw = changed(
        *((f"models.{model}", {"kind": "folder", "path": "{dataset}/*"}) for model in models),
        ("experiments.folders.models", models),
        ("experiments.folders.methods.ensir.bin_width", 1),
    )
    assert errors(parse, raw, "my.yaml") == [
        "my.yaml: experiments.folders.methods.ensir.bin_width: 1 makes more than 2^61 bin sets of 8 models; "
        "widen it, or use fewer models"
    ]


def test_too_many_bin_sets_at_the_common_divisor():
    models = [f"model{i}" for i in range(8)]
    raw = changed(
        *((f"models.{model}", {"kind": "folder", "path": "{dataset}/*"}) for model in models),
        ("experiments.folders.models", models),
        ("experiments.folders.methods", {"ensir": {"bin_width": 32}, "least_squares": {"bin_width": 31}}),
    )
    assert errors(parse, raw, "my.yaml") == [
        "my.yaml: experiments.folders.methods: the bin widths 31, 32 are counted at their common divisor, 1, which makes "
        "more than 2^61 bin sets of 8 models; choose multiples of one another"
    ]


def test_long_values_are_shortened():
    (line,) = errors(parse, changed(("models.mine.function", "x" * 1000)), "my.yaml")
    assert len(line) < 200


def test_variables(monkeypatch):
    monkeypatch.setenv("ROOT", "/data")
    raw = changed(("models.CRAFT.path", "${ROOT}/{dataset}/*.png"))
    assert parse(raw, "my.yaml").models["CRAFT"].path == "/data/{dataset}/*.png"


# ── errors of the file ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give the sections datasets, models, denoisers, experiments, compute, dask, report"),
        (
            "# nothing",
            "is empty; give the sections datasets, models, denoisers, experiments, compute, dask, report",
        ),
        (
            "- datasets",
            "holds no keys; give the sections datasets, models, denoisers, experiments, compute, dask, report",
        ),
    ],
)
def test_no_sections(tmp_path, text, message):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    assert errors(load, path) == [f"{path}: {message}"]


def test_key_stands_twice(tmp_path):
    path = tmp_path / "my.yaml"
    twice = VALID.replace("  IMDN:", "  IMDN: {kind: folder, path: x}\n  IMDN:")
    path.write_text(twice + "compute: {shards: 0}\n")
    lines = [
        "compute.shards: 0 is wrong; allowed: whole number, at least 1, at most 10000",
        "compute: is named twice, in lines 33 and 34; rename or remove one",
        "models.IMDN: is named twice, in lines 9 and 10; rename or remove one",
    ]
    assert errors(load, path) == [f"{path}: {line}" for line in lines]


# ── the JSON schema ─────────────────────────────────────────────────────────────────────────────────────────


def test_json_schema_is_sound():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(yaml.safe_load(VALID), json_schema())


def test_json_schema_of_metrics():
    found, key = json_schema(), "experiments.folders.score"
    default = found["$defs"]["Experiment"]["properties"]["score"]["default"]
    function = {"function": "a.b:c", "higher_is_better": True}
    named = {"psnr": None, "ssim": {}, "own": function, "other": {"kind": "lpips"}}
    for score in (default, {"metrics": named}):
        jsonschema.validate(changed((key, score)), found)
        parse(changed((key, score)), "my.yaml")
    for metric in ({}, {"higher_is_better": True}, {**function, "kind": "lpips"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed((key, {"metrics": {"own": metric}})), found)


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize(("key", "value", "message"), WRONG)
def test_json_schema_finds_errors(validator, key, value, message):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(changed((key, value)))


def test_what_dmsp_is_not_made_for():
    raw = changed(
        ("experiments.denoise.models", ["IMDN", "mine"]),
        ("models.mine", {"kind": "dmsp"}),
        ("datasets.train.degradation", {"kind": "noise", "sigma": 5}),
    )
    assert parse(raw, "my.yaml").models["mine"].steps == 300
    raw["datasets"]["train"]["scale"] = 2
    raw["datasets"]["test"]["degradation"] = {"kind": "mask", "missing": 0.5}
    assert errors(parse, raw, "my.yaml") == [
        "my.yaml: models.mine.kind: 'dmsp' does not enlarge, but the scale of dataset 'train' is 2; use `kind: daep`",
        "my.yaml: models.mine.noise_blind: must be true: the noise of dataset 'test' is zero, which dmsp cannot use",
    ]
