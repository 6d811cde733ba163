from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.fit import fit
    from ensir.score import write_seconds

    dataset, predictions = list(snakemake.input.dataset), list(snakemake.input.predictions)
    seconds = fit(
        Layout().place(snakemake.output.fit),
        **{name: snakemake.params[name] for name in ("settings", "reference", "models")},
        dataset_parts=dataset,
        prediction_parts=[predictions[i :: len(dataset)] for i in range(len(dataset))],
        progress=progress,
    )
    names = snakemake.wildcards.experiment, snakemake.params.reference, snakemake.wildcards.method
    write_seconds(Layout().file(snakemake.output.seconds), *names, "fit_seconds", {"": seconds})
