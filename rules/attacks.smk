# REQUIRED INPUTS: sources of rules/sources.smk, views of rules/data.smk
# OUTPUTS: results/attacks/<source>/seed<k>/<block>.h5, results/responses/<source>/seed<k>/<pairing>.h5


rule attack_source:
    """One network on one view: a block of attacks."""
    input:
        unpack(lambda w: view_and_dataset(guarded(PLAN.get, w.block).view)),
        code=code_of("attack_source", "source", "block"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/attacks/{{source}}/seeds{{seeds}}/{{block}}.h5",
    log:
        f"{LOGS}/attack_source/{{source}}/seeds{{seeds}}/{{block}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(4 * 60),
    params:
        recipe=recipe_of("block"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.attack_source --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"


def response_inputs(wildcards):
    source = guarded(PLAN.get, wildcards.source)
    recipe = guarded(PLAN.get, wildcards.pairing)
    return {
        **view_and_dataset(recipe.attacks.view),
        "source_checkpoints": checkpoints(wildcards),
        "reference_checkpoints": checkpoint_paths(
            recipe.reference, recipe.reference_seeds
        ),
        **pair_of_attacks(source, seeds_of(wildcards.seeds), recipe),
    }


rule respond:
    """A source and a block of reference seeds on each other's perturbations."""
    input:
        unpack(response_inputs),
        code=code_of("respond", "source", "pairing"),
    output:
        f"{addresses.RESULTS}/responses/{{source}}/seeds{{seeds}}/{{pairing}}.h5",
    log:
        f"{LOGS}/respond/{{source}}/seeds{{seeds}}/{{pairing}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(4 * 60),
    params:
        recipe=recipe_of("pairing"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.respond --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --source-checkpoints {input.source_checkpoints:q}"
        " --source-attacks {input.source_attacks:q}"
        " --reference-checkpoints {input.reference_checkpoints:q}"
        " --reference-attacks {input.reference_attacks:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"
