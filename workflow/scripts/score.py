from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.score import score

    score(
        Layout().file(snakemake.output.scores),
        **{name: snakemake.wildcards[name] for name in ("experiment", "dataset", "method")},
        settings=snakemake.params.settings,
        dataset_part=snakemake.input.dataset,
        result_part=snakemake.input.result,
        progress=progress,
    )
