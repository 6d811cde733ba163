from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.scoring.rows import write_seconds
    from ensir.stages.fit import fit

    layout = Layout(snakemake.params.results_folder)
    seconds = fit(
        layout.place(snakemake.output.fit),
        **{name: snakemake.params[name] for name in ("settings", "reference", "models")},
        source=snakemake.params.fitted_to,
        progress=progress,
    )
    names = snakemake.wildcards.experiment, snakemake.params.reference, snakemake.wildcards.method
    write_seconds(layout.place(snakemake.output.seconds), *names, "fit_seconds", {"": seconds})
