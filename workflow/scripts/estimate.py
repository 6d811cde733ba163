from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.scoring.rows import write_seconds
    from ensir.stages.estimate import estimate

    layout = Layout(snakemake.params.results_folder)
    seconds = estimate(
        layout.place(snakemake.output.weights),
        statistics_path=snakemake.input.statistics,
        settings=snakemake.params.settings,
        shard=int(snakemake.wildcards.shard),
        shards=snakemake.params.shards,
        device=snakemake.params.device,
        progress=progress,
    )
    names = snakemake.wildcards.experiment, snakemake.params.reference, snakemake.wildcards.method
    write_seconds(layout.place(snakemake.output.seconds), *names, "fit_seconds", {"": seconds})
