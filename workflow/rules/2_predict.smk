# 2 · PREDICT: a base model over one part of a dataset → a part of its prediction store; first, the denoising
#     autoencoders that base models need, and the refiners that stand behind them, which the configuration trains
#
# REQUIRED INPUTS
#   the photographs of a denoising autoencoder
#   of a refiner: a training set and what it refines there, the files of the network that guides it
#   results/datasets/{dataset}.zarr/{part}, and the files of the predictions where they exist already, or of the network
#   adopt: the root of a shared store, at a path or URL
# OUTPUTS
#   results/denoisers/{denoiser}.safetensors            float32 weights; .csv: step, seconds, learning_rate, loss, psnr
#   results/refiners/{refiner}.safetensors, .csv        likewise; {refiner} is a model, or {experiment}/{method}
#   results/predictions/{dataset}/{model}.zarr/{part}   value (channel, pixel), dtype of the targets; image, …
#       adopted: source_part, source_offset (image) in place of value, unless `fetch: true`
#   results/predictions/{dataset}/{model}.zarr/zarr.json   the seal


rule train_denoiser:
    input:
        unpack(reading(lambda w: reads.train_denoiser(w.denoiser))),
    output:
        weights=layout.denoiser("{denoiser}"),
        curve=layout.denoiser_curve("{denoiser}"),
        digest=layout.digest(layout.denoiser("{denoiser}")),
        curve_digest=layout.digest(layout.denoiser_curve("{denoiser}")),
    log:
        layout.log("train_denoiser/{denoiser}"),
    benchmark:
        layout.benchmark("train_denoiser/{denoiser}")
    cache: caching
    conda:
        environment
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=1440,
        gpu=1 if settings.compute.device == "cuda" else 0,
        device=settings.compute.device,
    params:
        results_folder=results_folder,
        identity=identity,
        checkpoint=lambda w, output: layout.checkpoint(output.weights),
        settings=lambda w: settings.denoisers[w.denoiser].model_dump(mode="json", exclude={"photographs"}),
        made_of=lambda w: made_of.record(layout.denoiser(w.denoiser), reads.train_denoiser(w.denoiser)),
        source=stage_code("train_denoiser"),
    message:
        "train denoiser {wildcards.denoiser}"
    script:
        "../scripts/train_denoiser.py"


rule train_refiner:
    input:
        unpack(reading(lambda w: reads.train_refiner(w.refiner))),
    output:
        weights=layout.refiner("{refiner}"),
        curve=layout.refiner_curve("{refiner}"),
        digest=layout.digest(layout.refiner("{refiner}")),
        curve_digest=layout.digest(layout.refiner_curve("{refiner}")),
    log:
        layout.log("train_refiner/{refiner}"),
    benchmark:
        layout.benchmark("train_refiner/{refiner}")
    cache: caching
    conda:
        environment
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=1440,
        gpu=1 if settings.compute.device == "cuda" else 0,
        device=settings.compute.device,
    params:
        results_folder=results_folder,
        identity=identity,
        checkpoint=lambda w, output: layout.checkpoint(output.weights),
        prior=lambda w: reads.refiner(w.refiner).settings.seen["prior"],
        architecture=lambda w: reads.refiner(w.refiner).settings.seen["architecture"],
        course=lambda w: reads.refiner(w.refiner).settings.training.course,
        made_of=lambda w: made_of.record(layout.refiner(w.refiner), reads.train_refiner(w.refiner)),
        source=stage_code("train_refiner"),
    message:
        "train refiner {wildcards.refiner}"
    script:
        "../scripts/train_refiner.py"


rule predict:
    input:
        unpack(reading(lambda w: reads.predict(w.dataset, w.model, w.part))),
    output:
        part=directory(layout.part(layout.predictions("{dataset}", "{model}"), "{part}")),
        digest=layout.digest(layout.part(layout.predictions("{dataset}", "{model}"), "{part}")),
    log:
        layout.log("predict/{dataset}/{model}/{part}"),
    benchmark:
        layout.benchmark("predict/{dataset}/{model}/{part}")
    cache: caching
    conda:
        environment
    threads: lambda w: network_threads() if plan.network(w.model) else 1
    resources:
        mem_mb=lambda w, attempt: attempt * memory.predict(w.dataset, w.model, w.part),
        runtime=240,
        gpu=lambda w: 1 if plan.network(w.model) and reads.device(w.model) == "cuda" else 0,
        device=lambda w: reads.device(w.model),
        batch=lambda w: getattr(settings.models[w.model], "batch", 1),
    params:
        results_folder=results_folder,
        identity=identity,
        settings=lambda w: settings.models[w.model].traced,
        crop=lambda w: settings.datasets[w.dataset].cropped,
        made_of=lambda w: made_of.record(
            layout.part(layout.predictions(w.dataset, w.model), w.part),
            reads.predict(w.dataset, w.model, w.part),
        ),
        source=lambda w: stage_code("predict", [settings.models[w.model]]),
        functions=lambda w: functions_code([settings.models[w.model]]),
    message:
        "predict {wildcards.dataset} with {wildcards.model}, part {wildcards.part}"
    script:
        "../scripts/predict.py"


# Models of `kind: store` have no predict jobs.
rule adopt:
    input:
        unpack(reading(lambda w: reads.adopt(w.dataset, w.part))),
    output:
        part=directory(layout.part(layout.predictions("{dataset}", "{model}"), "{part}")),
        digest=layout.digest(layout.part(layout.predictions("{dataset}", "{model}"), "{part}")),
    log:
        layout.log("adopt/{dataset}/{model}/{part}"),
    benchmark:
        layout.benchmark("adopt/{dataset}/{model}/{part}")
    wildcard_constraints:
        model="|".join(reads.adopted()) or NOTHING,
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=240,
    params:
        results_folder=results_folder,
        identity=adopted_identity,
        settings=lambda w: settings.models[w.model].traced,
        shared=lambda w: plan.shared(w.dataset, w.model),
        source=stage_code("adopt"),
    message:
        "adopt {wildcards.dataset} of {wildcards.model} from {params.shared[location]}, part {wildcards.part}"
    script:
        "../scripts/adopt.py"


ruleorder: adopt > predict


use rule seal_dataset as seal_predictions with:
    input:
        unpack(reading(lambda w: reads.seal(layout.predictions(w.dataset, w.model), w.dataset))),
    output:
        seal=layout.seal(layout.predictions("{dataset}", "{model}")),
        digest=layout.digest(layout.seal(layout.predictions("{dataset}", "{model}"))),
    log:
        layout.log("seal/{dataset}/{model}"),
    benchmark:
        layout.benchmark("seal/{dataset}/{model}")
    message:
        "seal the predictions of {wildcards.model} for {wildcards.dataset}"
