"""Words that YAML takes for something else, numbers with exponents, the home folder; what is valid beside mistakes."""

import pytest

from ensir.config import reading
from ensir.config.reading import load
from ensir.errors import InputError

TEXT = """
datasets:
  ref: {{kind: folder, target: {target}}}
  {dataset}: {{kind: folder, target: "test/*.png", images_per_part: {per_part}}}
models:
  a: {{kind: folder, path: "{{dataset}}/a/*.png"}}
  {model}: {{kind: folder, path: "~/pred/{{dataset}}/*.png"}}
denoisers:
  own: {{photographs: "~/photos/*.png", sigma: {sigma}, learning_rate: {rate}}}
experiments:
  {experiment}:
    models: [a, {model}]
    reference: ref
    tests: [{dataset}]
    methods: {{{method}: {{kind: average}}, ensir: {{prior: [5e-1, 0.5], bin_width: 3.2e1}}}}
"""
FINE = {
    "target": '"ref/*.png"',
    "dataset": "test",
    "per_part": "16",
    "model": "b",
    "sigma": "25",
    "rate": "1e-3",
    "experiment": "one",
    "method": "mean",
}


@pytest.fixture
def write(tmp_path):
    def written(**changes):
        path = tmp_path / "my.yaml"
        path.write_text(TEXT.format(**{**FINE, **changes}))
        return str(path)

    return written


def lines(path):
    with pytest.raises(InputError) as caught:
        load(path)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).split("\n")]


def in_quotes(written, taken):
    return f'without quotes, {written} is {taken} in YAML; put it in quotes: "{written}"'


TAKEN = [
    ("no", "false"),
    ("off", "false"),
    ("on", "true"),
    ("yes", "true"),
    ("007", "the number 7"),
    ("42", "the number 42"),
    ("2026-11-26", "a date"),
]


@pytest.mark.parametrize(("written", "taken"), TAKEN)
def test_names_without_quotes(write, written, taken):
    message = in_quotes(written, taken)
    assert lines(write(dataset=written)) == sorted(
        [f"datasets.{written}: {message}", f"experiments.one.tests: {message}"]
    )
    assert lines(write(model=written)) == sorted(
        [f"models.{written}: {message}", f"experiments.one.models: {message}"]
    )
    assert lines(write(experiment=written)) == [f"experiments.{written}: {message}"]
    assert lines(write(method=written)) == [f"experiments.one.methods.{written}: {message}"]
    config = load(write(dataset=f'"{written}"', model=f'"{written}x"', method=f'"{written}"'))
    assert config.experiments["one"].tests == [written]


def test_a_path_without_quotes(write):
    assert lines(write(target="2024")) == [f"datasets.ref.target: {in_quotes('2024', 'the number 2024')}"]
    (line,) = lines(write(target="~"))
    assert line.startswith("datasets.ref.target: is missing; give it")  # null: none


@pytest.mark.parametrize(
    ("written", "number"), [("1e3", 1000.0), ("1e-3", 0.001), ("2.5E+1", 25.0), (".5e1", 5.0), ("1.0e-3", 0.001)]
)  # fmt: skip
def test_numbers_with_exponents(write, written, number):
    config = load(write(sigma=written, rate=written))
    assert config.denoisers["own"].sigma == number
    assert config.denoisers["own"].learning_rate == number


@pytest.mark.parametrize(("written", "number"), [("2e4", 20000), ("2.0e+4", 20000), ("16.0", 16)])
def test_whole_numbers_with_exponents(write, written, number):
    found = load(write(per_part=written)).datasets["test"].images_per_part
    assert (found, type(found)) == (number, int)


def test_numbers_in_lists(write):
    method = load(write()).experiments["one"].methods["ensir"]
    assert method.prior == [0.5, 0.5]
    assert method.bin_width == 32


def test_numbers_that_are_not(write):
    assert lines(write(per_part="1e-3")) == [
        "datasets.test.images_per_part: '1e-3' is wrong; allowed: whole number, at least 1, at most 1000000"
    ]
    assert lines(write(sigma="-1e3")) == [
        "denoisers.own.sigma: -1000.0 is wrong; allowed: number, more than 0"
    ]


def test_the_home_folder(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("ROOT", "~/root")
    config = load(write(target='"${ROOT}/*.png"'))
    assert config.models["b"].path == "/home/me/pred/{dataset}/*.png"
    assert config.denoisers["own"].photographs == "/home/me/photos/*.png"
    assert config.datasets["ref"].target == "/home/me/root/*.png"
    assert load(write(target='"a~/*.png"')).datasets["ref"].target == "a~/*.png"


def test_what_is_valid_beside_mistakes(write):
    path = write(sigma="much", method="own: {kind: averag}, mean", model="no")
    config, problems = reading.examine(reading.read(path), [path])
    assert len(problems) == 4
    experiment = config.experiments["one"]
    assert (experiment.models, experiment.reference, experiment.tests) == (["a"], "ref", ["test"])
    assert list(experiment.methods) == ["mean", "ensir"]
    assert list(config.denoisers) == []
