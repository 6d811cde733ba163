from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.adopt import adopt

    layout = Layout(snakemake.params.results_folder)
    adopt(
        layout.place(snakemake.output.part),
        dataset_part=snakemake.input.dataset,
        dataset_digest=layout.digest(snakemake.input.dataset),
        model=snakemake.wildcards.model,
        settings=snakemake.params.settings,
        progress=progress,
        **snakemake.params.shared,
    )
