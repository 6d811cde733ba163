"""Photographs that denoising autoencoders are trained on, looked at before a run, by their headers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ensir.errors import InputError
from ensir.images import image_files
from ensir.networks import examples
from ensir.planning.headers import MOST_IMAGES, THREADS
from ensir.planning.plan import Plan


def problems(plan: Plan) -> Iterator[str]:
    """Yield a line for every denoising autoencoder that cannot learn from one of its photographs, the first of them."""
    for denoiser in plan.networks.denoisers():
        patch = plan.config.denoisers[denoiser].patch
        files = plan.networks.photographs(denoiser)
        files = files[:: max(1, -(-len(files) // MOST_IMAGES))]
        with ThreadPoolExecutor(THREADS) as pool:
            wrong = [line for line in pool.map(_problem, files, [patch] * len(files)) if line]
        if wrong:
            count = f" ({len(wrong)} of {len(files)} images)" if len(wrong) > 1 else ""
            yield f"denoisers.{denoiser}.photographs: {wrong[0]}{count}"


def _problem(file: str, patch: int) -> str:
    """Return what is wrong with a photograph; empty where nothing is."""
    try:
        found = image_files.header(file)
        bits = 0 if found.ranged else found.bits  # floats are not
        examples.check_photograph(file, found[:2], found.channels, bits, patch)
    except InputError as error:
        return str(error)
    return ""
