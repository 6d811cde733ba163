# 4 · ESTIMATE: statistics → the weights of one shard of cells
#
# REQUIRED INPUTS
#   results/statistics/{experiment}.zarr
# OUTPUTS
#   results/weights/{experiment}/{method}/{shard}.zarr   key, channel, count, iterations, status (cell)
#                                                        weights (cell, model) float64
#                                                        expected_squared_error (cell) float64


rule estimate:
    input:
        statistics=ancient(layout.statistics("{experiment}")),
        digest=layout.digest(layout.statistics("{experiment}")),
    output:
        weights=directory(layout.weights("{experiment}", "{method}", "{shard}")),
        digest=layout.digest(layout.weights("{experiment}", "{method}", "{shard}")),
    log:
        "results/logs/estimate/{experiment}/{method}/{shard}.log",
    benchmark:
        "results/benchmarks/estimate/{experiment}/{method}/{shard}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=1 if settings.compute.device == "cuda" else 0,
    params:
        settings=lambda w: method_of(w).model_dump(mode="json"),
        shards=settings.compute.shards,
        device=settings.compute.device,
        source=lambda w: source_digest("ensir.estimate", f"ensir.methods.{method_of(w).kind}"),
    message:
        "estimate {wildcards.method} of {wildcards.experiment}, shard {wildcards.shard}"
    script:
        "../scripts/estimate.py"
