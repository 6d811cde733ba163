from ensir.execution.job import job
from ensir.storage.layout import Layout

with job(snakemake) as progress:
    from ensir.report.opening import facts
    from ensir.stages.report import report

    layout = Layout(snakemake.params.results_folder)
    report(
        layout.place(snakemake.output.page),
        experiments=snakemake.params.experiments,
        scores=snakemake.input.scores,
        summary=snakemake.input.summary,
        samples=snakemake.params.samples,
        curves=snakemake.params.curves,
        selections=snakemake.params.selections,
        title=snakemake.params.title,
        facts=facts(snakemake.params.files),
        benchmarks=layout.benchmarks,
        jobs=snakemake.params.jobs,
        images=snakemake.params.images,
        megabytes=snakemake.params.megabytes,
        threads=snakemake.threads,
        progress=progress,
    )
