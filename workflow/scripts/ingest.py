from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.stages.ingest import ingest

    layout = Layout(snakemake.params.results_folder)
    ingest(
        layout.place(snakemake.output.part),
        dataset=snakemake.wildcards.dataset,
        names=snakemake.params.names,
        settings=snakemake.params.settings,
        targets=list(snakemake.input.targets),
        inputs=list(snakemake.input.inputs),
        sizes=snakemake.params.sizes,
        progress=progress,
    )
