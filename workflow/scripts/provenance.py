from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.provenance import record

    layout = Layout(snakemake.params.results_folder)
    record(
        layout.place(snakemake.output.record),
        layout,
        config=snakemake.params.config,
        results=snakemake.params.results,
        files=snakemake.params.files,
    )
