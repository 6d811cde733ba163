from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.figures.gain import draw

    draw(
        [Layout().file(path) for path in snakemake.output],
        name=snakemake.wildcards.experiment,
        experiment=snakemake.params.experiment,
        dataset=snakemake.wildcards.dataset,
        score_files=list(snakemake.input.scores),
    )
