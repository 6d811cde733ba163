from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.record import record

    layout = Layout()
    record(
        layout.file(snakemake.output.record),
        layout,
        config=snakemake.params.config,
        results=snakemake.params.results,
    )
