# REQUIRED INPUTS: sources of rules/sources.smk, views of rules/data.smk
# OUTPUTS: results/attacks/<source>/seed<k>/<block>.h5, results/responses/<source>/seed<k>/<pairing>.h5


rule attack_source:
    """One network on one view: a block of attacks."""
    input:
        unpack(lambda w: view_and_dataset(told(PLAN.get, w.block).view)),
        code=code_of("attack_source", "source", "block"),
        checkpoint=rules.train_source.output.checkpoint,
    output:
        f"{plans.RESULTS}/attacks/{{source}}/seed{{seed}}/{{block}}.h5",
    params:
        recipe=recipe_of("block"),
    log:
        f"{LOGS}/attack_source/{{source}}/seed{{seed}}/{{block}}.log",
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "python -m workflow_scripts.attack_source --recipe {params.recipe:q}"
        " --seed {wildcards.seed}"
        " --threads {threads}"
        " --checkpoint {input.checkpoint:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"


def response_inputs(wildcards):
    source, seed = told(PLAN.get, wildcards.source), wildcards.seed
    recipe = told(PLAN.get, wildcards.pairing)
    seeds = recipe.reference_seeds
    return {
        **view_and_dataset(recipe.attacks.view),
        "source_checkpoint": checkpoint_path(source, seed),
        "source_attacks": plans.attack_path(source, seed, recipe.attacks),
        "reference_checkpoints": [checkpoint_path(recipe.reference, k) for k in seeds],
        "reference_attacks": [
            plans.attack_path(recipe.reference, k, recipe.attacks) for k in seeds
        ],
    }


rule respond:
    """A source and a block of reference seeds on each other's perturbations."""
    input:
        unpack(response_inputs),
        code=code_of("respond", "source", "pairing"),
    output:
        f"{plans.RESULTS}/responses/{{source}}/seed{{seed}}/{{pairing}}.h5",
    params:
        recipe=recipe_of("pairing"),
    log:
        f"{LOGS}/respond/{{source}}/seed{{seed}}/{{pairing}}.log",
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "python -m workflow_scripts.respond --recipe {params.recipe:q}"
        " --threads {threads}"
        " --source-checkpoint {input.source_checkpoint:q}"
        " --source-attacks {input.source_attacks:q}"
        " --reference-checkpoints {input.reference_checkpoints:q}"
        " --reference-attacks {input.reference_attacks:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"
