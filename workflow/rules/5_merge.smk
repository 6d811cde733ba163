# 5 · MERGE: the weights of all shards → one LUT
#
# REQUIRED INPUTS
#   results/weights/{experiment}/{method}/*.zarr, results/statistics/{experiment}.zarr
# OUTPUTS
#   results/luts/{experiment}/{method}.lut   NetCDF-4: weights, bin (cell, model); count, iterations, status,
#                                            expected_squared_error (cell); the fill rule; the reference's images


rule merge:
    input:
        unpack(shards_of),
        statistics=ancient(layout.statistics("{experiment}")),
        statistics_digest=layout.digest(layout.statistics("{experiment}")),
    output:
        lut=layout.lut("{experiment}", "{method}"),
        digest=layout.digest(layout.lut("{experiment}", "{method}")),
    log:
        "results/logs/merge/{experiment}/{method}.log",
    benchmark:
        "results/benchmarks/merge/{experiment}/{method}.tsv"
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        identity=identity,
        settings=lambda w: method_of(w).model_dump(mode="json"),
        source=lambda w: source_digest("ensir.merge", f"ensir.methods.{method_of(w).kind}"),
    message:
        "merge the shards of {wildcards.method} of {wildcards.experiment}"
    script:
        "../scripts/merge.py"
