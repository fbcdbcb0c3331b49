# advtransfer: what the graph makes. `snakemake` makes everything, `snakemake <target>` one thing:
# a study, `tables`, `figures`, `report`, or any path of results/index.csv.


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/sources.smk"
include: "rules/transfers.smk"
include: "rules/attacks.smk"
include: "rules/metrics.smk"
include: "rules/figures.smk"


report: "rules/report/workflow.rst"


rule all:
    default_target: True
    input:
        rules.tables.input,
        lambda w: figures_of(*PLAN.studies),
        REPORT,


for study in PLAN.studies:

    include: f"rules/studies/{study}.smk"


onstart:
    told(plans.check_writable, plans.RESULTS)
    told(runs.begin, workflow.non_local_exec)


onsuccess:
    runs.end()


onerror:
    runs.end()
