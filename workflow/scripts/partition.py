import json

from ensir.execution.job import job
from ensir.storage.layout import Layout

if __name__ == "__main__":  # the processes that Dask starts import this file anew
    with job(snakemake) as progress:
        from ensir.stages.partition import partition

        layout = Layout(snakemake.params.results_folder)
        statistics, settings = snakemake.params.statistics
        partition(
            layout.place(snakemake.output.statistics),
            statistics=statistics,
            settings=settings,
            **{name: snakemake.params[name] for name in ("reference", "models", "parts")},
            dask=json.loads(snakemake.resources.dask),
            progress=progress,
            threads=snakemake.threads,
        )
