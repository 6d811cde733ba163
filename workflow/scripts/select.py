from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.select import select

    layout = Layout(snakemake.params.results_folder)
    select(layout, snakemake.params.selections, threads=snakemake.threads, progress=progress)
