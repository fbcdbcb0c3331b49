# REQUIRED INPUTS: results/tables; the figures themselves stand in rules/studies/<study>.smk
# OUTPUTS: results/report.html, results/report_all_studies.html


# A Snakemake inside Snakemake, which only reads: hence no lock. It gets the configuration as it was
# resolved, whatever overlays and --config options this run was given.
REPORTING = (
    "snakemake {targets} --report {{output:q}} --configfile {{input.config:q}}"
    " --nolock --quiet rules > {{log:q}} 2>&1"
)


def figure_recipe(study, keys):
    """What decides a figure beside its tables, as canonical JSON: only the keys it uses."""
    return lambda wildcards: told(plans.figure_recipe, PLAN, study, keys.split())


def page_recipe(study):
    """The same for a study's page, with the facts of the config that it prints."""
    return lambda wildcards: told(plans.page_recipe, PLAN, study)


def page_templates(study):
    """The template of a study's page, what it includes, and the captions it repeats."""
    folder = Path("rules/report")
    templates = [
        folder / f"{name}.html.j2" for name in (study, "base", "pairs", "parts")
    ]
    return beside([*templates, *sorted(folder.glob("figure_*.rst"))])


def figures_of(*studies):
    """Input: every figure and page of the studies, read off the rules of their files."""
    outputs = [
        artefact_at(str(output)) for rule in workflow.rules for output in rule.output
    ]
    return [
        output
        for output in outputs
        if any(
            output.startswith((f"{FIGURES}/{study}/", f"{OUTPUT}/pages/{study}."))
            for study in studies
        )
    ]


rule figures:
    """Target: every figure and every page of the main job."""
    input:
        lambda w: figures_of(*PLAN.main),


rule report:
    """One HTML file with pages, figures, tables, configuration and environment."""
    input:
        rules.tables.input,
        lambda w: figures_of(*PLAN.main),
        captions=beside(sorted(Path("rules/report").glob("*.rst"))),
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
        captions=beside(sorted(Path("rules/report").glob("*.rst"))),
        config=rules.record_run.output.config,
    output:
        REPORT_ALL,
    log:
        f"{RUN_LOGS}/report/all_studies.log",
    localrule: True
    shell:
        REPORTING.format(targets=" ".join(["tables figures", *PLAN.studies]))
