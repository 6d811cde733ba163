# 8 · REPORT: scores, one test image per dataset and the LUTs → one page
#
# REQUIRED INPUTS
#   results/scores.csv, results/summary.csv, the first part of each test set with all that was made of it, the LUTs
# OUTPUTS
#   results/report.html   self-contained


rule report:
    input:
        results=[ancient(path) for path in pictured()],
        digests=[layout.digest(path) for path in pictured()],
        scores=layout.all_scores,
        summary=layout.summary,
    output:
        page=report(layout.report, category="Report", caption="../report/report.rst"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        experiments={
            name: experiment.model_dump(mode="json") for name, experiment in settings.experiments.items()
        },
        samples=samples(),
        source=source_digest("ensir.report"),
        templates=templates_digest(),
    message:
        "make {output.page}"
    script:
        "../scripts/report.py"
