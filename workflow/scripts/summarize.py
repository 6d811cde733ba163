from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.summarize import summarize

    layout = Layout(snakemake.params.results_folder)
    summarize(
        layout.place(snakemake.output.scores),
        layout.place(snakemake.output.summary),
        [*snakemake.input.scores, *snakemake.input.seconds],
    )
