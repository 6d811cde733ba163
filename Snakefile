# EnsIR-flow: a table of contents.
#
#   ingest → predict → partition → estimate → merge → fuse → score → report, figures
#
# Each stage has one name everywhere: workflow/rules/N_stage.smk, workflow/scripts/stage.py, src/ensir/stages/stage.py.

from snakemake.utils import min_version

min_version("9.27")

if not workflow.configfiles and "experiments" not in config:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/1_ingest.smk"
include: "workflow/rules/2_predict.smk"
include: "workflow/rules/3_partition.smk"
include: "workflow/rules/4_estimate.smk"
include: "workflow/rules/5_merge.smk"
include: "workflow/rules/6_fuse.smk"
include: "workflow/rules/7_score.smk"
include: "workflow/rules/8_report.smk"
include: "workflow/rules/9_figures.smk"


rule all:
    default_target: True
    input:
        collected("all", reads.targets.all()),
        lambda w: layout.renewed if made_of.to_renew() else [],


# Partial targets, each a stage of the whole: snakemake predictions, snakemake luts, snakemake scores
rule predictions:
    input:
        collected("predictions", reads.targets.sealed_predictions()),


rule luts:
    input:
        collected("luts", reads.targets.luts()),


rule scores:
    input:
        collected("scores", [layout.summary]),


# Figures as files, all or one kind: snakemake figures, snakemake gain
rule figures:
    input:
        collected("figures", [file for files in reads.targets.figures().values() for file in files]),


for figure, files in reads.targets.figures().items():

    rule:
        name:
            figure
        input:
            collected(figure, files),


# Snakemake refuses to cache a rule with a benchmark, and has no public way to define one only when not caching.
if caching:
    for cached in workflow.rules:
        if cached.cache.output:
            cached._benchmark = None


# Snakemake's limit of job starts per second leaves a timer behind for every job that has ended, and each of these makes
# it look at all jobs again, every second: in a run of thousands of jobs it would do little else.
onstart:
    workflow.scheduler.job_rate_limiter = None
