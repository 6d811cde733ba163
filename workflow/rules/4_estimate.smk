# 4 · ESTIMATE: statistics → the weights of one shard of cells; for methods without a LUT, FIT: the reference → a fit
#
# REQUIRED INPUTS
#   estimate: results/statistics/{experiment}/bins.zarr
#   fit: all parts of the reference dataset, and of each model's predictions for it; or statistics of them
# OUTPUTS
#   results/weights/{experiment}/{method}/{shard}.zarr   key, channel, iterations, status (cell); weights (cell, model) float64
#   results/fits/{experiment}/{method}.zarr              the method's own arrays; reference_image, reference_digest (image)
#   results/seconds/{estimate/{experiment}/{method}/{shard},fit/{experiment}/{method}}.csv   experiment,dataset,method,image,metric,value


rule estimate:
    input:
        unpack(reading(lambda w: reads.estimate(w.experiment, w.method))),
    output:
        weights=directory(layout.weights("{experiment}", "{method}", "{shard}")),
        digest=layout.digest(layout.weights("{experiment}", "{method}", "{shard}")),
        seconds=layout.estimate_seconds("{experiment}", "{method}", "{shard}"),
        seconds_digest=layout.digest(layout.estimate_seconds("{experiment}", "{method}", "{shard}")),
    log:
        layout.log("estimate/{experiment}/{method}/{shard}"),
    benchmark:
        layout.benchmark("estimate/{experiment}/{method}/{shard}")
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
        gpu=1 if settings.compute.device == "cuda" else 0,
    params:
        results_folder=results_folder,
        identity=identity,
        settings=lambda w: method_of(w).traced,
        reference=lambda w: experiment_of(w).reference,
        shards=settings.compute.shards,
        device=settings.compute.device,
        source=lambda w: stage_code("estimate", [method_of(w)]),
    message:
        "estimate {wildcards.method} of {wildcards.experiment}, shard {wildcards.shard}"
    script:
        "../scripts/estimate.py"


rule fit:
    input:
        unpack(reading(lambda w: reads.fit(w.experiment, w.method))),
    output:
        fit=directory(layout.fit("{experiment}", "{method}")),
        digest=layout.digest(layout.fit("{experiment}", "{method}")),
        seconds=layout.fit_seconds("{experiment}", "{method}"),
        seconds_digest=layout.digest(layout.fit_seconds("{experiment}", "{method}")),
    log:
        layout.log("fit/{experiment}/{method}"),
    benchmark:
        layout.benchmark("fit/{experiment}/{method}")
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        results_folder=results_folder,
        identity=identity,
        settings=lambda w: method_of(w).traced,
        reference=lambda w: experiment_of(w).reference,
        models=lambda w: experiment_of(w).models,
        fitted_to=lambda w: reads.fit_source(w.experiment, w.method),
        source=lambda w: reads.fit_code(w.experiment, w.method),
    message:
        "fit {wildcards.method} of {wildcards.experiment}"
    script:
        "../scripts/fit.py"
