"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed, Quoted
from workflow_scripts.advtransfer.plotting.labels import model_label

TARGETS = {
    name: {"target": target}
    for name, target in (("near", "near"), ("Fashion-MNIST", "fashion_mnist"), ("MNIST", "mnist"))
}
MODES = {"fixed-feature": {"mode": "last_layer"}, "full-network": {"mode": "full_network"}}
MODELS = {name: model_label(name) for name in ("resnet8", "resnet14")}
TRAININGS = {
    "natural": "natural",
    "robust_l2_quarter": "ℓ₂ 0.25",
    "robust_l2": "ℓ₂ 0.5",
    "robust_linf_half": "ℓ∞ 2/255",
    "robust_linf": "ℓ∞ 4/255",
}
GAIN = ("difference", "difference_low", "difference_high")
LABELS = {**MODELS, **TRAININGS}


def best_of(model: str) -> Column:
    names = ("robust_training",)
    return Column(GAIN, {"model": model}, signed=True, bold=True, names=names, labels=LABELS)


TABLES = [
    Printed(
        study="fixed_vs_full",
        table="best",
        number=1,
        rows={"target": TARGETS, "mode": MODES},
        columns={
            "ResNet-8 (n = 3)": best_of("resnet8"),
            "ResNet-14 (n = 2)": best_of("resnet14"),
        },
        where={"selection": "validation", "scored": 1},
    ),
    Printed(
        study="fixed_vs_full",
        table="best",
        number=2,
        rows={"target": TARGETS, "mode": MODES},
        columns={
            "natural": Column(("baseline_mean",), names=("baseline_model",), labels=LABELS),
            "best robust": Column(
                ("robust_mean",), names=("robust_model", "robust_training"), labels=LABELS
            ),
            "difference [95 % interval]": Column(GAIN, signed=True, bold=True),
        },
        where={"selection": "validation", "scored": 1, "model": "all"},
    ),
    Printed(
        study="fixed_vs_full",
        table="summary",
        number=3,
        rows={
            "source": {
                f"{label}, {name}": {"model": model, "training": training}
                for model, label in MODELS.items()
                for training, name in TRAININGS.items()
            }
        },
        columns={
            f"{target}, {mode}": Column(
                ("mean", "difference"), {**of_target, **of_mode}, signed=True
            )
            for mode, of_mode in MODES.items()
            for target, of_target in TARGETS.items()
        },
        where={"selection": "validation", "scored": 1},
    ),
]
QUOTED = [
    Quoted("best", {"scored": 1}),
    Quoted("correlations", {"sources": "resnet8", "scored": 1}),
    Quoted("selection", {}),
]
