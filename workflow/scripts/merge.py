from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.merge import merge

    merge(
        Layout().place(snakemake.output.lut),
        method=snakemake.wildcards.method,
        settings=snakemake.params.settings,
        statistics_path=snakemake.input.statistics,
        shards=list(snakemake.input.shards),
    )
