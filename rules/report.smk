# REQUIRED INPUTS: tables, figures and pages of rules/studies.smk
# OUTPUTS: results/index.csv, config.yaml, environment.csv; results/report.html,
# results/report_all_studies.html

# A Snakemake inside Snakemake, which only reads: hence no lock. It gets the configuration as it was
# resolved, whatever overlays and --config options this run was given.
REPORTING = (
    "snakemake {targets} --report {{output:q}} --configfile {{input.config:q}}"
    " --nolock --quiet rules > {{log:q}} 2>&1"
)


def designs():
    """Modules that say what the studies are: the index goes by them."""
    return sorted(
        {folders.find(s, kind, "design.py") for s, kind in PLAN.kinds.items()}
    )


rule record_run:
    """What every artefact is and where, the configuration, the environment."""
    input:
        code=beside(step_code("record_run", designs())),
    output:
        index=report(
            INDEX,
            caption="report/table_index.rst",
            category="About this run",
            labels={"table": "index of artefacts"},
        ),
        config=report(
            f"{OUTPUT}/config.yaml",
            caption="report/config.rst",
            category="About this run",
            labels={"table": "configuration"},
        ),
        environment=report(
            f"{OUTPUT}/environment.csv",
            caption="report/environment.rst",
            category="About this run",
            labels={"table": "environment"},
        ),
    log:
        f"{RUN_LOGS}/record_run/all.log",
    localrule: True
    params:
        recipe=lambda w: json.dumps(AS_GIVEN, sort_keys=True),
    shell:
        "python -m workflow_scripts.record_run --recipe {params.recipe:q}"
        " --index {output.index:q}"
        " --config {output.config:q}"
        " --environment {output.environment:q}"
        " 2> {log:q}"


rule tables:
    """Target: every table of the main job."""
    input:
        tables_of(*PLAN.main),
        [f"{TABLES}/{table}.csv" for table in concatenated()],
        rules.record_run.output,


rule figures:
    """Target: every figure and every page of the main job."""
    input:
        lambda w: figures_of(*PLAN.main),


rule report:
    """One HTML file with pages, figures, tables, configuration and environment."""
    input:
        rules.tables.input,
        lambda w: figures_of(*PLAN.main),
        captions=captions_of(*PLAN.main),
        config=rules.record_run.output.config,
    output:
        REPORT,
    log:
        f"{RUN_LOGS}/report/all.log",
    localrule: True
    shell:
        REPORTING.format(targets="tables figures")


rule report_all_studies:
    """The same of every study."""
    input:
        rules.tables.input,
        tables_of(*PLAN.studies),
        lambda w: figures_of(*PLAN.studies),
        captions=captions_of(*PLAN.studies),
        config=rules.record_run.output.config,
    output:
        REPORT_ALL,
    log:
        f"{RUN_LOGS}/report/all_studies.log",
    localrule: True
    shell:
        REPORTING.format(targets=" ".join(["tables figures", *PLAN.studies]))
