from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.fuse import fuse

    fuse(
        Layout().place(snakemake.output.part),
        method=snakemake.wildcards.method,
        lut=snakemake.input.get("lut"),
        dataset_part=snakemake.input.dataset,
        prediction_parts=list(snakemake.input.predictions),
        **{name: snakemake.params[name] for name in ("settings", "models", "allow_overlap")},
        progress=progress,
    )
