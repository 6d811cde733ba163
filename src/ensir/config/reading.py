"""Read and check a configuration; all errors of a file are reported at once, one per line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ensir.config.checks import cross_check
from ensir.config.reference import allowed, keys, kind, sections, without_null
from ensir.config.schema import Config
from ensir.errors import InputError
from ensir.section import Name, Problem, shown, unknown

MOST_VALUES = 100_000  # in a file, with its aliases expanded
VARIABLE = re.compile(r"\$\{(\w+)\}")


def load(path: str) -> Config:
    """Read and check a configuration file; see `parse`."""
    return parse(read(path), path, [path])


def read(path: str) -> dict[str, Any]:
    """Read a YAML file as plain data.

    Raises
    ------
    InputError
        No such file, not YAML, or without keys.
    """
    node = _compose(path)
    with _clear_errors(path):
        raw = yaml.SafeLoader("").construct_document(node) if node else None
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else "holds no keys"
        raise InputError(f"{path}: {what}; give the sections {', '.join(Config.model_fields)}")
    return raw


def parse(raw: dict[str, Any], source: str, files: Sequence[str] = ()) -> Config:
    """Check a configuration.

    Parameters
    ----------
    raw : dict
        Plain data, as from `read`; ``${VAR}`` in its texts stands for an environment variable.
    source : str
        Where it comes from, for the error message.
    files : list of str
        YAML files that it was read from: duplicate keys, which plain data cannot show, are errors, too.

    Raises
    ------
    InputError
        All errors, one per line: source, dotted key, value, what is allowed.
    """
    problems = [problem for file in files for problem in _twice(_compose(file), "")]
    problems += _unset_variables(raw, "")
    raw = _expand(raw)
    problems += cross_check(raw)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += [_explain(details) for details in error.errors(include_url=False)]
    if problems:
        raise InputError("\n".join(sorted({f"{source}: {key}: {message}" for key, message in problems})))
    return config


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────


def _compose(path: str) -> yaml.Node | None:
    """Return the tree of a YAML file; None where it is empty."""
    with _clear_errors(path), open(path, encoding="utf-8") as file:
        node = yaml.compose(file, yaml.SafeLoader)
        if node and _values(node, {}) > MOST_VALUES:
            raise InputError(
                f"{path}: its aliases expand to more than {MOST_VALUES} values; write out what is meant"
            )
    return node


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values of a tree with its aliases expanded; infinitely many where one contains itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            inner = [value for pair in node.value for value in pair]
        known[id(node)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(node)]


@contextmanager
def _clear_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}{error.problem}") from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply; it is no configuration") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that does not exist
        raise InputError(f"{path}: is no text file: {' '.join(str(error).split())}") from None


def _twice(node: yaml.Node | None, key: str) -> Iterator[Problem]:
    """Find keys that occur twice in a mapping."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, key)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            here = f"{key}.{name.value}".lstrip(".")
            line = name.start_mark.line + 1
            if name.value in lines:
                yield Problem(
                    here, f"is named twice, in lines {lines[name.value]} and {line}; rename or remove one"
                )
            lines[name.value] = line
            yield from _twice(value, here)


def _unset_variables(value: Any, key: str) -> Iterator[Problem]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unset_variables(inner, f"{key}.{name}".lstrip("."))
    if isinstance(value, list):
        for item in value:
            yield from _unset_variables(item, key)
    if isinstance(value, str):
        for name in VARIABLE.findall(value):
            if name not in os.environ:
                yield Problem(key, f"{shown(value)} needs the environment variable {name}; set it")


def _expand(value: Any) -> Any:
    """Replace ``${VAR}`` in all texts; variables that are not set are left as they are."""
    if isinstance(value, dict):
        return {name: _expand(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)
    return value


# ── what the schema rejects ─────────────────────────────────────────────────────────────────────────────────


def _explain(error: ErrorDetails) -> Problem:
    """Explain one of pydantic's errors in the words of the configuration."""
    key, section, field = _locate(error["loc"])
    value, name = error["input"], key.rpartition(".")[2]
    match error["type"]:
        case "extra_forbidden" | "invalid_key":
            return Problem(key, unknown("unknown key", name, keys(section)))
        case "missing":
            return Problem(key, f"is missing; allowed: {allowed(field)}")
        case "union_tag_not_found":
            return Problem(f"{key}.kind", f"is missing; allowed: {', '.join(_kinds(field))}")
        case "union_tag_invalid" if value["kind"] == name:
            return Problem(
                f"{key}.kind", unknown(f"is missing, and {name!r} is no kind", name, _kinds(field))
            )
        case "union_tag_invalid":
            return Problem(
                f"{key}.kind", unknown(f"{shown(value['kind'])} is wrong", value["kind"], _kinds(field))
            )
        case "literal_error" if get_origin(without_null(field.annotation)) is Literal:
            return Problem(
                key, unknown(f"{shown(value)} is wrong", value, get_args(without_null(field.annotation)))
            )
    return Problem(key, f"{shown(value)} is wrong; allowed: {allowed(field)}")


def _kinds(field: FieldInfo) -> list[str]:
    return [kind(section) for section in sections(field.annotation)]


def _locate(location: Sequence[str | int]) -> tuple[str, type[BaseModel], FieldInfo]:
    """Follow one of pydantic's locations through the schema.

    Returns
    -------
    key : str
        The dotted key as written in the file; items of a list have the key of the list.
    section : class
        The innermost section on the way.
    field : FieldInfo
        What the schema expects there.
    """
    path: list[str] = []
    section: type[BaseModel] = Config
    field = FieldInfo.from_annotation(Config)
    for step in location:
        choices = sections(field.annotation)
        if step == "[key]":  # not the value, but its name
            field = FieldInfo.from_annotation(Name)
        elif len(choices) > 1:  # not a key, but the kind that was chosen
            field = FieldInfo.from_annotation(next(choice for choice in choices if kind(choice) == step))
        elif choices:
            section = choices[0]
            path.append(str(step))
            field = section.model_fields.get(str(step), field)
        else:
            container = without_null(field.annotation)
            if get_origin(container) not in (list, dict):
                break  # not a key, but one of the types that the value may have
            if get_origin(container) is dict:
                path.append(str(step))
            field = FieldInfo.from_annotation(get_args(container)[-1])
    return ".".join(path), section, field
