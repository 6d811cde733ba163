from pathlib import Path

from ensir.job import job
from ensir.layout import Layout
from ensir.publish import locked

with job(snakemake) as progress, locked(Layout().file(snakemake.output.weights)):
    from ensir.priors import ptgrm_training

    ptgrm_training.train(
        Path(snakemake.output.weights),
        checkpoint=Path(snakemake.params.checkpoint),
        curve=Path(snakemake.output.curve),
        examples=ptgrm_training.Examples(list(snakemake.input.dataset), list(snakemake.input.base)),
        prior_files=list(snakemake.input.get("prior", [])),
        perceptual=next(iter(snakemake.input.get("perceptual", [])), None),
        prior=snakemake.params.prior,
        architecture=snakemake.params.architecture,
        course=ptgrm_training.Training(**snakemake.params.course),
        progress=progress,
        device=snakemake.resources.device,
        anew=True,
    )
