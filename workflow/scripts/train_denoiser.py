from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.stages.train_denoiser import train_denoiser

    layout = Layout(snakemake.params.results_folder)
    train_denoiser(
        layout.place(snakemake.output.weights),
        checkpoint=snakemake.params.checkpoint,
        curve=layout.place(snakemake.output.curve),
        photographs=list(snakemake.input.photographs),
        settings=snakemake.params.settings,
        device=snakemake.resources.device,
        progress=progress,
    )
