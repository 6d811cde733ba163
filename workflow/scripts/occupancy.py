from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.figures.occupancy import draw

    draw([Layout().file(path) for path in snakemake.output], lut_path=snakemake.input.lut)
