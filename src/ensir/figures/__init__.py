"""Figures: what a paper shows, as files, each with its numbers.

Every module of this folder is a kind: its section, which declares what there is a figure for and what it reads, and
`draw(subject)`, which returns a `Drawing`. The fields of its section are options in the `figures` of an experiment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ensir.methods import CombiningMethod, Method
from ensir.section import Section

if TYPE_CHECKING:
    from ensir.methods import UsesInput
    from ensir.storage.progress import Progress

Reading = Literal["scores", "sample", "reference", "test", "statistics", "lut", "selection"]


class PaperFigure(Section):
    """What all figures have."""

    of: ClassVar[tuple[Literal["dataset", "method"], ...]] = ("dataset",)
    """What there is a figure for: every test set, every suitable method, or every pair of them."""

    reads: ClassVar[tuple[Reading, ...]] = ()
    """Results that it is made from: the `scores` on the test set; the `sample`, the part with the pictured image and
    all results of it; all parts of the `reference` or the `test` set, with the predictions; the
    `statistics`, the `lut` and the `selection` of the method."""

    depends_on: ClassVar[tuple[Literal["models", "methods", "score"], ...]] = ()
    """Keys of the experiment that it depends on; `methods` are the suitable ones, or the one that it is drawn for."""

    loads_methods: ClassVar[bool] = False
    """Whether it runs methods, on whose code it then depends."""

    caption: ClassVar[str] = ""
    """In reStructuredText, for Snakemake's report; `{dataset}` and `{method}` stand for their names."""

    needs_targets: ClassVar[bool] = True
    """Whether there is none for test sets without targets."""

    whole_pictures: ClassVar[bool] = False
    """Whether its numbers are whole pictures, which are in no report."""

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether it can be drawn for a method."""
        return True

    @classmethod
    def suits_experiment(cls, methods: list[CombiningMethod]) -> bool:
        """Whether it can be drawn for an experiment with these methods."""
        return any(map(cls.suits, methods))

    def captioned(self, dataset: str, method: str) -> str:
        """Return the caption of one figure."""
        return self.caption.format(dataset=dataset, method=method)

    def files(self, key: str) -> list[str]:
        """Return the user's files that its options name.

        Raises
        ------
        InputError
            One of them is missing.
        """
        return []


@dataclass(frozen=True)
class Subject:
    """What one figure is drawn from.

    Attributes
    ----------
    experiment : str
    dataset, method : str
        What it is drawn for; empty where that is not one of each.
    section : dict
        The keys of the experiment's section that the figure depends on, as plain data.
    options : dict
        The figure's own section.
    results : dict
        What it reads, by the word that declares it: paths, or (part of the dataset, parts of the predictions).
    load : callable
        Returns a method of `section`, ready to run, given its name and the file of its LUT or fit.
    progress : callable
    """

    experiment: str
    dataset: str
    method: str
    section: dict[str, Any]
    options: dict[str, Any]
    results: dict[str, Any]
    load: Callable[[str, str | None], Method | UsesInput]
    progress: Progress = field(default=lambda done, total: None)

    @property
    def settings(self) -> dict[str, Any]:
        """The section of the method that it is drawn for, as plain data."""
        settings: dict[str, Any] = self.section["methods"][self.method]
        return settings
