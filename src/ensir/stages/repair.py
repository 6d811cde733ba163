"""Repair: results that were missing or damaged, and are made again → the list of them."""

from __future__ import annotations

import json
import logging
import os

from ensir.storage import digests, known
from ensir.storage.atomic import written
from ensir.storage.layout import Layout, Place

log = logging.getLogger(__name__)


def repair(place: Place, layout: Layout, results: list[str]) -> None:
    """Write which results were made again, and warn of those that differ from what they were.

    What was made of these is made again as well, once all is planned anew.

    Parameters
    ----------
    place : Place
        Where the list goes.
    layout : Layout
    results : list of str
    """
    for result in results:
        store, part = os.path.split(result)
        before = known.sealed(store).get(part)
        if before and before != digests.read(layout.digest(result)):
            log.warning(
                "%s: was made again, and differs from what it was; what was made of it is, too", result
            )
    with written(place) as partial:
        partial.write_text(json.dumps(results))
