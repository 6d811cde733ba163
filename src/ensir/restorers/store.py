"""Predictions that others share: parts refer to a sealed store, or are copied from it; see the stage `adopt`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from ensir.restorers import RestorerModel, check_placeholder
from ensir.section import Context, Digest, Name, Problem
from ensir.storage.paths import LOCATION, LOCATION_TITLE, located


class StoreModel(RestorerModel):
    """Predictions that others share: a sealed store at a path or URL, as `ensir publish` leaves it."""

    kind: Literal["store"]
    path: str = Field(
        pattern=LOCATION,
        title=LOCATION_TITLE,
        description="where it is; `{dataset}` stands for the dataset's name; S3 credentials come from the environment",
    )
    digests: dict[Name, Digest] = Field(
        {},
        title="SHA-256 by dataset",
        description="what `ensir publish` printed, by dataset: any other store is an error",
    )
    fetch: bool = Field(False, description="copy the predictions, instead of reading them where they are")

    restores_inputs: ClassVar[bool] = False
    adopted: ClassVar[bool] = True
    untraced: ClassVar[frozenset[str]] = frozenset({"path", "digests"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the path."""
        yield from super().check(context)
        yield from check_placeholder(context)

    def shared(self, key: str, dataset: str) -> dict[str, str | None]:
        """Return where the shared store is, and its digest; requests no URL."""
        location = located(f"{key}.path", self.path, dataset)
        return {"location": location, "digest": self.digests.get(dataset)}
