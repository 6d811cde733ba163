from ensir.job import job
from ensir.layout import Layout

with job(snakemake) as progress:
    from ensir.adopt import adopt

    adopt(
        Layout().place(snakemake.output.part),
        dataset_part=snakemake.input.dataset,
        dataset_digest=snakemake.input.dataset_digest,
        model=snakemake.wildcards.model,
        settings=snakemake.params.settings,
        progress=progress,
        **snakemake.params.shared,
    )
