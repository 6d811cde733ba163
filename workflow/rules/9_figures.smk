# 9 · FIGURES: what a paper shows, as files, each with its numbers; made when they are asked for
#
# REQUIRED INPUTS
#   weight_maps, features       the part of the test set with the pictured image, and all that was made of it
#   distribution                the statistics, the LUT, and all predictions for the reference
#   occupancy, convergence      the LUT; the statistics
#   gain                        results/scores/{experiment}/{dataset}/*/*.csv
#   calibration                 the LUT, all parts of a test set and of the predictions for it
# OUTPUTS
#   results/figures/{experiment}/{figure}/{dataset|method|dataset/method}.{svg,pdf,png,csv}
#       vector, as wide as a column or the text of a two-column paper; PNG with 300 dpi; the CSV holds what is drawn


rule draw_weight_maps:
    input:
        unpack(lambda w: sampled(sample(w.experiment, w.dataset))),
    output:
        drawn("weight_maps", "{dataset}", dataset="{dataset}"),
    log:
        "results/logs/weight_maps/{experiment}/{dataset}.log",
    benchmark:
        "results/benchmarks/weight_maps/{experiment}/{dataset}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=15,
    params:
        sample=lambda w: sample(w.experiment, w.dataset),
        settings=lambda w: {
            name: experiment_of(w).methods[name].model_dump(mode="json") for name in weighing(w.experiment)
        },
        source=lambda w: methods_source("ensir.figures.weight_maps", experiments=[w.experiment]),
    message:
        "draw the weight maps of {wildcards.dataset} in {wildcards.experiment}"
    script:
        "../scripts/weight_maps.py"


rule draw_distribution:
    input:
        unpack(reference_of),
        statistics=ancient(layout.statistics("{experiment}")),
        statistics_digest=layout.digest(layout.statistics("{experiment}")),
        lut=ancient(layout.lut("{experiment}", "{method}")),
        lut_digest=layout.digest(layout.lut("{experiment}", "{method}")),
    output:
        drawn("distribution", "{method}", method="{method}"),
    log:
        "results/logs/distribution/{experiment}/{method}.log",
    benchmark:
        "results/benchmarks/distribution/{experiment}/{method}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=15,
    params:
        settings=lambda w: method_of(w).model_dump(mode="json"),
        bin_sets=lambda w: experiment_of(w).figures.bin_sets,
        source=source_digest("ensir.figures.distribution"),
    message:
        "draw distributions in bin sets of {wildcards.method} in {wildcards.experiment}"
    script:
        "../scripts/distribution.py"


rule draw_features:
    input:
        unpack(lambda w: sampled(sample(w.experiment, w.dataset))),
        network=lambda w: experiment_of(w).figures.network or [],
    output:
        drawn("features", "{dataset}", dataset="{dataset}"),
    log:
        "results/logs/features/{experiment}/{dataset}.log",
    benchmark:
        "results/benchmarks/features/{experiment}/{dataset}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=15,
    params:
        sample=lambda w: sample(w.experiment, w.dataset),
        source=source_digest("ensir.figures.features"),
    message:
        "draw the features of {wildcards.dataset} in {wildcards.experiment}"
    script:
        "../scripts/features.py"


rule draw_occupancy:
    input:
        lut=ancient(layout.lut("{experiment}", "{method}")),
        lut_digest=layout.digest(layout.lut("{experiment}", "{method}")),
    output:
        drawn("occupancy", "{method}", method="{method}"),
    log:
        "results/logs/occupancy/{experiment}/{method}.log",
    benchmark:
        "results/benchmarks/occupancy/{experiment}/{method}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=15,
    params:
        source=source_digest("ensir.figures.occupancy"),
    message:
        "draw the occupancy of the bins of {wildcards.method} in {wildcards.experiment}"
    script:
        "../scripts/occupancy.py"


rule draw_convergence:
    input:
        statistics=ancient(layout.statistics("{experiment}")),
        statistics_digest=layout.digest(layout.statistics("{experiment}")),
        lut=ancient(layout.lut("{experiment}", "{method}")),
        lut_digest=layout.digest(layout.lut("{experiment}", "{method}")),
    output:
        drawn("convergence", "{method}", method="{method}"),
    log:
        "results/logs/convergence/{experiment}/{method}.log",
    benchmark:
        "results/benchmarks/convergence/{experiment}/{method}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=15,
    params:
        settings=lambda w: method_of(w).model_dump(mode="json"),
        source=source_digest("ensir.figures.convergence"),
    message:
        "draw the course of EM of {wildcards.method} in {wildcards.experiment}"
    script:
        "../scripts/convergence.py"


rule draw_gain:
    input:
        scores=lambda w: scores_of(w.experiment, w.dataset),
    output:
        drawn("gain", "{dataset}", dataset="{dataset}"),
    log:
        "results/logs/gain/{experiment}/{dataset}.log",
    benchmark:
        "results/benchmarks/gain/{experiment}/{dataset}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=15,
    params:
        experiment=lambda w: experiment_of(w).model_dump(mode="json", include={"models", "methods", "score"}),
        source=source_digest("ensir.figures.gain"),
    message:
        "draw the gains on {wildcards.dataset} in {wildcards.experiment}"
    script:
        "../scripts/gain.py"


rule draw_calibration:
    input:
        unpack(lambda w: predicted(w.dataset, experiment_of(w).models)),
        lut=ancient(layout.lut("{experiment}", "{method}")),
        lut_digest=layout.digest(layout.lut("{experiment}", "{method}")),
    output:
        drawn("calibration", "{dataset}/{method}", dataset="{dataset}", method="{method}"),
    log:
        "results/logs/calibration/{experiment}/{dataset}/{method}.log",
    benchmark:
        "results/benchmarks/calibration/{experiment}/{dataset}/{method}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        settings=lambda w: method_of(w).model_dump(mode="json"),
        models=lambda w: experiment_of(w).models,
        source=lambda w: methods_source("ensir.figures.calibration", experiments=[w.experiment]),
    message:
        "draw the calibration of {wildcards.method} on {wildcards.dataset} in {wildcards.experiment}"
    script:
        "../scripts/calibration.py"
