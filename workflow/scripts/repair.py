from pathlib import Path

from ensir.execution.job import job
from ensir.storage.layout import Layout, Place

with job(snakemake):
    from ensir.stages.repair import repair

    layout = Layout(snakemake.params.results_folder)
    place = Place(Path(snakemake.output[0]), None, layout.unfinished)
    repair(place, layout, snakemake.params.results)
