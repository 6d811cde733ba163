"""The schema in words: what a key may hold, as a JSON schema for editors and as tables for people.

``python -m ensir.config.reference`` writes `config/schema.json` and the tables of `config/README.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from ensir.config import schema
from ensir.images import degradations
from ensir.networks.sections import Denoiser, Prior, RefinerTraining

GENERATED = "<!-- From here on: made by `make config-docs` from the sections of src/ensir. -->\n"
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
BOUNDS = {"gt": "more than", "ge": "at least", "le": "at most", "min_length": "at least"}


# ── what a key may hold ─────────────────────────────────────────────────────────────────────────────────────


def allowed(field: FieldInfo) -> str:
    """Say what a field may hold: ``whole number, at least 1``."""
    bounds = [
        f"{word} {getattr(bound, name)}"
        for bound in field.metadata
        for name, word in BOUNDS.items()
        if hasattr(bound, name)
    ]
    wanted = without_null(field.annotation)
    null = "" if wanted is field.annotation else ", or null"
    return ", ".join([field.title or _type(wanted), *bounds]) + null


def _type(annotation: Any) -> str:
    arguments = get_args(annotation)
    if sections(annotation):
        return "section"
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, arguments))
    if get_origin(annotation) is dict:
        return "named sections" if sections(arguments[1]) else "section"
    if get_origin(annotation) is list:
        return f"list of {_plural(allowed(FieldInfo.from_annotation(arguments[0])))}"
    return WORDS[annotation]


def _plural(words: str) -> str:
    words = words.replace("name (", "names (").replace("whole number", "whole numbers")
    return {"text": "texts", "number": "numbers"}.get(words, words)


def sections(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that an annotation allows; empty where it allows anything else."""
    if get_origin(annotation) in (list, dict, Literal):
        return []
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [section for argument in get_args(annotation) for section in sections(argument)]


def keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a section: its own, then those that it shares with others."""
    own_first = sorted(section.model_fields, key=lambda name: name not in section.__annotations__)
    return {name: section.model_fields[name] for name in own_first}


def without_null(annotation: Any) -> Any:
    """Return an annotation without its null."""
    if get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
        (annotation,) = (argument for argument in get_args(annotation) if argument is not NoneType)
    return annotation


def kind(section: type[BaseModel]) -> str:
    """Return the `kind` that chooses a section."""
    return get_args(section.model_fields["kind"].annotation)[0]


# ── for editors ─────────────────────────────────────────────────────────────────────────────────────────────


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles that only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration.

    A method that is named after its kind needs neither `kind` nor options; any other method needs its `kind`. Metrics
    are a list of built-in names, or named sections, of which the built-in ones may be empty.
    """
    document = schema.Config.model_json_schema(schema_generator=_WithoutTitles)
    experiment = document["$defs"]["Experiment"]["properties"]
    for named in (
        *map(document["properties"].get, ("datasets", "models", "denoisers", "experiments")),
        experiment["methods"],
    ):
        ((pattern, value),) = named.pop("patternProperties").items()
        named |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    methods = experiment["methods"]["additionalProperties"]
    experiment["methods"]["properties"] = _empty_allowed(methods["discriminator"]["mapping"])
    methods["oneOf"] = [section | {"required": ["kind"]} for section in methods["oneOf"]]
    experiment["score"]["default"]["metrics"] = list(schema.DEFAULT_METRICS)
    score = document["$defs"]["Score"]["properties"]
    score["metrics"] = _metrics_schema(score["metrics"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def _empty_allowed(kinds: dict[str, str]) -> dict[str, Any]:
    """Return the properties of sections that are named after their kind, which may be empty."""
    return {name: {"anyOf": [{"$ref": section}, {"type": "null"}]} for name, section in kinds.items()}


def _metrics_schema(named: dict[str, Any]) -> dict[str, Any]:
    ((pattern, own),) = named.pop("patternProperties").items()
    kinds = own["discriminator"]["mapping"]
    own_or_named = [
        {"$ref": section} | ({} if name == "function" else {"required": ["kind"]})
        for name, section in kinds.items()
    ]
    listed = {
        "type": "array",
        "items": {"enum": schema.NAMED_METRICS},
        "minItems": named.pop("minProperties"),
    }
    sections = {
        "type": named.pop("type"),
        "propertyNames": {"pattern": pattern},
        "properties": {name: {"$ref": kinds[name]} for name in schema.METRICS}
        | _empty_allowed({name: kinds[name] for name in schema.NAMED_METRICS}),
        "additionalProperties": {"anyOf": own_or_named},
        "minProperties": 1,
    }
    return {**named, "default": list(schema.DEFAULT_METRICS), "anyOf": [listed, sections]}


# ── for people ──────────────────────────────────────────────────────────────────────────────────────────────


TABLES: dict[str, tuple[str, str, Any]] = {
    path.removesuffix(".NAME").rpartition(".")[2]: (title, path, choice)
    for title, path, choice in (
        ("Datasets", "datasets.NAME", schema.AnyDataset),
        ("Degradations", "datasets.NAME.degradation", degradations.Degradation),
        ("Models", "models.NAME", schema.AnyModel),
        ("Priors of refiners", "models.NAME.prior", Prior),
        ("Training of refiners", "models.NAME.training", RefinerTraining),
        ("Denoisers", "denoisers.NAME", Denoiser),
        ("Experiments", "experiments.NAME", schema.Experiment),
        ("Scores", "experiments.NAME.score", schema.Score),
        ("Metrics", "experiments.NAME.score.metrics.NAME", schema.AnyMetric),
        ("Methods", "experiments.NAME.methods.NAME", schema.AnyMethod),
        ("Sweep", "experiments.NAME.sweep", schema.Sweep),
        ("Figures", "experiments.NAME.figures", schema.Figures),
        ("Compute", "compute", schema.Compute),
        ("Dask", "dask", schema.Dask),
        ("Report", "report", schema.Report),
    )
}
"""What there are tables of, by key: title, path in a configuration, type of the section."""


def tables(names: Iterable[str] = TABLES) -> str:
    """Return the tables of some sections, or of all, as Markdown."""
    lines = []
    for title, path, choice in map(TABLES.__getitem__, names):
        lines += [f"## {title}: `{path}`", ""]
        for section in sections(choice):
            if "kind" in section.model_fields:
                lines += [f"### `kind: {kind(section)}`", ""]
            lines += [section.__doc__ or "", "", *_table(section), ""]
    return "\n".join(lines[:-1]) + "\n"


def _table(section: type[BaseModel]) -> list[str]:
    rows = [
        f"| `{name}` | {field.description} | {allowed(field)} | {_default(field)} |"
        for name, field in keys(section).items()
        if name != "kind"
    ]
    if not rows:
        return ["No further keys."]
    return ["| key | what | allowed | default |", "| --- | --- | --- | --- |", *rows]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "the defaults below"
    default = field.default
    if isinstance(default, dict) and any(isinstance(section, BaseModel) for section in default.values()):
        default = list(default)  # named sections that are built in
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def write(folder: Path) -> None:
    """Write `schema.json`, and the tables of `README.md` below its introduction."""
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    (folder / "schema.json").write_text(schema, encoding="utf-8")
    readme = folder / "README.md"
    introduction = readme.read_text(encoding="utf-8").partition(GENERATED)[0]
    readme.write_text(introduction + GENERATED + "\n" + tables(), encoding="utf-8")


if __name__ == "__main__":
    write(Path("config"))
