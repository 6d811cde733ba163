# 6 · FUSE: the predictions of all models for one part of a test set → one method's fused images; a refiner's are made of
#     another method's
#
# REQUIRED INPUTS
#   the parts of the dataset and of each model's predictions; the LUT or fit where the method needs one
# OUTPUTS
#   results/fused/{experiment}/{dataset}/{method}.zarr/{part}   value (channel, pixel) float32, unclipped; image, …
#       on request (`expected_error: true`) expected_squared_error (channel, pixel) float32, NaN in empty cells
#   results/fused/{experiment}/{dataset}/{method}.zarr/zarr.json   the seal
#   results/seconds/fuse/{experiment}/{dataset}/{method}/{part}.csv   experiment,dataset,method,image,metric,value
#   results/images/{experiment}/{dataset}/{method}/*.png        on request (`png: true`), 8 or 16 bit


rule fuse:
    input:
        unpack(test_part_of),
    output:
        part=directory(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}")),
        digest=layout.digest(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}")),
        seconds=layout.fuse_seconds("{experiment}", "{dataset}", "{method}", "{part}"),
    log:
        "results/logs/fuse/{experiment}/{dataset}/{method}/{part}.log",
    benchmark:
        "results/benchmarks/fuse/{experiment}/{dataset}/{method}/{part}.tsv"
    conda:
        environment
    threads: lambda w: network_threads() if refiner_of(w) else 1
    resources:
        mem_mb=lambda w, attempt: attempt * (16000 if refiner_of(w) else 2000),
        runtime=60,
        gpu=lambda w: 1 if refiner_of(w) and settings.compute.device == "cuda" else 0,
        device=settings.compute.device,
        dask=settings.dask.model_dump_json(),
    params:
        models=lambda w: [method_of(w).after] if refiner_of(w) else experiment_of(w).models,
        settings=lambda w: plan.method_settings(w.experiment, w.method),
        allow_overlap=lambda w: experiment_of(w).allow_overlap,
        expected_error=lambda w: experiment_of(w).expected_error and method_of(w).needs == "lut",
        source=lambda w: source_digest("ensir.fuse", module_name(method_of(w).kind)),
    message:
        "fuse {wildcards.dataset} by {wildcards.method} of {wildcards.experiment}, part {wildcards.part}"
    script:
        "../scripts/fuse.py"


rule seal_fused:
    input:
        parts=lambda w: parts(layout.fused(w.experiment, w.dataset, w.method), w.dataset),
        digests=lambda w: digests(layout.fused(w.experiment, w.dataset, w.method), w.dataset),
    output:
        seal=layout.seal(layout.fused("{experiment}", "{dataset}", "{method}")),
        digest=layout.digest(layout.seal(layout.fused("{experiment}", "{dataset}", "{method}"))),
    log:
        "results/logs/seal/{experiment}/{dataset}/{method}.log",
    benchmark:
        "results/benchmarks/seal/{experiment}/{dataset}/{method}.tsv"
    localrule: True
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=5,
    params:
        parts=lambda w: list(plan.parts(w.dataset)),
        source=source_digest("ensir.store"),
    message:
        "seal {wildcards.dataset} fused by {wildcards.method} of {wildcards.experiment}"
    script:
        "../scripts/seal.py"


rule write_images:
    input:
        parts=lambda w: parts(layout.fused(w.experiment, w.dataset, w.method), w.dataset),
        digests=lambda w: digests(layout.fused(w.experiment, w.dataset, w.method), w.dataset),
    output:
        images=directory(layout.images("{experiment}", "{dataset}", "{method}")),
    log:
        "results/logs/write_images/{experiment}/{dataset}/{method}.log",
    benchmark:
        "results/benchmarks/write_images/{experiment}/{dataset}/{method}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        source=source_digest("ensir.fuse"),
    message:
        "write {wildcards.dataset} fused by {wildcards.method} of {wildcards.experiment} as PNG files"
    script:
        "../scripts/write_images.py"
