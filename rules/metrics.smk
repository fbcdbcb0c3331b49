# REQUIRED INPUTS: attacks and responses of rules/attacks.smk, transfers, evaluations
# OUTPUTS: results/metrics/<source>/seed<k>/<metrics>.csv, .h5; results/tables/*.csv; index.csv


def metrics_inputs(wildcards):
    source, seeds = guarded(PLAN.get, wildcards.source), seeds_of(wildcards.seeds)
    pairing = guarded(PLAN.get, wildcards.metrics).pairing
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
