import json

from ensir.job import job
from ensir.layout import Layout

if __name__ == "__main__":  # the processes that Dask starts import this file anew
    with job(snakemake) as progress:
        from ensir.partition import partition

        dataset, predictions = list(snakemake.input.dataset), list(snakemake.input.predictions)
        partition(
            Layout().place(snakemake.output.statistics),
            reference=snakemake.params.reference,
            models=snakemake.params.models,
            dataset_parts=dataset,
            prediction_parts=[predictions[i :: len(dataset)] for i in range(len(dataset))],
            bin_width=snakemake.params.bin_width,
            dask=json.loads(snakemake.resources.dask),
            progress=progress,
            threads=snakemake.threads,
        )
