from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.figures.features import draw

    draw(
        [Layout().file(path) for path in snakemake.output],
        sample=snakemake.params.sample,
        network=snakemake.input.get("network") or None,
    )
