# REQUIRED INPUTS: views and datasets of rules/data.smk
# OUTPUTS: results/sources/<source>/seed<k>/ (imported-<name>-...: a file of another program,
# pretrained-<name>-...: published weights),
# results/evaluations/<source>/seeds<k>/<evaluation>.csv


def training_inputs(wildcards):
    recipe = guarded(PLAN.get, wildcards.source)
    inputs = view_and_dataset(recipe.view)
    where = addresses.address(recipe.view)
    inputs["admitted"] = ancient(
        f"{addresses.RESULTS}/data/comparisons/{where}.admitted"
    )
    if recipe.test is not None:
        inputs["test_view"] = addresses.view_path(recipe.test)
    return inputs


def imported_files(wildcards):
    """Input: a checkpoint of another program, and the names of its classes."""
    part = config["checkpoints"][guarded(PLAN.get, wildcards.source).name]
    files = {"weights": part["file"]}
    if "classes_file" in part:
        files["names"] = part["classes_file"]
    # The recipe has the digest of what they hold; a new date is no new file.
    return dict(zip(files, map(ancient, beside(map(expanded, files.values())))))


def import_options(recipe):
    """An imported source's recipe, as the step's options."""
    options = ["--family", recipe.model.family, "--sha256", recipe.sha256]
    options += ["--parameters", json.dumps(recipe.model.parameters, sort_keys=True)]
    options += ["--size", recipe.size]
    options += ["--classes", *recipe.classes] if recipe.head else ["--no-head"]
    if recipe.entry:
        options += ["--entry", recipe.entry]
    for name in ("mean", "std"):
        if values := getattr(recipe, name):
            options += [f"--{name}", *values]
    return shlex.join(map(str, options))


rule import_source:
    """A checkpoint of another program as one of the project's."""
    input:
        unpack(imported_files),
        code=code_of("import_checkpoint", "source"),
    output:
        f"{addresses.RESULTS}/sources/{{source}}/seed0/model.safetensors",
    log:
        f"{LOGS}/import_source/{{source}}.log",
    wildcard_constraints:
        source=r"imported-[^/]+",
    localrule: True
    params:
        options=lambda w: import_options(guarded(PLAN.get, w.source)),
    shell:
        "python -m workflow_scripts.import_checkpoint --checkpoint {input.weights:q}"
        " {params.options}"
        " --output {output:q}"
        " 2> {log:q}"


def pretrained_options(recipe):
    """Published weights' recipe, as the step's options."""
    options = ["--pretrained", recipe.pretrained, "--size", recipe.size]
    if recipe.sha256:
        options += ["--sha256", recipe.sha256]
    return shlex.join(map(str, options))


rule fetch_pretrained:
    """Published weights, from where they are published, as one of the project's checkpoints."""
    input:
        code=code_of("fetch_pretrained", "source"),
    output:
        f"{addresses.RESULTS}/sources/{{source}}/seed0/model.safetensors",
    log:
        f"{LOGS}/fetch_pretrained/{{source}}.log",
    wildcard_constraints:
        source=r"pretrained-[^/]+",
    localrule: True
    params:
        options=lambda w: pretrained_options(guarded(PLAN.get, w.source)),
    shell:
        "python -m workflow_scripts.fetch_pretrained {params.options}"
        " --downloads {DOWNLOADS}"
        " --output {output:q}"
        " 2> {log:q}"


rule train_source:
    """One network, one seed: a source or a reference."""
    input:
        unpack(training_inputs),
        code=code_of("train_source", "source"),
    output:
        checkpoint=f"{addresses.RESULTS}/sources/{{source}}/seed{{seed}}/model.safetensors",
        history=f"{addresses.RESULTS}/sources/{{source}}/seed{{seed}}/history.csv",
        recipe=f"{addresses.RESULTS}/sources/{{source}}/seed{{seed}}/recipe.json",
    log:
        f"{LOGS}/train_source/{{source}}/seed{{seed}}.log",
    wildcard_constraints:
        source=r"(?!imported-|pretrained-)[^/]+",
    threads: 1
    resources:
        gpu=one_gpu,
        nodes=1,  # all its GPUs on one machine
        mem_mb=growing_memory(4000),
        runtime=growing_time(6 * 60),
    params:
        recipe=recipe_of("source"),
        test_view=lambda w, input: given(w, input, "--test-view"),
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
        unpack(lambda w: view_and_dataset(guarded(PLAN.get, w.evaluation).view)),
        code=code_of("evaluate_source", "source", "evaluation"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/evaluations/{{source}}/seeds{{seeds}}/{{evaluation}}.csv",
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
