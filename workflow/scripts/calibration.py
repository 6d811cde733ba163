from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.figures.calibration import draw

    dataset, predictions = list(snakemake.input.dataset), list(snakemake.input.predictions)
    draw(
        [Layout().file(path) for path in snakemake.output],
        settings=snakemake.params.settings,
        fitted=snakemake.input.lut,
        models=snakemake.params.models,
        dataset_parts=dataset,
        prediction_parts=[predictions[i :: len(dataset)] for i in range(len(dataset))],
        progress=progress,
    )
