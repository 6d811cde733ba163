from pathlib import Path

from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.seal import seal

    layout = Layout(snakemake.params.results_folder)
    store = Path(snakemake.output.seal).parent
    parts, published = snakemake.params.parts, snakemake.params.published
    seal(layout.place(snakemake.output.seal), str(store), parts, layout, published)
