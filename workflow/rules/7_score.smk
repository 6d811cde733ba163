# 7 · SCORE: fused images, and the predictions of each base model, beside the targets
#
# REQUIRED INPUTS
#   a part of a test set, and of the fused images or predictions for it; results/seconds/…
# OUTPUTS
#   results/scores/{experiment}/{dataset}/{method}/{part}.csv   experiment,dataset,method,image,metric,value
#   results/scores.csv                                          all of them
#   results/summary.csv                                         experiment,dataset,method,metric,mean,n


rule score:
    input:
        unpack(scored_of),
    output:
        scores=layout.scores("{experiment}", "{dataset}", "{method}", "{part}"),
    log:
        "results/logs/score/{experiment}/{dataset}/{method}/{part}.log",
    benchmark:
        "results/benchmarks/score/{experiment}/{dataset}/{method}/{part}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        settings=lambda w: experiment_of(w).score.model_dump(mode="json"),
        source=source_digest("ensir.score"),
        functions=lambda w: metric_digests(w),
    message:
        "score {wildcards.method} on {wildcards.dataset} for {wildcards.experiment}, part {wildcards.part}"
    script:
        "../scripts/score.py"


rule summarize:
    input:
        scores=[
            path
            for name, experiment in settings.experiments.items()
            for dataset in experiment.tests
            for path in scores_of(name, dataset)
        ],
        seconds=all_seconds(),
    output:
        scores=report(layout.all_scores, category="Tables", caption="../report/scores.rst"),
        summary=report(layout.summary, category="Tables", caption="../report/summary.rst"),
    log:
        "results/logs/summarize.log",
    benchmark:
        "results/benchmarks/summarize.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        source=source_digest("ensir.score"),
    message:
        "collect all scores"
    script:
        "../scripts/summarize.py"
