"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed

NATURAL = {"sources": "natural", "statistic": "pearson"}
ROBUST = {"sources": "all", "statistic": "pearson"}
PARTIAL = {"sources": "natural", "statistic": "partial_pearson"}

TABLES = [
    Printed(
        study="adversarial_to_knowledge",
        table="correlations",
        number=0,
        rows={
            "metric": {
                "α₁": {"metric": "alpha_1_mean"},
                "α₂": {"metric": "alpha_2"},
                "α₁∘α₂ (squared)": {"metric": "combined_squared"},
            },
            "direction": {
                "reference → source": {"direction": "reference_to_source"},
                "source → reference": {"direction": "source_to_reference"},
            },
            "reference": {
                "ResNet-8": {"reference": "resnet8"},
                "AlexNet": {"reference": "alexnet"},
            },
        },
        columns={
            "natural sources (n = 8)": Column(where=NATURAL, digits=2),
            "with robust sources (n = 10)": Column(where=ROBUST, digits=2),
            "partial, given source accuracy (n = 8)": Column(where=PARTIAL, digits=2),
        },
        where={
            "attack": "pgd",
            "norm": "linf",
            "epsilon": 8 / 255,
            "transfer": "last_layer_accuracy",
        },
    ),
]
