"""Figures: what a paper shows, as files, each with its numbers.

Every module of this folder is a kind: its section, which declares of what it is drawn and what it reads, and
`draw(subject)`, which returns a `Drawing`. The fields of its section are options in the `figures` of an experiment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ensir.methods import CombiningMethod, Method
from ensir.section import Section

if TYPE_CHECKING:
    from ensir.methods import LooksAtInput

Reading = Literal["scores", "sample", "reference", "test", "statistics", "lut"]


class PaperFigure(Section):
    """What all figures have."""

    of: ClassVar[tuple[Literal["dataset", "method"], ...]] = ("dataset",)
    """Of what there is one: of every test set, of every method that suits, or of both together."""

    reads: ClassVar[tuple[Reading, ...]] = ()
    """Results that it is made of: the `scores` on the test set; the `sample`, the part with the pictured image and all
    that was made of it; all parts of the `reference` or the `test` set, with the predictions; `statistics` and `lut`."""

    told: ClassVar[tuple[Literal["models", "methods", "score"], ...]] = ()
    """Keys of the experiment that it depends on; of the methods, those that suit, or the one it is drawn of."""

    loads_methods: ClassVar[bool] = False
    """Whether it runs methods, whose code then counts."""

    caption: ClassVar[str] = ""
    """In reStructuredText, for Snakemake's report; `{dataset}` and `{method}` stand for their names."""

    whole_pictures: ClassVar[bool] = False
    """Its numbers are whole pictures, and in no report."""

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether it can be drawn of a method."""
        return True

    @classmethod
    def suits_experiment(cls, methods: list[CombiningMethod]) -> bool:
        """Whether it can be drawn of an experiment with these methods."""
        return any(map(cls.suits, methods))

    def captioned(self, dataset: str, method: str) -> str:
        """Return the caption of one."""
        return self.caption.format(dataset=dataset, method=method)

    def files(self, key: str) -> list[str]:
        """Return the files of the user's that its options name.

        Raises
        ------
        InputError
            One of them is not there.
        """
        return []


@dataclass(frozen=True)
class Subject:
    """What one figure is drawn of.

    Attributes
    ----------
    experiment : str
    dataset, method : str
        Of what it is drawn; empty where it is not of one.
    section : dict
        The keys of the experiment's section that the figure is told, as plain data.
    options : dict
        The figure's own section.
    results : dict
        What it reads, by the word that declares it: paths, or (part of the dataset, parts of the predictions).
    load : callable
        Returns a method that `section` tells of, ready to run, by name and the file of its LUT or fit.
    progress : callable
    """

    experiment: str
    dataset: str
    method: str
    section: dict[str, Any]
    options: dict[str, Any]
    results: dict[str, Any]
    load: Callable[[str, str | None], Method | LooksAtInput]
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)

    @property
    def settings(self) -> dict[str, Any]:
        """The section of the method that it is drawn of, as plain data."""
        settings: dict[str, Any] = self.section["methods"][self.method]
        return settings
