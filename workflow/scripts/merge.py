from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.merge import merge

    layout = Layout(snakemake.params.results_folder)
    merge(
        layout.place(snakemake.output.lut),
        method=snakemake.wildcards.method,
        settings=snakemake.params.settings,
        statistics_path=snakemake.input.statistics,
        shards=list(snakemake.input.shards),
    )
