from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.score import summarize

    layout = Layout()
    summarize(
        layout.file(snakemake.output.scores),
        layout.file(snakemake.output.summary),
        [*snakemake.input.scores, *snakemake.input.seconds],
    )
