from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.adopt_dataset import adopt_dataset

    layout = Layout(snakemake.params.results_folder)
    adopt_dataset(
        layout.place(snakemake.output.part),
        dataset=snakemake.wildcards.dataset,
        names=snakemake.params.names,
        settings=snakemake.params.settings,
        progress=progress,
        **snakemake.params.shared,
    )
