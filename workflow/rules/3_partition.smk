# 3 · PARTITION: targets and predictions of the reference → additive statistics of every occupied cell
#
# REQUIRED INPUTS
#   all parts of the reference dataset, and of each model's predictions for it
# OUTPUTS
#   results/statistics/{experiment}.zarr   fold, key, channel, count, target_square (cell) int64
#                                          sum, cross (cell, model), gram (cell, model, other_model) int64
#                                          offset (boundary), level, level_count (entry): histograms of the target


rule partition:
    input:
        unpack(reference_of),
    output:
        statistics=directory(layout.statistics("{experiment}")),
        digest=layout.digest(layout.statistics("{experiment}")),
    log:
        "results/logs/partition/{experiment}.log",
    benchmark:
        "results/benchmarks/partition/{experiment}.tsv"
    cache: caching
    conda:
        environment
    threads: 1 if settings.dask.elsewhere else max(1, workflow.cores or 1)
    resources:
        mem_mb=growing(4000),
        runtime=120,
        dask=settings.dask.model_dump_json(),
    params:
        identity=identity,
        reference=lambda w: experiment_of(w).reference,
        models=lambda w: experiment_of(w).models,
        bin_width=lambda w: experiment_of(w).bin_width,
        source=source_digest("ensir.partition"),
    message:
        "partition the reference of {wildcards.experiment}"
    script:
        "../scripts/partition.py"
