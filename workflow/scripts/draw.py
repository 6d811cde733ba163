from ensir.execution.job import job
from ensir.storage.layout import Layout
from ensir.storage.sources import recorded

with job(snakemake) as progress, recorded(**snakemake.params.made_of):
    from ensir.stages.draw import draw

    layout = Layout(snakemake.params.results_folder)
    draw(
        [layout.place(path) for path in snakemake.output],
        figure=snakemake.params.figure,
        subject=snakemake.params.subject,
        progress=progress,
    )
