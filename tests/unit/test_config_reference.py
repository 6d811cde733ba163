import re
from pathlib import Path

import jsonschema
import pytest

from ensir.config_reading import VARIABLE, load, read
from ensir.config_reference import json_schema, write

FOLDER = Path(__file__).parents[2] / "config"
FILES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("papers/*.yaml")])
README = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_files(path, monkeypatch):
    for variable in VARIABLE.findall(path.read_text(encoding="utf-8")):
        monkeypatch.setenv(variable, "data")
    load(path)
    jsonschema.validate(read(path), json_schema())


def test_example_of_the_readme(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    load(path)
    jsonschema.validate(read(path), json_schema())


def test_generated_files_are_in_step(tmp_path):
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    write(tmp_path)
    for name in ("README.md", "schema.json"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), "run `make config-docs`"
