# 6 · FUSE: the predictions of all models for one part of a test set → one method's fused images; a refiner's are made of
#     another method's
#
# REQUIRED INPUTS
#   the parts of the dataset and of each model's predictions; the LUT or fit where the method needs one
# OUTPUTS
#   results/fused/{experiment}/{dataset}/{method}.zarr/{part}   value (channel, pixel) float32, unclipped (of 8-bit
#       images packed as int16 with `scale_factor`); image, …
#       on request (`expected_error: true`) expected_squared_error (channel, pixel) float32, NaN in empty cells
#   results/fused/{experiment}/{dataset}/{method}.zarr/zarr.json   the seal
#   results/seconds/fuse/{experiment}/{dataset}/{method}/{part}.csv   experiment,dataset,method,image,metric,value
#       with `fused: temporary` parts, and their digests, are removed once they are scored and written; there is no seal
#   results/images/{experiment}/{dataset}/{method}/*.png        on request (`png: true`), 8 or 16 bit


rule fuse:
    input:
        unpack(reading(lambda w: reads.fuse(w.experiment, w.dataset, w.method, w.part))),
    output:
        part=directory(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}")),
        digest=layout.digest(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}")),
        seconds=layout.fuse_seconds("{experiment}", "{dataset}", "{method}", "{part}"),
    log:
        layout.log("fuse/{experiment}/{dataset}/{method}/{part}"),
    benchmark:
        layout.benchmark("fuse/{experiment}/{dataset}/{method}/{part}")
    conda:
        environment
    threads: lambda w: network_threads() if reads.network(w.experiment, w.method) else 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.fuse(w.experiment, w.dataset, w.method, w.part),
        runtime=60,
        gpu=lambda w: 1 if reads.network(w.experiment, w.method) and settings.compute.device == "cuda" else 0,
        device=settings.compute.device,
        dask=dask_settings(),
    params:
        results_folder=results_folder,
        models=lambda w: reads.fused_models(w.experiment, w.method),
        settings=lambda w: method_of(w).traced,
        pointwise=lambda w: method_of(w).pointwise,
        allow_overlap=lambda w: experiment_of(w).allow_overlap,
        expected_error=lambda w: experiment_of(w).expected_error and method_of(w).expects_errors,
        format_version=formats.OF_FUSED,
        made_of=lambda w: made_of.record(
            layout.part(layout.fused(w.experiment, w.dataset, w.method), w.part),
            reads.fuse(w.experiment, w.dataset, w.method, w.part),
        ),
        source=lambda w: stage_code("fuse", [method_of(w)]),
    message:
        "fuse {wildcards.dataset} by {wildcards.method} of {wildcards.experiment}, part {wildcards.part}"
    script:
        "../scripts/fuse.py"


# With `fused: temporary`. The part that is pictured stays, for the report and the figures.
temporary_experiments, parts_that_stay = reads.temporary()


use rule fuse as fuse_temporary with:
    output:
        part=temp(directory(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}"))),
        digest=temp(
            layout.digest(layout.part(layout.fused("{experiment}", "{dataset}", "{method}"), "{part}"))
        ),
        seconds=layout.fuse_seconds("{experiment}", "{dataset}", "{method}", "{part}"),
    wildcard_constraints:
        experiment="|".join(temporary_experiments) or NOTHING,
        part="".join(f"(?!{part})" for part in parts_that_stay) + "[0-9a-f]{12}",


ruleorder: fuse_temporary > fuse


use rule seal_dataset as seal_fused with:
    input:
        unpack(reading(lambda w: reads.seal(layout.fused(w.experiment, w.dataset, w.method), w.dataset))),
    output:
        seal=layout.seal(layout.fused("{experiment}", "{dataset}", "{method}")),
        digest=layout.digest(layout.seal(layout.fused("{experiment}", "{dataset}", "{method}"))),
    log:
        layout.log("seal/{experiment}/{dataset}/{method}"),
    benchmark:
        layout.benchmark("seal/{experiment}/{dataset}/{method}")
    message:
        "seal {wildcards.dataset} fused by {wildcards.method} of {wildcards.experiment}"


rule write_images:
    input:
        unpack(reading(lambda w: reads.seal(layout.fused(w.experiment, w.dataset, w.method), w.dataset))),
    output:
        images=directory(layout.images("{experiment}", "{dataset}", "{method}")),
    log:
        layout.log("write_images/{experiment}/{dataset}/{method}"),
    benchmark:
        layout.benchmark("write_images/{experiment}/{dataset}/{method}")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.write_images(w.dataset),
        runtime=60,
    params:
        results_folder=results_folder,
        source=stage_code("write_images"),
    message:
        "write {wildcards.dataset} fused by {wildcards.method} of {wildcards.experiment} as PNG files"
    script:
        "../scripts/write_images.py"
