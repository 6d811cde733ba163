"""Snakemake, except that it asks Slurm every second whether jobs have ended: the plugin waits longer each time, up to minutes."""

import asyncio
from typing import Any

from snakemake.cli import main

sleep = asyncio.sleep


async def nap(seconds: float, *arguments: Any) -> Any:
    return await sleep(min(seconds, 1), *arguments)


asyncio.sleep = nap  # type: ignore[assignment]
main()
