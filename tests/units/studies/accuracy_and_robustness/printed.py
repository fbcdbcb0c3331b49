"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from collections.abc import Mapping

from support.readmes import Column, Printed, Quoted


def note(row: Mapping[str, str]) -> str:
    return ", r < 0" if float(row["pearson"]) < 0 else ""


def of_training(name: str) -> Column:
    numbers = ("r_squared", "r_squared_low", "r_squared_high")
    return Column(numbers, {"source_training": name}, digits=2, note=note)


TABLES = [
    Printed(
        study="accuracy_and_robustness",
        table="correlations",
        number=1,
        rows={
            "target, mode": {
                "near, full-network": {"target": "near", "mode": "full_network"},
                "near, fixed-feature": {"target": "near", "mode": "last_layer"},
                "Fashion-MNIST, fixed-feature": {"target": "fashion_mnist", "mode": "last_layer"},
                "MNIST, fixed-feature": {"target": "mnist", "mode": "last_layer"},
            }
        },
        columns={
            "natural": of_training("natural"),
            "ℓ₂ 0.25": of_training("robust_l2_quarter"),
            "ℓ₂ 0.5": of_training("robust_l2"),
        },
        where={"selection": "validation"},
    ),
]
QUOTED = [
    Quoted("predictors", {"selection": "validation"}),
    Quoted("width", {"selection": "validation", "quantity": ("step", "step_minus_natural")}),
]
