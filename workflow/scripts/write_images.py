from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.stages.write_images import write_images

    layout = Layout(snakemake.params.results_folder)
    write_images(layout.place(snakemake.output.images), list(snakemake.input.parts), progress)
