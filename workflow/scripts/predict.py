from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.stages.predict import predict

    layout = Layout(snakemake.params.results_folder)
    base = snakemake.input.get("base")
    predict(
        layout.place(snakemake.output.part),
        dataset_part=snakemake.input.dataset,
        dataset_digest=layout.digest(snakemake.input.dataset),
        model=snakemake.wildcards.model,
        settings=snakemake.params.settings,
        files=list(snakemake.input.files),
        crop=snakemake.params.crop,
        progress=progress,
        network=list(snakemake.input.network),
        device=snakemake.resources.device,
        batch=snakemake.resources.batch,
        base_part=base,
        base_digest=base and layout.digest(base),
    )
