"""What every section of a configuration is made of; a `Problem` is one mistake in it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

LONGEST = 80  # characters of a value that are shown

LONGEST_NAME = (
    100  # characters: files are called by up to two names, and what is added to them; 255 bytes are the limit
)
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        max_length=LONGEST_NAME,
        title=f"name (up to {LONGEST_NAME} letters and digits, then also - and _)",
    ),
]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$", title="package.module:name")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", title="SHA-256 (64 digits of 0–9 and a–f)")]


class Problem(NamedTuple):
    """One mistake in a configuration: the dotted key, and what is wrong there."""

    key: str
    message: str


class Section(BaseModel):
    """A section of the configuration: unknown keys and loosely typed values are errors; values cannot be changed.

    Code that computes does not belong in a `Section` class: digests of code leave these classes out, so that
    rewording a description reruns nothing. Their values reach a job as parameters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    untraced: ClassVar[frozenset[str]] = frozenset()
    """Fields that no result depends on: where files are (their content counts), and how the work is done."""

    traced_if_set: ClassVar[frozenset[str]] = frozenset()
    """Fields that results depend on only where they differ from their defaults, which leave results as they were."""

    @property
    def traced(self) -> dict[str, Any]:
        """What results depend on, as plain data: it is passed to jobs as a parameter, and recorded in stores."""
        fields = type(self).model_fields
        unset = {name for name in self.traced_if_set if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", exclude={*self.untraced, *unset})

    @property
    def functions(self) -> list[str]:
        """The user's functions that results depend on, as ``package.module:name``: their files count as code."""
        return []

    def try_out(self) -> None:
        """Try, before a run and in a fraction of a second, what needs none of the user's images: options, packages.

        Raises
        ------
        InputError
        """

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Find the mistakes that no single value reveals: undefined names, clashes, gaps.

        Works on plain data and skips values of the wrong type, so that a configuration with other mistakes is checked,
        too.
        """
        yield from ()


@dataclass(frozen=True)
class Context:
    """A section as written in a configuration: plain data, any of which may be wrong.

    Attributes
    ----------
    key : str
        Its dotted key.
    section : dict
        The section itself.
    config : dict
        The whole configuration.
    experiments : list of dict
        The experiments that use it.
    datasets : dict
        The datasets that it is used on, by name.
    models : dict
        The class of the section of every model of the configuration, by name; None where its kind is unknown.
    """

    key: str
    section: dict[str, Any]
    config: dict[str, Any]
    experiments: list[dict[str, Any]] = field(default_factory=list)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, type[Section] | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


def check_value_range(context: Context) -> Iterator[Problem]:
    """Check that a `value_range` is black, then white."""
    levels = context.section.get("value_range")
    if isinstance(levels, list) and all(type(level) in (int, float) for level in levels):
        black, *white = levels or [0]
        if len(white) != 1 or not black < white[0]:
            yield Problem(
                f"{context.key}.value_range", f"{shown(levels)} must be black and white, in this order"
            )


def shown(value: Any) -> str:
    """Return a value as it would be written in a configuration, shortened."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def unknown(what: str, word: Any, known: Iterable[Any]) -> str:
    """Complete a message about an unknown word: list the known ones, and suggest the closest or longer one."""
    known = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.7)
    close = close or [name for name in known if str(word) in name.split("_")]
    hint = f"; did you mean {close[0]!r}?" if len(close) == 1 else ""
    return f"{what}; allowed: {', '.join(known) or 'none'}{hint}"


def sections(section: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Return the named sections below a key; anything else counts as an empty section."""
    named = section.get(key)
    if not isinstance(named, dict):
        return {}
    return {name: value if isinstance(value, dict) else {} for name, value in named.items()}


def texts(section: dict[str, Any], key: str) -> list[str]:
    """Return the texts that a key holds: a single one, or a list of them."""
    value = section.get(key)
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def input_scale(dataset: dict[str, Any]) -> int:
    """Return the size of a target over that of its input, as a dataset's section says; 1 where that is wrong."""
    degradation = dataset.get("degradation")
    made = degradation.get("scale") if isinstance(degradation, dict) else None
    scale = made or dataset.get("scale", 1)
    return scale if type(scale) is int else 1


def check_keeps_size(context: Context, field: str, what: str) -> Iterator[Problem]:
    """Check that inputs have the size of their targets, for a model that does not enlarge."""
    for name, dataset in context.datasets.items():
        if (scale := input_scale(dataset)) > 1:
            yield Problem(
                f"{context.key}.{field}",
                f"{what!r} does not enlarge, but the scale of dataset {name!r} is {scale}; choose another model",
            )


def check_inputs(datasets: dict[str, dict[str, Any]], why: str) -> Iterator[Problem]:
    """Check that datasets whose targets are files have inputs, too, or make them."""
    for name, dataset in datasets.items():
        if dataset.get("target") and not (dataset.get("input") or dataset.get("degradation")):
            yield Problem(f"datasets.{name}.input", f"is missing: {why}; give `input` or `degradation`")
