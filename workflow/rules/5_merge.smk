# 5 · MERGE: the weights of all shards → one LUT
#
# REQUIRED INPUTS
#   results/weights/{experiment}/{method}/*.zarr, results/statistics/{experiment}/bins.zarr
# OUTPUTS
#   results/luts/{experiment}/{method}.lut   NetCDF-4: weights, bin (cell, model); count, iterations, status,
#                                            expected_squared_error (cell); the fill rule; the reference's images,
#                                            reference_digest (image), prediction_digest (model, image)


rule merge:
    input:
        unpack(reading(lambda w: reads.merge(w.experiment, w.method))),
    output:
        lut=layout.lut("{experiment}", "{method}"),
        digest=layout.digest(layout.lut("{experiment}", "{method}")),
    log:
        layout.log("merge/{experiment}/{method}"),
    benchmark:
        layout.benchmark("merge/{experiment}/{method}")
    cache: caching
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        results_folder=results_folder,
        identity=identity,
        settings=lambda w: method_of(w).traced,
        source=lambda w: stage_code("merge", [method_of(w)]),
    message:
        "merge the shards of {wildcards.method} of {wildcards.experiment}"
    script:
        "../scripts/merge.py"
