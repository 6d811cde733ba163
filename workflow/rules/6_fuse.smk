# 6 · FUSE: the predictions of all models for one part of a test set → one method's fused images
#
# REQUIRED INPUTS
#   the parts of the dataset and of each model's predictions; the LUT where the method has one
# OUTPUTS
#   results/fused/{experiment}/{dataset}/{method}.zarr/{part}   value (channel, pixel) float32, unclipped; image, …
#   results/fused/{experiment}/{dataset}/{method}.zarr/zarr.json   the seal
#   results/images/{experiment}/{dataset}/{method}/*.png        on request (`png: true`), 8 or 16 bit


def test_part_of(wildcards):
    stores = [layout.predictions(wildcards.dataset, model) for model in experiment_of(wildcards).models]
    stores = [layout.dataset(wildcards.dataset), *stores]
    dataset, *predictions = [f"{store}/{wildcards.part}" for store in stores]
    return {
        "dataset": ancient(dataset),
        "predictions": [ancient(part) for part in predictions],
        "digests": [layout.digest(part) for part in [dataset, *predictions]],
        **lut_of(wildcards.experiment, wildcards.method),
    }


rule fuse:
    input:
        unpack(test_part_of),
    output:
        part=directory(layout.fused("{experiment}", "{dataset}", "{method}") + "/{part}"),
        digest=layout.digest(layout.fused("{experiment}", "{dataset}", "{method}") + "/{part}"),
    params:
        models=lambda w: experiment_of(w).models,
        settings=lambda w: method_of(w).model_dump(mode="json"),
        allow_overlap=lambda w: experiment_of(w).allow_overlap,
        source=lambda w: source_digest("ensir.fuse", f"ensir.methods.{method_of(w).kind}"),
    log:
        "results/logs/fuse/{experiment}/{dataset}/{method}/{part}.log",
    benchmark:
        "results/benchmarks/fuse/{experiment}/{dataset}/{method}/{part}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    message:
        "fuse {wildcards.dataset} by {wildcards.method} of {wildcards.experiment}, part {wildcards.part}"
    script:
        "../scripts/fuse.py"


rule seal_fused:
    input:
        digests=lambda w: digests(layout.fused(w.experiment, w.dataset, w.method), w.dataset),
    output:
        seal=seal_of(layout.fused("{experiment}", "{dataset}", "{method}")),
        digest=layout.digest(seal_of(layout.fused("{experiment}", "{dataset}", "{method}"))),
    params:
        parts=lambda w: list(plan.parts(w.dataset)),
        source=source_digest("ensir.store"),
    log:
        "results/logs/seal/{experiment}/{dataset}/{method}.log",
    benchmark:
        "results/benchmarks/seal/{experiment}/{dataset}/{method}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
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
    params:
        source=source_digest("ensir.fuse"),
    log:
        "results/logs/write_images/{experiment}/{dataset}/{method}.log",
    benchmark:
        "results/benchmarks/write_images/{experiment}/{dataset}/{method}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    message:
        "write {wildcards.dataset} fused by {wildcards.method} of {wildcards.experiment} as PNG files"
    script:
        "../scripts/write_images.py"
