# REQUIRED INPUTS: none (datasets come from the providers that the config lists)
# OUTPUTS: results/data/datasets/<dataset>.h5, results/data/views/<view>.h5,
# results/data/comparisons/<comparison>.h5, results/data/comparisons/<view>.admitted

# How the bytes are found does not decide what they are, so none of this is a param.
PROVIDERS = shlex.join(config["data"]["providers"])
LOCAL_DATA = (
    f"--local {shlex.quote(config['data']['local'])}"
    if config["data"].get("local")
    else ""
)
COMPARED_FIRST = 100  # what comparisons of images need comes before all training
DOWNLOADS = shlex.quote(f"{addresses.RESULTS}/data/downloads")


rule fetch_dataset:
    """One dataset, from the first provider that has it."""
    input:
        code=code_of("fetch_dataset", "dataset"),
    output:
        f"{addresses.RESULTS}/data/datasets/{{dataset}}.h5",
    log:
        f"{LOGS}/fetch_dataset/{{dataset}}.log",
    priority: COMPARED_FIRST
    localrule: True
    params:
        recipe=recipe_of("dataset"),
    shell:
        "python -m workflow_scripts.fetch_dataset --recipe {params.recipe:q}"
        " --providers {PROVIDERS}"
        " {LOCAL_DATA}"
        " --downloads {DOWNLOADS}"
        " --output {output:q}"
        " 2> {log:q}"


rule make_view:
    """A selection of a dataset's images."""
    input:
        code=code_of("make_view"),
        dataset=lambda w: addresses.dataset_path(guarded(PLAN.get, w.view).dataset),
    output:
        f"{addresses.RESULTS}/data/views/{{view}}.h5",
    log:
        f"{LOGS}/make_view/{{view}}.log",
    priority: COMPARED_FIRST
    localrule: True
    params:
        recipe=recipe_of("view"),
    shell:
        "python -m workflow_scripts.make_view --recipe {params.recipe:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"


def compared_views(wildcards):
    recipe = guarded(PLAN.get, wildcards.comparison)
    return {
        name: addresses.view_path(view)
        for name, view in (
            ("source_view", recipe.source),
            ("train_view", recipe.train),
            ("test_view", recipe.test),
        )
    }


rule compare_views:
    """The images of a target that a source is trained on."""
    input:
        unpack(compared_views),
        code=code_of("compare_views"),
    output:
        f"{addresses.RESULTS}/data/comparisons/{{comparison}}.h5",
    log:
        f"{LOGS}/compare_views/{{comparison}}.log",
    priority: COMPARED_FIRST
    localrule: True
    params:
        recipe=recipe_of("comparison"),
    shell:
        "python -m workflow_scripts.compare_views --recipe {params.recipe:q}"
        " --source-view {input.source_view:q}"
        " --train-view {input.train_view:q}"
        " --test-view {input.test_view:q}"
        " --output {output:q}"
        " 2> {log:q}"


def refusing(wildcards):
    """Input: what has to be compared before a network, source or reference, may train on a view."""
    view = whole(guarded(PLAN.get, wildcards.view))
    return [
        addresses.comparison_path(recipe)
        for recipe in PLAN.recipes.values()
        if isinstance(recipe, ComparisonRecipe)
        and recipe.shared_images == REFUSE
        and view in (whole(recipe.source), whole(recipe.train))
    ]


def whole(view):
    """A view with all of its images: references train on more of them than transfers do."""
    return replace(view, images=None)


# A mark that is always an input of a training, so that another target or another setting of
# `shared_images` trains nothing anew: only what this rule waits for differs.
rule admit_view:
    """Networks may train on a view: at once, or after comparisons where shared images are refused."""
    input:
        refusing,
    output:
        f"{addresses.RESULTS}/data/comparisons/{{view}}.admitted",
    log:
        f"{LOGS}/admit_view/{{view}}.log",
    priority: COMPARED_FIRST
    localrule: True
    shell:
        "touch {output:q} 2> {log:q}"
