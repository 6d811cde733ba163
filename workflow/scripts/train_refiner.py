from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.stages.train_refiner import train_refiner

    layout = Layout(snakemake.params.results_folder)
    train_refiner(
        layout.place(snakemake.output.weights),
        checkpoint=snakemake.params.checkpoint,
        curve=layout.place(snakemake.output.curve),
        dataset_parts=list(snakemake.input.dataset),
        base_parts=list(snakemake.input.base),
        prior_files=list(snakemake.input.get("prior", [])),
        perceptual=next(iter(snakemake.input.get("perceptual", [])), None),
        **{name: snakemake.params[name] for name in ("prior", "architecture", "course")},
        device=snakemake.resources.device,
        progress=progress,
    )
