# 3 · PARTITION: targets and predictions of the reference → additive statistics of every occupied cell
#
# REQUIRED INPUTS
#   all parts of the reference dataset, and of each model's predictions for it
# OUTPUTS
#   results/statistics/{experiment}/{statistics}.zarr   of bins: fold, key, channel, count, target_square (cell) int64
#                                          sum, cross (cell, model), gram (cell, model, other_model) int64
#                                          offset (boundary), level, level_count (entry): histograms of the target
#                                          image, digest, prediction_digests (image): texts of the reference


rule partition:
    input:
        unpack(reading(lambda w: reads.partition(w.experiment))),
    output:
        statistics=directory(layout.statistics("{experiment}", "{statistics}")),
        digest=layout.digest(layout.statistics("{experiment}", "{statistics}")),
    log:
        layout.log("partition/{experiment}/{statistics}"),
    benchmark:
        layout.benchmark("partition/{experiment}/{statistics}")
    cache: caching
    conda:
        environment
    threads: 1 if settings.dask.elsewhere else max(1, workflow.cores or 1)
    resources:
        mem_mb=lambda w, threads, attempt: attempt * memory.partition(w.experiment, threads),
        runtime=120,
        dask=dask_settings(),
    params:
        results_folder=results_folder,
        identity=identity,
        statistics=lambda w: plan.statistics(w.experiment)[w.statistics],
        reference=lambda w: experiment_of(w).reference,
        models=lambda w: experiment_of(w).models,
        parts=lambda w: reads.reference(w.experiment),
        source=lambda w: stage_code("partition", modules=plan.statistics(w.experiment)[w.statistics][:1]),
    message:
        "partition the reference of {wildcards.experiment}: {wildcards.statistics}"
    script:
        "../scripts/partition.py"
