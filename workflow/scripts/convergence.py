from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.figures.convergence import draw

    draw(
        [Layout().file(path) for path in snakemake.output],
        settings=snakemake.params.settings,
        statistics_path=snakemake.input.statistics,
        lut_path=snakemake.input.lut,
        progress=progress,
    )
