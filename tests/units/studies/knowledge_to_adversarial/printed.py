"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed

TABLES = [
    Printed(
        study="knowledge_to_adversarial",
        table="correlations",
        number=0,
        rows={
            "target": {
                name: {"target": name} for name in ("vehicles", "animals", "no_shared_class")
            },
            "metric": {
                "α₁": {"metric": "alpha_1_mean"},
                "α₂": {"metric": "alpha_2"},
                "α₁∘α₂ (squared)": {"metric": "combined_squared"},
            },
        },
        columns={
            "source → reference": Column(where={"direction": "source_to_reference"}, digits=2),
            "reference → source": Column(where={"direction": "reference_to_source"}, digits=2),
        },
        where={
            "attack": "pgd",
            "norm": "linf",
            "epsilon": 8 / 255,
            "transfer": "last_layer_accuracy",
            "statistic": "pearson",
            "sources": "natural",
        },
    ),
]
