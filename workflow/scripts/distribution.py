from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.figures.distribution import draw

    dataset, predictions = list(snakemake.input.dataset), list(snakemake.input.predictions)
    draw(
        [Layout().file(path) for path in snakemake.output],
        settings=snakemake.params.settings,
        bin_sets=snakemake.params.bin_sets,
        statistics_path=snakemake.input.statistics,
        lut_path=snakemake.input.lut,
        prediction_parts=[predictions[i :: len(dataset)] for i in range(len(dataset))],
        progress=progress,
    )
