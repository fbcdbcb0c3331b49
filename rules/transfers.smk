# REQUIRED INPUTS: sources of rules/sources.smk, views of rules/data.smk
# OUTPUTS: results/transfers/<source>/seed<k>/<transfer>.h5, .csv


def transfer_inputs(wildcards):
    recipe = told(PLAN.get, wildcards.transfer)
    return {
        "source_view": plans.view_path(told(PLAN.get, wildcards.source).view),
        "train_view": plans.view_path(recipe.train),
        "test_view": plans.view_path(recipe.test),
        "dataset": plans.dataset_path(recipe.train.dataset),
    }


rule transfer_source:
    """One source and seed to one target, in every mode of the protocol."""
    input:
        unpack(transfer_inputs),
        code=code_of("transfer_source", "source", "transfer"),
        checkpoints=checkpoints,
    output:
        logits=f"{plans.RESULTS}/transfers/{{source}}/seeds{{seeds}}/{{transfer}}.h5",
        curves=f"{plans.RESULTS}/transfers/{{source}}/seeds{{seeds}}/{{transfer}}.csv",
    log:
        f"{LOGS}/transfer_source/{{source}}/seeds{{seeds}}/{{transfer}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(4 * 60),
    params:
        recipe=recipe_of("transfer"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.transfer_source --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --source-view {input.source_view:q}"
        " --train-view {input.train_view:q}"
        " --test-view {input.test_view:q}"
        " --dataset {input.dataset:q}"
        " --output {output.logits:q}"
        " --curves {output.curves:q}"
        " 2> {log:q}"
