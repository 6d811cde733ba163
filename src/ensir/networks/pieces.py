"""Into which pieces images are cut; planning asks, too, so that nothing here needs more than sizes."""

from __future__ import annotations

from ensir.errors import InputError

SIDE = 512  # longest side of a piece, where nothing else is set


def aligned(side: int, multiple: int, least: int) -> int:
    """Round a side down to one that a network takes."""
    return max(least, side // multiple * multiple)


def has_room(side: int, overlap: int, multiple: int) -> bool:
    """Return whether pieces of a side that share the overlap advance by a multiple at least."""
    return side - overlap >= multiple


def check_room(side: int, overlap: int, multiple: int) -> None:
    """Raise an InputError if pieces cannot share the overlap."""
    if not has_room(side, overlap, multiple):
        raise InputError(
            f"pieces of {side} pixels, which begin at multiples of {multiple}, cannot share {overlap}; "
            "enlarge `tile`, or lower `overlap`"
        )
