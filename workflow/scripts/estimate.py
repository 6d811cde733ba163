from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.estimate import estimate

    estimate(
        Layout().place(snakemake.output.weights),
        statistics_path=snakemake.input.statistics,
        settings=snakemake.params.settings,
        shard=int(snakemake.wildcards.shard),
        shards=snakemake.params.shards,
        device=snakemake.params.device,
        progress=progress,
    )
