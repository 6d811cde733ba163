import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from ensir.config.reading import VARIABLE, load, parse, read
from ensir.config.reference import json_schema, write
from ensir.errors import InputError

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


def sections() -> list[tuple[str, dict]]:
    """Return every example of the pages that is a configuration, or named sections of one."""
    found = []
    for page in (FOLDER.parent / "README.md", *sorted((FOLDER.parent / "docs").glob("*.md"))):
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            whole = re.sub(r"[0-9a-f]{4}…", "5f6b" * 16, text)  # digests are shortened
            found.append((page.name, yaml.safe_load(whole)))
    return found


@pytest.mark.parametrize(("page", "example"), sections())
def test_examples_of_the_pages(page, example):
    """Each key that they show is one that is allowed, with a value that is allowed; what they leave out is missing."""
    places = [example, {"models": example}, {"experiments": example}, {"experiments": {"one": example}}]
    assert any(not wrong(place) for place in places), (page, [wrong(place) for place in places])


def wrong(raw: dict) -> list[str]:
    others = {name: {"kind": "folder", "path": "{dataset}/*.png"} for name in ("one", "two")}
    try:
        parse({**raw, "models": others | raw.get("models", {})}, "example")
    except InputError as error:
        return [line for line in str(error).splitlines() if "unknown key" in line or "is wrong" in line]
    return []


def test_generated_files_are_in_step(tmp_path):
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    write(tmp_path)
    for name in ("README.md", "schema.json"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), "run `make config-docs`"
