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
        unpack(reading(lambda w: reads.score(w.experiment, w.dataset, w.method, w.part))),
    output:
        scores=layout.scores("{experiment}", "{dataset}", "{method}", "{part}"),
    log:
        layout.log("score/{experiment}/{dataset}/{method}/{part}"),
    benchmark:
        layout.benchmark("score/{experiment}/{dataset}/{method}/{part}")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.score(w.experiment, w.dataset, w.part),
        runtime=60,
    params:
        results_folder=results_folder,
        settings=lambda w: reads.score_settings(w.experiment),
        source=lambda w: stage_code("score", experiment_of(w).score.metrics.values()),
        functions=lambda w: functions_code(experiment_of(w).score.metrics.values()),
    message:
        "score {wildcards.method} on {wildcards.dataset} for {wildcards.experiment}, part {wildcards.part}"
    script:
        "../scripts/score.py"


rule summarize:
    input:
        unpack(reading(lambda w: reads.summarize())),
    output:
        scores=report(layout.all_scores, category="Tables", caption="../report/scores.rst"),
        summary=report(layout.summary, category="Tables", caption="../report/summary.rst"),
    log:
        layout.log("summarize"),
    benchmark:
        layout.benchmark("summarize")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        results_folder=results_folder,
        source=stage_code("summarize"),
    message:
        "collect all scores"
    script:
        "../scripts/summarize.py"
