# REQUIRED INPUTS: views and datasets of rules/data.smk
# OUTPUTS: results/sources/<source>/seed<k>/, results/evaluations/<source>/seed<k>/<evaluation>.csv


def training_inputs(wildcards):
    recipe = told(PLAN.get, wildcards.source)
    inputs = view_and_dataset(recipe.view)
    if recipe.test is not None:
        inputs["test_view"] = plans.view_path(recipe.test)
    return inputs


def test_view_option(wildcards):
    recipe = told(PLAN.get, wildcards.source)
    return (
        ""
        if recipe.test is None
        else f"--test-view {shlex.quote(plans.view_path(recipe.test))}"
    )


rule train_source:
    """One network, one seed: a source or a reference."""
    input:
        unpack(training_inputs),
        code=code_of("train_source", "source"),
    output:
        checkpoint=f"{plans.RESULTS}/sources/{{source}}/seed{{seed}}/model.safetensors",
        history=f"{plans.RESULTS}/sources/{{source}}/seed{{seed}}/history.csv",
        recipe=f"{plans.RESULTS}/sources/{{source}}/seed{{seed}}/recipe.json",
    log:
        f"{LOGS}/train_source/{{source}}/seed{{seed}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        nodes=1,  # all its GPUs on one machine
        mem_mb=growing_memory(4000),
        runtime=growing_time(6 * 60),
    params:
        recipe=recipe_of("source"),
        test_view=test_view_option,
    # The resume file is no output: Snakemake would remove it before a retry.
    shell:
        "python -m workflow_scripts.train_source --recipe {params.recipe:q}"
        " --seed {wildcards.seed}"
        " --threads {threads}"
        " --processes {resources.gpu}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " {params.test_view}"
        " --resume {output.checkpoint:q}.resume"
        " --checkpoint {output.checkpoint:q}"
        " --history {output.history:q}"
        " --recipe-file {output.recipe:q}"
        " 2> {log:q}"


rule evaluate_source:
    """Clean and robust accuracy of one source."""
    input:
        unpack(lambda w: view_and_dataset(told(PLAN.get, w.evaluation).view)),
        code=code_of("evaluate_source", "source", "evaluation"),
        checkpoints=checkpoints,
    output:
        f"{plans.RESULTS}/evaluations/{{source}}/seeds{{seeds}}/{{evaluation}}.csv",
    log:
        f"{LOGS}/evaluate_source/{{source}}/seeds{{seeds}}/{{evaluation}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(2 * 60),
    params:
        recipe=recipe_of("evaluation"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.evaluate_source --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"
