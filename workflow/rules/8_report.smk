# 8 · REPORT: scores, one test image per dataset and the LUTs → one page
#
# REQUIRED INPUTS
#   results/scores.csv, results/summary.csv, the first part of each test set with all that was made of it, the LUTs
# OUTPUTS
#   results/report.html   self-contained


def samples():
    """One part per experiment and test set: where its pictures are."""
    found = []
    for name, experiment in settings.experiments.items():
        for dataset in experiment.tests:
            part = next(iter(plan.parts(dataset)))
            found.append(
                {
                    "experiment": name,
                    "dataset": dataset,
                    "dataset_part": f"{layout.dataset(dataset)}/{part}",
                    "predictions": {m: f"{layout.predictions(dataset, m)}/{part}" for m in experiment.models},
                    "fused": {m: f"{layout.fused(name, dataset, m)}/{part}" for m in experiment.methods},
                    "luts": {
                        m: layout.lut(name, m) if settings.needs_lut else None
                        for m, settings in experiment.methods.items()
                    },
                }
            )
    return found


def pictured():
    """All results that the page shows."""
    return [
        path
        for sample in samples()
        for path in [
            sample["dataset_part"],
            *sample["predictions"].values(),
            *sample["fused"].values(),
            *filter(None, sample["luts"].values()),
        ]
    ]


rule report:
    input:
        results=[ancient(path) for path in pictured()],
        digests=[layout.digest(path) for path in pictured()],
        scores=layout.all_scores,
        summary=layout.summary,
    output:
        page=report(layout.report, category="Report", caption="../report/report.rst"),
    params:
        experiments={name: experiment.model_dump(mode="json") for name, experiment in settings.experiments.items()},
        samples=samples(),
        source=source_digest("ensir.report"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "make {output.page}"
    script:
        "../scripts/report.py"
