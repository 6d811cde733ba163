from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.score import score

    layout = Layout(snakemake.params.results_folder)
    score(
        layout.place(snakemake.output.scores),
        **{name: snakemake.wildcards[name] for name in ("experiment", "dataset", "method")},
        settings=snakemake.params.settings,
        dataset_part=snakemake.input.dataset,
        result_part=snakemake.input.result,
        progress=progress,
    )
