# REQUIRED INPUTS: datasets of rules/data.smk, sources of rules/sources.smk; official detection data
# lie where the config says
# OUTPUTS: results/data/detection/<detection>.h5; results/data/coco/<detection>/ (only if asked for);
# results/detectors/<source>/seed<k>/<detector>/model.safetensors, history.csv, ap.csv,
# predictions.json

DETECTOR = (
    f"{addresses.RESULTS}/detectors/{{source}}/seed{{seed}}/{{detector}}"  # its folder
)


def composed_of(wildcards):
    """Input: datasets of objects and backgrounds, for composed data."""
    composed = guarded(PLAN.get, wildcards.detection).composed
    if composed is None:
        return []
    return [
        addresses.dataset_path(part)
        for part in (composed.objects, composed.backgrounds)
    ]


rule make_detection_data:
    """Scenes composed with known masks, or official annotations: both in COCO's form."""
    input:
        code=code_of("make_detection_data"),
        datasets=composed_of,
    output:
        f"{addresses.RESULTS}/data/detection/{{detection}}.h5",
    log:
        f"{LOGS}/make_detection_data/{{detection}}.log",
    localrule: True
    params:
        recipe=recipe_of("detection"),
        options=lambda w, input: shlex.join(["--datasets", *map(str, input.datasets)]),
    shell:
        "python -m workflow_scripts.make_detection_data --recipe {params.recipe:q}"
        " {params.options}"
        " --output {output:q}"
        " 2> {log:q}"


rule export_detection_data:
    """Composed data in COCO's official layout, for other programs."""
    input:
        code=code_of("export_detection_data"),
        data=f"{addresses.RESULTS}/data/detection/{{detection}}.h5",
    output:
        directory(f"{addresses.RESULTS}/data/coco/{{detection}}"),
    log:
        f"{LOGS}/export_detection_data/{{detection}}.log",
    localrule: True
    shell:
        "python -m workflow_scripts.export_detection_data --data {input.data:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule train_detector:
    """One detector on one source and seed, and its average precision."""
    input:
        code=code_of("train_detector", "source", "detector"),
        source=f"{addresses.RESULTS}/sources/{{source}}/seed{{seed}}/model.safetensors",
        data=lambda w: detection_paths.detection_data_path(
            guarded(PLAN.get, w.detector).data
        ),
    output:
        checkpoint=f"{DETECTOR}/model.safetensors",
        history=f"{DETECTOR}/history.csv",
        table=f"{DETECTOR}/ap.csv",
        predictions=f"{DETECTOR}/predictions.json",
    log:
        f"{LOGS}/train_detector/{{source}}/seed{{seed}}/{{detector}}.log",
    # One thread decodes and trains; each further one decodes images beside it.
    threads: 1
    resources:
        gpu=one_gpu,
        mem_mb=growing_memory(4000),
        runtime=growing_time(12 * 60),
    params:
        recipe=recipe_of("detector"),
    # The resume file is no output: Snakemake would remove it before a retry.
    shell:
        "python -m workflow_scripts.train_detector --recipe {params.recipe:q}"
        " --seed {wildcards.seed}"
        " --threads {threads}"
        " --source {input.source:q}"
        " --data {input.data:q}"
        " --resume {output.checkpoint:q}.resume"
        " --checkpoint {output.checkpoint:q}"
        " --history {output.history:q}"
        " --table {output.table:q}"
        " --predictions {output.predictions:q}"
        " 2> {log:q}"
