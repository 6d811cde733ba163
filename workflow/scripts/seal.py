from pathlib import Path

from ensir.job import job
from ensir.layout import Layout

with job(snakemake):
    from ensir.store import seal

    store = Path(snakemake.output.seal).parent
    seal(Layout().place(snakemake.output.seal), str(store), snakemake.params.parts, Layout())
