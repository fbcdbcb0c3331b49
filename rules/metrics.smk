# REQUIRED INPUTS: attacks and responses of rules/attacks.smk, transfers, evaluations
# OUTPUTS: results/metrics/<source>/seed<k>/<metrics>.csv, .h5; results/tables/*.csv; index.csv


def metrics_inputs(wildcards):
    source, seed = told(PLAN.get, wildcards.source), wildcards.seed
    pairing = told(PLAN.get, wildcards.metrics).pairing
    return {
        "source_attacks": plans.attack_path(source, seed, pairing.attacks),
        "reference_attacks": [
            plans.attack_path(pairing.reference, k, pairing.attacks)
            for k in pairing.reference_seeds
        ],
        "responses": plans.response_path(source, seed, pairing),
    }


rule compute_metrics:
    """Every transferability metric of a pairing: arithmetic, no network."""
    input:
        unpack(metrics_inputs),
        code=code_of("compute_metrics"),
    output:
        table=f"{plans.RESULTS}/metrics/{{source}}/seed{{seed}}/{{metrics}}.csv",
        per_image=f"{plans.RESULTS}/metrics/{{source}}/seed{{seed}}/{{metrics}}.h5",
    params:
        recipe=recipe_of("metrics"),
    log:
        f"{LOGS}/compute_metrics/{{source}}/seed{{seed}}/{{metrics}}.log",
    shell:
        "python -m workflow_scripts.compute_metrics --recipe {params.recipe:q}"
        " --source-attacks {input.source_attacks:q}"
        " --reference-attacks {input.reference_attacks:q}"
        " --responses {input.responses:q}"
        " --output {output.table:q}"
        " --per-image {output.per_image:q}"
        " 2> {log:q}"


rule collect_study:
    """All artefacts of a study as tidy tables."""
    input:
        lambda w: plans.study_files(PLAN.studies[w.study]),
        code=code_of("collect_study"),
    output:
        table=f"{TABLES}/{{study}}.csv",
        sources=f"{TABLES}/{{study}}_sources.csv",
        curves=f"{TABLES}/{{study}}_curves.csv",
        per_image=f"{TABLES}/{{study}}_per_image.csv",
    params:
        recipe=lambda w: plans.study_config(config, w.study),
    wildcard_constraints:
        study="|".join(PLAN.studies),
    log:
        f"{LOGS}/collect_study/{config['label']}{{study}}.log",
    shell:
        "python -m workflow_scripts.collect_study --recipe {params.recipe:q}"
        " --table {output.table:q}"
        " --sources {output.sources:q}"
        " --curves {output.curves:q}"
        " --per-image {output.per_image:q}"
        " 2> {log:q}"


rule correlate_study:
    """Correlations of a study's metrics with knowledge transfer, by model."""
    input:
        code=code_of("correlate_study"),
        table=rules.collect_study.output.table,
    output:
        f"{TABLES}/{{study}}_correlations.csv",
    params:
        recipe=lambda w: plans.statistics_recipe(PLAN, w.study),
    wildcard_constraints:
        study="|".join(PLAN.studies),
    log:
        f"{LOGS}/correlate_study/{config['label']}{{study}}.log",
    shell:
        "python -m workflow_scripts.correlate_study --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule correlations:
    """The correlations of all studies in one table."""
    input:
        code=code_of("concatenate_tables"),
        tables=expand(rules.correlate_study.output[0], study=PLAN.studies),
    output:
        f"{TABLES}/correlations.csv",
    log:
        f"{LOGS}/correlations/{config['label']}all.log",
    shell:
        "python -m workflow_scripts.concatenate_tables"
        " --tables {input.tables:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule index:
    """Names in the config and the paths of their artefacts."""
    input:
        code=code_of("write_index"),
    output:
        INDEX,
    params:
        recipe=json.dumps(config, sort_keys=True),
    log:
        f"{LOGS}/index/{config['label']}all.log",
    shell:
        "python -m workflow_scripts.write_index --recipe {params.recipe:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule tables:
    """Target: every table."""
    input:
        expand(rules.collect_study.output, study=PLAN.studies),
        rules.correlations.output,
