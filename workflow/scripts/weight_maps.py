from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.figures.weight_maps import draw

    draw(
        [Layout().file(path) for path in snakemake.output],
        sample=snakemake.params.sample,
        settings=snakemake.params.settings,
    )
