from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.tables import tables

    layout = Layout(snakemake.params.results_folder)
    tables(
        layout.place(snakemake.output.tables),
        experiments=snakemake.params.experiments,
        scores=snakemake.input.scores,
        summary=snakemake.input.summary,
    )
