# advtransfer: what the graph makes. `snakemake` makes the main job, `snakemake all_studies` every
# study, `snakemake <target>` one thing: a study, `tables`, `figures`, `report`, or any path of
# results/index.csv.


from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

# Every study's settings; over them what studies share, and over both what --configfile says.
for file in sorted(Path("workflow_scripts/studies").glob("*/config.yaml")):
    update_config(config, load_configfile(file))


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/sources.smk"
include: "rules/transfers.smk"
include: "rules/detection.smk"
include: "rules/attacks.smk"
include: "rules/metrics.smk"
include: "rules/studies.smk"
include: "rules/report.smk"


report: "rules/report/workflow.rst"


rule all:
    default_target: True
    input:
        rules.tables.input,
        lambda w: figures_of(*PLAN.main),
        REPORT,


rule all_studies:
    """Target: every study of the configuration."""
    input:
        rules.tables.input,
        tables_of(*PLAN.studies),
        lambda w: figures_of(*PLAN.studies),
        REPORT_ALL,


onstart:
    runs.lift_rate_limit(workflow)
    guarded(plans.check_writable, addresses.RESULTS)
    guarded(runs.begin, workflow.non_local_exec)
    stopping.obey(workflow)
    failures.explain(workflow)


onsuccess:
    runs.end()


onerror:
    stopping.end(workflow)
