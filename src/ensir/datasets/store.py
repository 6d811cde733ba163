"""A dataset that others share: parts are copied from a sealed store; see the stage `adopt_dataset`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from ensir.datasets import Dataset
from ensir.errors import InputError
from ensir.images.degradations import Degradation
from ensir.section import Context, Digest, Problem
from ensir.storage.paths import LOCATION, LOCATION_TITLE, located
from ensir.storage.shared import NOT_OURS, is_url

LARGEST_KERNEL = 1001  # pixels on a side


class StoreDataset(Dataset):
    """Targets and inputs that others share: a sealed store at a path or URL, as `ensir publish` leaves it."""

    kind: Literal["store"]
    path: str = Field(
        pattern=LOCATION,
        title=LOCATION_TITLE,
        description="where it is; `{dataset}` stands for the dataset's name; S3 credentials come from the environment",
    )
    digest: Digest | None = Field(
        None,
        title="SHA-256 (64 digits of 0–9 and a–f)",
        description="what `ensir publish` printed: any other store is an error; only at a path, it may be missing",
    )

    named_by: ClassVar[str] = "path"
    untraced: ClassVar[frozenset[str]] = frozenset({"images_per_part", "path", "digest"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that a store at a URL is identified."""
        yield from super().check(context)
        path = context.section.get("path")
        if isinstance(path, str) and is_url(path) and context.section.get("digest") is None:
            yield Problem(
                f"{context.key}.digest",
                "is missing: what is at a URL must be known by its SHA-256; give the one that `ensir publish` printed",
            )

    @classmethod
    def indexed(cls) -> bool:
        """See `Dataset`."""
        return True

    def shared(self, key: str) -> dict[str, str | None]:
        """See `Dataset`; requests no URL."""
        location = located(f"{key}.path", self.path, key.rpartition(".")[2])
        return {"location": location, "digest": self.digest}


def check_degradation(location: str, degradation: dict[str, Any] | None) -> None:
    """Check that a publisher's account of how inputs were made is one that a configuration could give.

    Raises
    ------
    InputError
    """
    described = degradation if isinstance(degradation, dict) else {}
    kernel = np.array(described.get("values", [[1.0]]), object)
    is_kernel = kernel.ndim == 2 and max(kernel.shape) <= LARGEST_KERNEL
    known = {key: value for key, value in described.items() if key != "values"}
    try:
        if degradation is not None:
            TypeAdapter(Degradation).validate_python(known)
        if not is_kernel or not all(type(value) is float for value in kernel.flat):
            raise ValueError
    except ValueError as error:
        raise InputError(
            f"{location}: tells of a degradation that this version does not know; {NOT_OURS}"
        ) from error
