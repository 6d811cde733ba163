from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.renew_sources import renew_sources

    layout = Layout(snakemake.params.results_folder)
    renew_sources(layout.place(snakemake.output[0]), layout, snakemake.params.results, progress)
