from pathlib import Path

from ensir.job import job
from ensir.layout import Layout
from ensir.publish import locked

with job(snakemake) as progress, locked(Layout().file(snakemake.output.weights)):
    from ensir.priors import dae_training

    dae_training.train(
        Path(snakemake.output.weights),
        checkpoint=Path(snakemake.params.checkpoint),
        curve=Path(snakemake.output.curve),
        photographs=list(snakemake.input.photographs),
        course=dae_training.Training.of(snakemake.params.settings),
        progress=progress,
        device=snakemake.resources.device,
        anew=True,
    )
