# 4 · ESTIMATE: statistics → the weights of one shard of cells; for methods without a LUT, FIT: the reference → a fit
#
# REQUIRED INPUTS
#   estimate: results/statistics/{experiment}.zarr
#   fit: all parts of the reference dataset, and of each model's predictions for it
# OUTPUTS
#   results/weights/{experiment}/{method}/{shard}.zarr   key, channel, iterations, status (cell); weights (cell, model) float64
#   results/fits/{experiment}/{method}.zarr              the method's own arrays; reference_image, reference_digest (image)
#   results/seconds/{estimate/{experiment}/{method}/{shard},fit/{experiment}/{method}}.csv   experiment,dataset,method,image,metric,value


rule estimate:
    input:
        statistics=ancient(layout.statistics("{experiment}")),
        digest=layout.digest(layout.statistics("{experiment}")),
    output:
        weights=directory(layout.weights("{experiment}", "{method}", "{shard}")),
        digest=layout.digest(layout.weights("{experiment}", "{method}", "{shard}")),
        seconds=layout.estimate_seconds("{experiment}", "{method}", "{shard}"),
    log:
        "results/logs/estimate/{experiment}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/estimate/{experiment}/{method}/{shard}.tsv"
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
        gpu=1 if settings.compute.device == "cuda" else 0,
    params:
        identity=identity,
        settings=lambda w: method_of(w).model_dump(mode="json"),
        reference=lambda w: experiment_of(w).reference,
        shards=settings.compute.shards,
        device=settings.compute.device,
        source=lambda w: source_digest("ensir.estimate", f"ensir.methods.{method_of(w).kind}"),
    message:
        "estimate {wildcards.method} of {wildcards.experiment}, shard {wildcards.shard}"
    script:
        "../scripts/estimate.py"


rule fit:
    input:
        unpack(reference_of),
    output:
        fit=directory(layout.fit("{experiment}", "{method}")),
        digest=layout.digest(layout.fit("{experiment}", "{method}")),
        seconds=layout.fit_seconds("{experiment}", "{method}"),
    log:
        "results/logs/fit/{experiment}/{method}.log",
    benchmark:
        "results/benchmarks/fit/{experiment}/{method}.tsv"
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        identity=identity,
        settings=lambda w: method_of(w).model_dump(mode="json"),
        reference=lambda w: experiment_of(w).reference,
        models=lambda w: experiment_of(w).models,
        source=lambda w: source_digest("ensir.fit", module_name(method_of(w).kind)),
    message:
        "fit {wildcards.method} of {wildcards.experiment}"
    script:
        "../scripts/fit.py"
