from pathlib import Path

from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake):
    from ensir.stages.seal import seal

    store = Path(snakemake.output.seal).parent
    seal(Layout().place(snakemake.output.seal), str(store), snakemake.params.parts, Layout())
