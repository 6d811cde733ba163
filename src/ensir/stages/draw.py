"""Draw: what a figure reads → its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ensir import registry
from ensir.drawing import style
from ensir.figures import Subject
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def draw(places: list[Place], figure: str, subject: dict[str, Any], progress: Progress) -> None:
    """Draw one figure.

    Parameters
    ----------
    places : list of Place
        Where the files go: SVG, PDF and PNG, and CSV for the numbers.
    figure : str
        Its kind.
    subject : dict
        What it is drawn from, as plain data; see `ensir.figures.Subject`.
    progress : callable
    """

    def load(method: str, made: str | None) -> Any:
        settings = subject["section"]["methods"][method]
        return registry.module("methods", settings["kind"]).Method(settings, made)

    drawing = registry.module("figures", figure).draw(Subject(**subject, load=load, progress=progress))
    style.write(drawing, places)
