import json

from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.scoring.rows import write_seconds
    from ensir.stages.fuse import fuse

    layout = Layout(snakemake.params.results_folder)
    seconds = fuse(
        layout.place(snakemake.output.part),
        method=snakemake.wildcards.method,
        fitted=snakemake.input.get("fitted"),
        dataset_part=snakemake.input.dataset,
        prediction_parts=list(snakemake.input.predictions),
        **{
            name: snakemake.params[name]
            for name in ("settings", "models", "allow_overlap", "expected_error", "pointwise")
        },
        dask=json.loads(snakemake.resources.dask),
        progress=progress,
        network=list(snakemake.input.get("network", [])),
        device=snakemake.resources.device,
    )
    names = [snakemake.wildcards[name] for name in ("experiment", "dataset", "method")]
    write_seconds(layout.place(snakemake.output.seconds), *names, "seconds", seconds)
