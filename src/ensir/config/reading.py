"""Read and check a configuration; all errors of a file are reported at once, one per line."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ensir.config import yaml_file
from ensir.config.checks import cross_check
from ensir.config.nesting import misplaced
from ensir.config.reference import allowed, keys, kind, sections, without_null
from ensir.config.schema import Config
from ensir.config.valid_parts import valid_parts
from ensir.errors import InputError
from ensir.restorers._self_ensemble import as_models
from ensir.section import Name, Problem, shown, unknown

VARIABLE = re.compile(r"\$\{(\w+)\}")
HOME = re.compile(r"~[\w.-]*/")
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # without a point, text in YAML 1.1
Steps = tuple[str, ...]  # the keys, and the numbers of items in lists, that lead to a value


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
    _, raw = yaml_file.read(path)
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else "holds no keys"
        names = [name for name, field in Config.model_fields.items() if field.annotation is not str]
        raise InputError(f"{path}: {what}; give the sections {', '.join(names)}")
    return raw


def expanded(path: str) -> dict[str, Any]:
    """Return a sound configuration as plain data, with values for variables and the models of self-ensembles."""
    return as_models(_expand(read(path)))[0]


def parse(raw: dict[str, Any], source: str, files: Sequence[str] = ()) -> Config:
    """Check a configuration.

    Parameters
    ----------
    raw : dict
        Plain data, as from `read`; ``${VAR}`` in its texts stands for an environment variable, ``~/`` at the beginning
        of one for the home folder.
    source : str
        Where it comes from, for the error message.
    files : list of str
        YAML files that it was read from: duplicate keys and texts that YAML reads as something else, which plain data
        cannot show, are errors, too.

    Raises
    ------
    InputError
        All errors, one per line: source, dotted key, value, what is allowed.
    """
    config, problems = examine(raw, files)
    if problems:
        raise InputError(as_message(source, (f"{key}: {message}" for key, message in problems)))
    return config


def as_message(source: str, lines: Iterable[str]) -> str:
    """Return the mistakes of a configuration as one message, a line each, sorted."""
    return "\n".join(sorted({f"{source}: {line}" for line in lines}))


def examine(raw: dict[str, Any], files: Sequence[str] = ()) -> tuple[Config, list[Problem]]:
    """Find the mistakes in a configuration; see `parse`.

    Returns
    -------
    config : Config
        The valid parts, where there are mistakes: they can be compared with the files that they name.
    problems : list of Problem
    """
    nodes = [node for file in files if (node := yaml_file.read(file)[0])]
    problems = [problem for node in nodes for problem in _twice(node, "")]
    unquoted = _Unquoted()
    for node in nodes:
        unquoted.note(node, ())
    problems += unquoted.problems()
    raw = unquoted.with_keys_as_written(raw, ())
    problems += _unset_variables(raw, "")
    raw = _expand(raw)
    if wrong := [*misplaced(raw)]:
        return valid_parts({}, wrong), problems + wrong
    raw, made_of = as_models(raw)
    config, errors = _validate(raw)
    if _put_numbers(raw, errors):
        config, errors = _validate(raw)
    problems += [_explain(details, unquoted.values) for details in errors]
    _put_texts(raw, errors, unquoted.values)
    problems += cross_check(raw)
    if problems or config is None:
        config = valid_parts(raw, problems)
    return config, [Problem(_as_written(key, made_of), message) for key, message in problems]


def _as_written(key: str, made_of: dict[str, str]) -> str:
    """Return the key in the file of a value of a model that was made of another one."""
    section, _, rest = key.partition(".")
    name, dot, option = rest.partition(".")
    return f"models.{made_of[name]}{dot}{option}" if section == "models" and name in made_of else key


def _validate(raw: dict[str, Any]) -> tuple[Config | None, list[ErrorDetails]]:
    try:
        return Config.model_validate(raw), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────


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


class _Unquoted:
    """What is written without quotes in a file and is not text in YAML: ``no``, ``007``, a date.

    Attributes
    ----------
    values : dict
        As written, by their steps.
    keys : dict
        For each section, by its steps: how YAML reads each such key, and the key as written.
    """

    def __init__(self) -> None:
        self.values: dict[Steps, str] = {}
        self.keys: dict[Steps, dict[Any, str]] = {}

    def note(self, node: yaml.Node, steps: Steps) -> None:
        """Record what a tree holds."""
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self.note(item, (*steps, str(number)))
        elif isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.tag.endswith(":merge"):
                    for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        self.note(merged, steps)
                elif isinstance(name, yaml.ScalarNode):
                    if _is_taken(name):
                        self.keys.setdefault(steps, {})[yaml.safe_load(name.value)] = name.value
                    self.note(value, (*steps, name.value))
        elif _is_taken(node):
            self.values[steps] = node.value

    def problems(self) -> Iterator[Problem]:
        """Yield the keys, which must all be text."""
        for steps, keys_here in self.keys.items():
            for written in keys_here.values():
                yield Problem(".".join((*steps, written)), _put_in_quotes(written))

    def with_keys_as_written(self, value: Any, steps: Steps) -> Any:
        """Return plain data with the keys as written."""
        if isinstance(value, list):
            return [self.with_keys_as_written(item, (*steps, str(n))) for n, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        here = self.keys.get(steps, {})
        names = {name: name if isinstance(name, str) else here.get(name, name) for name in value}
        return {
            names[name]: self.with_keys_as_written(inner, (*steps, str(names[name])))
            for name, inner in value.items()
        }


def _is_taken(node: yaml.Node) -> bool:
    """Return whether YAML reads a text without quotes as something else."""
    if not isinstance(node, yaml.ScalarNode) or node.style is not None or not node.value:
        return False
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, node.value, (True, False))
    return tag == node.tag and tag.rpartition(":")[2] in ("bool", "int", "float", "null", "timestamp")


def _put_in_quotes(written: str) -> str:
    """Say how YAML reads a text without quotes, and how to write it."""
    match value := yaml.safe_load(written):
        case bool() | None:
            taken = shown(value)
        case datetime.date():
            taken = "a date"
        case _:
            taken = f"the number {value}"
    return f'without quotes, {written} is {taken} in YAML; put it in quotes: "{written}"'


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
        if HOME.match(value) and os.path.expanduser(value) == value:
            yield Problem(
                key, f"{shown(value)}: there is no user {value[1:].partition('/')[0]!r}; fix the path"
            )


def _expand(value: Any) -> Any:
    """Replace ``${VAR}`` in all texts, and ``~/`` at their beginning; variables that are not set stay as they are."""
    if isinstance(value, dict):
        return {name: _expand(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if isinstance(value, str):
        value = VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)
        return os.path.expanduser(value) if HOME.match(value) else value
    return value


def _put_numbers(raw: dict[str, Any], errors: list[ErrorDetails]) -> bool:
    """Replace texts such as ``1e-3`` with numbers where numbers are expected; return whether there are any."""
    replaced = False
    for error in errors:
        value, whole = error["input"], error["type"] == "int_type"
        if not whole and error["type"] != "float_type":
            continue
        if isinstance(value, str) and EXPONENT.fullmatch(value):
            value = float(value)
        if isinstance(value, float) and (value.is_integer() or not whole):
            _put(raw, _locate(error["loc"]).steps, int(value) if whole else value)
            replaced = True
    return replaced


def _put_texts(raw: dict[str, Any], errors: list[ErrorDetails], written: dict[Steps, str]) -> None:
    """Replace what lacks quotes with the intended text, so that it leads to no further mistakes."""
    for error in errors:
        steps = _locate(error["loc"]).steps
        if error["type"] == "string_type" and steps in written:
            _put(raw, steps, written[steps])


def _put(raw: Any, steps: Steps, value: Any) -> None:
    """Replace the value to which steps lead."""
    *above, last = steps
    for step in above:
        raw = raw[int(step) if isinstance(raw, list) else step]
    raw[int(last) if isinstance(raw, list) else last] = value


# ── what the schema rejects ─────────────────────────────────────────────────────────────────────────────────


def _explain(error: ErrorDetails, written: dict[Steps, str]) -> Problem:
    """Explain one of pydantic's errors in the words of the configuration."""
    key, steps, section, field = _locate(error["loc"])
    value, name = error["input"], key.rpartition(".")[2]
    match error["type"]:
        case "string_type" if steps in written:
            return Problem(key, _put_in_quotes(written[steps]))
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


class _Location(NamedTuple):
    """Where the schema rejects something.

    Attributes
    ----------
    key : str
        The dotted key as written in the file; items of a list have the key of the list.
    steps : tuple of str
        The same with the numbers of items.
    section : class
        The innermost section on the way.
    field : FieldInfo
        What the schema expects there.
    """

    key: str
    steps: Steps
    section: type[BaseModel]
    field: FieldInfo


def _locate(location: Sequence[str | int]) -> _Location:
    """Follow one of pydantic's locations through the schema."""
    path: list[str] = []
    steps: list[str] = []
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
            steps.append(str(step))
            field = section.model_fields.get(str(step), field)
        else:
            container = without_null(field.annotation)
            if get_origin(container) not in (list, dict):
                break  # not a key, but one of the types that the value may have
            if get_origin(container) is dict:
                path.append(str(step))
            steps.append(str(step))
            field = FieldInfo.from_annotation(get_args(container)[-1])
    return _Location(".".join(path), tuple(steps), section, field)
