# 8 · REPORT: scores → the tables of a paper; with some images of each test set and the LUTs → one page
#     first, SELECT: statistics → what each subset of the models is worth
#
# REQUIRED INPUTS
#   select: results/statistics/{experiment}/bins.zarr
#   results/scores.csv, results/summary.csv, of each test set the parts that stay and all that was made of them, the LUTs,
#   the curves of trained refiners
# OUTPUTS
#   results/selections/{experiment}/{method}/*.csv  subsets, models, gains, images; see ensir.scoring.selection
#   results/tables/{experiment}/*.{csv,md,tex}   comparison, differences; bin_width, max_steps, runtime where they apply
#   results/report.html                          self-contained
#   results/provenance.json                      configuration, versions, machine; where, when and how each result was made


# One job for all experiments: it takes milliseconds, unless there are many models, and a job takes a second to start.
rule select:
    input:
        unpack(reading(lambda w: reads.select())),
    output:
        reads.selections.files(),
    log:
        layout.log("select"),
    benchmark:
        layout.benchmark("select")
    conda:
        environment
    threads: reads.selections.threads()
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        results_folder=results_folder,
        selections=reads.selections.asked(),
        source=stage_code("select", reads.selections.sections(), reads.selections.modules()),
    message:
        "select models"
    script:
        "../scripts/select.py"


rule tables:
    input:
        unpack(reading(lambda w: Read(files={"scores": layout.all_scores, "summary": layout.summary}))),
    output:
        tables=directory(layout.tables),
    log:
        layout.log("tables"),
    benchmark:
        layout.benchmark("tables")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        results_folder=results_folder,
        experiments=reads.experiments(),
        source=stage_code("tables"),
    message:
        "make the tables in {output.tables}"
    script:
        "../scripts/tables.py"


rule report:
    input:
        unpack(reading(lambda w: report_reads.read())),
    output:
        page=report(layout.report, category="Report", caption="../report/report.rst"),
    log:
        layout.log("report"),
    benchmark:
        layout.benchmark("report")
    conda:
        environment
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        results_folder=results_folder,
        experiments=reads.experiments(),
        samples=report_reads.samples(),
        files=lambda w, output: list(map(str, config_files)),  # other names rerun nothing
        curves=reads.curves(),
        selections=reads.selections.folders(),
        jobs=lambda w, output: jobs.names(reads),
        title=settings.report.title,
        images=settings.report.images,
        megabytes=settings.report.megabytes,
        source=stage_code(
            "report",
            [method for section in settings.experiments.values() for method in section.methods.values()],
        ),
        templates=templates_digest(),
    message:
        "make {output.page}"
    script:
        "../scripts/report.py"


rule provenance:
    input:
        unpack(reading(what_is_recorded)),
    output:
        record=layout.provenance,
    log:
        layout.log("provenance"),
    benchmark:
        layout.benchmark("provenance")
    conda:
        environment
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        results_folder=results_folder,
        config=reads.used_sections(),
        results=lambda w: results_to_record(),
        files=lambda w, output: list(map(str, config_files)),  # as with results_folder, other names rerun nothing
        source=stage_code("provenance"),
    message:
        "make {output.record}"
    script:
        "../scripts/provenance.py"
