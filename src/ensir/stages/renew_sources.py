"""Renew sources: records of results whose files have other dates → records with these, or with what has changed."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING

from ensir.storage import sources
from ensir.storage.atomic import written
from ensir.storage.layout import Layout, Place
from ensir.storage.reading import known_sources

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

log = logging.getLogger(__name__)


def renew_sources(place: Place, layout: Layout, results: dict[str, list[str]], progress: Progress) -> None:
    """Compare the content of files with what results were made from, and renew the records.

    Parameters
    ----------
    place : Place
        Where the list of the results with changed files goes.
    layout : Layout
    results : dict
        By result, its files where they are not recorded.
    progress : callable
    """
    changed = []
    for done, (result, files) in enumerate(results.items(), 1):
        held = sources.read(layout.sources(result))
        known = partial(known_sources, result)
        if held is None and known() is None:
            log.warning("%s: what it was made from is not recorded; taken to be today's files", result)
        record = sources.compared(held, list(held.files) if held else files, known)
        sources.write(layout.sources(result), record)
        if record.found:
            changed.append(result)
            log.info("%s: %d files have changed, the first %s", result, len(record.found), min(record.found))
        progress(done, len(results))
    log.info("%d results compared with their files, %d to be made again", len(results), len(changed))
    with written(place) as partial_file:
        partial_file.write_text(json.dumps(changed))
