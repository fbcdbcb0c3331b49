# REQUIRED INPUTS: none (datasets come from the providers that the config lists)
# OUTPUTS: results/data/datasets/<dataset>.h5, results/data/views/<view>.h5

# How the bytes are found does not decide what they are, so none of this is a param.
PROVIDERS = shlex.join(config["data"]["providers"])
LOCAL_DATA = (
    f"--local {shlex.quote(str(expanded(config['data']['local'])))}"
    if config["data"].get("local")
    else ""
)
DOWNLOADS = shlex.quote(f"{addresses.RESULTS}/data/downloads")


rule fetch_dataset:
    """One dataset, from the first provider that has it."""
    input:
        code=code_of("fetch_dataset", "dataset"),
    output:
        f"{addresses.RESULTS}/data/datasets/{{dataset}}.h5",
    log:
        f"{LOGS}/fetch_dataset/{{dataset}}.log",
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
    localrule: True
    params:
        recipe=recipe_of("view"),
    shell:
        "python -m workflow_scripts.make_view --recipe {params.recipe:q}"
        " --dataset {input.dataset:q}"
        " --output {output:q}"
        " 2> {log:q}"
