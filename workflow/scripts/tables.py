from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.tables import tables

    tables(
        Layout().file(snakemake.output.tables),
        experiments=snakemake.params.experiments,
        scores=snakemake.input.scores,
        summary=snakemake.input.summary,
    )
