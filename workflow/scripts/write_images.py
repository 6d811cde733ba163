from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.fuse import write_images

    write_images(Layout().file(snakemake.output.images), list(snakemake.input.parts), progress)
