# REQUIRED INPUTS: sources of rules/sources.smk, views and comparisons of rules/data.smk
# OUTPUTS: results/transfers/<source>/seeds<k>/<transfer>.h5, .csv; results/features/<source>/
# seeds<k>/<features>.h5; results/subsets/<source>/seeds<k>/<subsets>.csv; results/similarity/ and
# results/granularity/ in the same form


def target_views(recipe):
    """Both views of a transfer's target, and their dataset."""
    return {
        "train_view": addresses.view_path(recipe.train),
        "test_view": addresses.view_path(recipe.test),
        "dataset": addresses.dataset_path(recipe.train.dataset),
    }


def comparison_of(source, recipe):
    """Which of the target's images the source is trained on, where that is known."""
    found = compared(source, recipe)
    return {} if found is None else {"comparison": addresses.comparison_path(found)}


def transfer_inputs(wildcards):
    source = guarded(PLAN.get, wildcards.source)
    recipe = guarded(PLAN.get, wildcards.transfer)
    return {**target_views(recipe), **comparison_of(source, recipe)}


rule transfer_source:
    """One source and seed to one target, in every mode of the protocol."""
    input:
        unpack(transfer_inputs),
        code=code_of("transfer_source", "source", "transfer"),
        checkpoints=checkpoints,
    output:
        logits=f"{addresses.RESULTS}/transfers/{{source}}/seeds{{seeds}}/{{transfer}}.h5",
        curves=f"{addresses.RESULTS}/transfers/{{source}}/seeds{{seeds}}/{{transfer}}.csv",
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
        comparison=lambda w, input: given(w, input, "--comparison"),
    shell:
        "python -m workflow_scripts.transfer_source --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " {params.comparison}"
        " --train-view {input.train_view:q}"
        " --test-view {input.test_view:q}"
        " --dataset {input.dataset:q}"
        " --output {output.logits:q}"
        " --curves {output.curves:q}"
        " 2> {log:q}"


rule extract_features:
    """The frozen part of a block of seeds, run once over a target's images."""
    input:
        unpack(lambda w: target_views(guarded(PLAN.get, w.features))),
        code=code_of("extract_features", "source", "features"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/features/{{source}}/seeds{{seeds}}/{{features}}.h5",
    log:
        f"{LOGS}/extract_features/{{source}}/seeds{{seeds}}/{{features}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(2 * 60),
    params:
        recipe=recipe_of("features"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.extract_features --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --train-view {input.train_view:q}"
        " --test-view {input.test_view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"


def subsets_inputs(wildcards):
    recipe = guarded(PLAN.get, wildcards.subsets)
    source = guarded(PLAN.get, wildcards.source)
    inputs = target_views(recipe)
    features = cached_features(recipe)
    if features is not None:
        inputs["features"] = addresses.block_path(
            "features", source, seeds_of(wildcards.seeds), features, "h5"
        )
    return inputs | comparison_of(source, recipe)


rule transfer_subsets:
    """One source to random subsets of one target: a block of sizes and subset seeds, by one mode."""
    input:
        unpack(subsets_inputs),
        code=code_of("transfer_subsets", "source", "subsets"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/subsets/{{source}}/seeds{{seeds}}/{{subsets}}.csv",
    log:
        f"{LOGS}/transfer_subsets/{{source}}/seeds{{seeds}}/{{subsets}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(6 * 60),
    params:
        recipe=recipe_of("subsets"),
        seeds=lambda w: seeds_of(w.seeds),
        features=lambda w, input: given(w, input, "--features"),
        comparison=lambda w, input: given(w, input, "--comparison"),
    shell:
        "python -m workflow_scripts.transfer_subsets --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " {params.comparison}"
        " --train-view {input.train_view:q}"
        " --test-view {input.test_view:q}"
        " --dataset {input.dataset:q}"
        " {params.features}"
        " --output {output:q}"
        " 2> {log:q}"


def similarity_inputs(wildcards):
    recipe = guarded(PLAN.get, wildcards.similarity)
    return {
        "source_view": addresses.view_path(recipe.source),
        "source_dataset": addresses.dataset_path(recipe.source.dataset),
        "target_view": addresses.view_path(recipe.target),
        "target_dataset": addresses.dataset_path(recipe.target.dataset),
    }


rule measure_similarity:
    """How far a target is from a source's own images, in the source's features."""
    input:
        unpack(similarity_inputs),
        code=code_of("measure_similarity", "source"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/similarity/{{source}}/seeds{{seeds}}/{{similarity}}.csv",
    log:
        f"{LOGS}/measure_similarity/{{source}}/seeds{{seeds}}/{{similarity}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(60),
    params:
        recipe=recipe_of("similarity"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.measure_similarity --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --source-view {input.source_view:q}"
        " --source-dataset {input.source_dataset:q}"
        " --target-view {input.target_view:q}"
        " --target-dataset {input.target_dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule measure_granularity:
    """How fine-grained a target is, by its images, its labels and a source's features."""
    input:
        unpack(lambda w: view_and_dataset(guarded(PLAN.get, w.granularity).view)),
        code=code_of("measure_granularity", "source"),
        checkpoints=checkpoints,
    output:
        f"{addresses.RESULTS}/granularity/{{source}}/seeds{{seeds}}/{{granularity}}.csv",
    log:
        f"{LOGS}/measure_granularity/{{source}}/seeds{{seeds}}/{{granularity}}.log",
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(10000),
        runtime=growing_time(60),
    params:
        recipe=recipe_of("granularity"),
        seeds=lambda w: seeds_of(w.seeds),
    shell:
        "python -m workflow_scripts.measure_granularity --recipe {params.recipe:q}"
        " --seeds {params.seeds}"
        " --threads {threads}"
        " --checkpoints {input.checkpoints:q}"
        " --view {input.view:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"
