"""Renew sources: records of files that have a new date, but the same content → the same records with the new dates."""

from __future__ import annotations

import json
from collections.abc import Callable

from ensir.storage import sources
from ensir.storage.atomic import written
from ensir.storage.layout import Place


def renew_sources(place: Place, records: list[str], progress: Callable[[int, int], None]) -> None:
    """Compare content, and renew the records of files that have not changed.

    Parameters
    ----------
    place : Place
        Where the list of the records goes.
    records : list of str
    progress : callable
    """
    for done, record in enumerate(records, 1):
        sources.renew(record)
        progress(done, len(records))
    with written(place) as partial:
        partial.write_text(json.dumps(records))
