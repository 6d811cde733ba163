# 1 · INGEST: image files, shipped photographs or a shared dataset → dataset parts
#
# REQUIRED INPUTS
#   the target files of one part's images, the input files where the dataset has them, and the file of a blur kernel
#   adopt_dataset: a shared store, at a path or URL
# OUTPUTS
#   results/datasets/{dataset}.zarr/{part}   value (channel, pixel) uint8|uint16: targets
#                                            input (input_channel, input_pixel), same dtype: degraded inputs
#                                            image, height, width, offset, digest (image)
#   results/datasets/{dataset}.zarr/zarr.json   the seal: written when all parts are there
#   results/digests/…                        a sha256sum file per output


rule ingest:
    input:
        unpack(reading(lambda w: reads.ingest(w.dataset, w.part))),
    output:
        part=directory(layout.part(layout.dataset("{dataset}"), "{part}")),
        digest=layout.digest(layout.part(layout.dataset("{dataset}"), "{part}")),
    log:
        layout.log("ingest/{dataset}/{part}"),
    benchmark:
        layout.benchmark("ingest/{dataset}/{part}")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.ingest(w.dataset, w.part),
        runtime=30,
    params:
        results_folder=results_folder,
        identity=identity,
        names=lambda w: plan.parts(w.dataset)[w.part],
        settings=lambda w: plan.ingested(w.dataset),
        sizes=lambda w: reads.sizes(w.dataset, w.part),
        made_of=lambda w: made_of.record(
            layout.part(layout.dataset(w.dataset), w.part), reads.ingest(w.dataset, w.part)
        ),
        source=lambda w: stage_code("ingest", [settings.datasets[w.dataset]]),
    message:
        "ingest {wildcards.dataset}, part {wildcards.part}"
    script:
        "../scripts/ingest.py"


# Datasets of `kind: store` have no ingest jobs. What a part holds counts, not where the store is.
rule adopt_dataset:
    output:
        part=directory(layout.part(layout.dataset("{dataset}"), "{part}")),
        digest=layout.digest(layout.part(layout.dataset("{dataset}"), "{part}")),
    log:
        layout.log("adopt/{dataset}/{part}"),
    benchmark:
        layout.benchmark("adopt/{dataset}/{part}")
    wildcard_constraints:
        dataset="|".join(reads.adopted_datasets()) or NOTHING,
    conda:
        environment
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.ingest(w.dataset, w.part),
        runtime=240,
    params:
        results_folder=results_folder,
        identity=identity,
        names=lambda w: plan.parts(w.dataset)[w.part],
        settings=lambda w: plan.ingested(w.dataset),
        content=lambda w: plan.index(w.dataset).content(plan.parts(w.dataset)[w.part]),
        shared=shared_dataset,
        source=stage_code("adopt_dataset"),
    message:
        "adopt {wildcards.dataset} from {params.shared[location]}, part {wildcards.part}"
    script:
        "../scripts/adopt_dataset.py"


ruleorder: adopt_dataset > ingest


rule seal_dataset:
    input:
        unpack(reading(lambda w: reads.seal(layout.dataset(w.dataset), w.dataset))),
    output:
        seal=layout.seal(layout.dataset("{dataset}")),
        digest=layout.digest(layout.seal(layout.dataset("{dataset}"))),
    log:
        layout.log("seal/{dataset}"),
    benchmark:
        layout.benchmark("seal/{dataset}")
    localrule: True
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=5,
    params:
        results_folder=results_folder,
        parts=lambda w: list(plan.parts(w.dataset)),
        published=published,
        source=stage_code("seal"),
    message:
        "seal dataset {wildcards.dataset}"
    script:
        "../scripts/seal.py"


# Where files have other dates or inodes, their content is compared, as far as planning has not done that. Where it is what
# results were made from, only the records are made again.
checkpoint renew_sources:
    output:
        layout.renewed,
    log:
        layout.log("renew_sources"),
    benchmark:
        layout.benchmark("renew_sources")
    localrule: True
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=60,
    params:
        results_folder=results_folder,
        results=lambda w: made_of.to_renew(),
        stamps=lambda w: made_of.stamps(),
        source=stage_code("renew_sources"),
    message:
        "compare files that have other dates with what results were made from, and renew the records"
    script:
        "../scripts/renew_sources.py"


# What was made and is missing or damaged now, though its descendants are there; see `collected`.
checkpoint repair:
    input:
        results=to_repair,
        digests=lambda w: lost.declared_digests(to_repair(w)),
    output:
        layout.repaired("{target}", "{level}"),
    log:
        layout.log("repair/{target}/{level}"),
    benchmark:
        layout.benchmark("repair/{target}/{level}")
    localrule: True
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=5,
    params:
        results_folder=results_folder,
        results=lambda w: to_repair(w),
        source=stage_code("repair"),
    message:
        "list what was lost of {wildcards.target} and is made again, step {wildcards.level}"
    script:
        "../scripts/repair.py"
