# REQUIRED INPUTS: attacks and responses of rules/attacks.smk, transfers, evaluations
# OUTPUTS: results/metrics/<source>/seed<k>/<metrics>.csv, .h5; results/tables/*.csv; index.csv


def metrics_inputs(wildcards):
    source, seeds = told(PLAN.get, wildcards.source), seeds_of(wildcards.seeds)
    pairing = told(PLAN.get, wildcards.metrics).pairing
    responses = addresses.block_path("responses", source, seeds, pairing, "h5")
    return {"responses": responses, **pair_of_attacks(source, seeds, pairing)}


rule compute_metrics:
    """Every transferability metric of a pairing: arithmetic, no network."""
    input:
        unpack(metrics_inputs),
        code=code_of("compute_metrics"),
    output:
        table=f"{addresses.RESULTS}/metrics/{{source}}/seeds{{seeds}}/{{metrics}}.csv",
        per_image=f"{addresses.RESULTS}/metrics/{{source}}/seeds{{seeds}}/{{metrics}}.h5",
    log:
        f"{LOGS}/compute_metrics/{{source}}/seeds{{seeds}}/{{metrics}}.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=recipe_of("metrics"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.compute_metrics --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --source-attacks {input.source_attacks:q}"
        " --reference-attacks {input.reference_attacks:q}"
        " --responses {input.responses:q}"
        " --output {output.table:q}"
        " --per-image {output.per_image:q}"
        " 2> {log:q}"


rule collect_study:
    """All artefacts of a study as tidy tables."""
    input:
        lambda w: PLAN.studies[w.study].files(),
        code=code_of("collect_study"),
    output:
        table=f"{TABLES}/{{study}}.csv",
        sources=report(
            f"{TABLES}/{{study}}_sources.csv",
            caption="report/table_sources.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "sources"},
        ),
        curves=f"{TABLES}/{{study}}_curves.csv",
        per_image=f"{TABLES}/{{study}}_per_image.csv",
    log:
        f"{RUN_LOGS}/collect_study/{{study}}.log",
    wildcard_constraints:
        study="|".join(PLAN.pairs) or "none",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.study_config(config, w.study),
        root=root_of,
    shell:
        "python -m workflow_scripts.collect_study --recipe {params.recipe:q}"
        " --root {params.root:q}"
        " --table {output.table:q}"
        " --sources {output.sources:q}"
        " --curves {output.curves:q}"
        " --per-image {output.per_image:q}"
        " 2> {log:q}"


rule collect_transfers:
    """All artefacts of a study of transfer to whole targets as tidy tables."""
    input:
        lambda w: PLAN.studies[w.study].files(),
        code=code_of("collect_transfers"),
    output:
        table=f"{TABLES}/{{study}}.csv",
        sources=report(
            f"{TABLES}/{{study}}_sources.csv",
            caption="report/table_sources.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "sources"},
        ),
        curves=f"{TABLES}/{{study}}_curves.csv",
    log:
        f"{RUN_LOGS}/collect_transfers/{{study}}.log",
    wildcard_constraints:
        study="|".join(PLAN.transfers) or "none",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.study_config(config, w.study),
        root=root_of,
    shell:
        "python -m workflow_scripts.collect_transfers --recipe {params.recipe:q}"
        " --root {params.root:q}"
        " --table {output.table:q}"
        " --sources {output.sources:q}"
        " --curves {output.curves:q}"
        " 2> {log:q}"


rule correlate_study:
    """Correlations of a study's metrics with knowledge transfer, by model."""
    input:
        code=code_of("correlate_study"),
        table=f"{TABLES}/{{study}}.csv",
    output:
        report(
            f"{TABLES}/{{study}}_correlations.csv",
            caption="report/table_correlations.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "correlations"},
        ),
    log:
        f"{RUN_LOGS}/correlate_study/{{study}}.log",
    wildcard_constraints:
        study="|".join(PLAN.pairs) or "none",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.statistics_recipe(PLAN, w.study),
    shell:
        "python -m workflow_scripts.correlate_study --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule correlations:
    """The correlations of all studies in one table."""
    input:
        code=code_of("concatenate_tables"),
        tables=[
            f"{TABLES}/{study}_correlations.csv"
            for study in PLAN.pairs
            if study in PLAN.main
        ],
    output:
        f"{TABLES}/correlations.csv",
    log:
        f"{RUN_LOGS}/correlations/all.log",
    localrule: True
    shell:
        "python -m workflow_scripts.concatenate_tables"
        " --tables {input.tables:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule record_run:
    """What every artefact is and where, the configuration, the environment."""
    input:
        code=code_of("record_run"),
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
        rules.correlations.output if set(PLAN.pairs) & set(PLAN.main) else [],
        rules.record_run.output,
