"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed, Quoted

EPSILON = ("epsilon", "ci_low", "ci_high")
FULL = ("near", "animals_vehicles", "fashion_mnist", "mnist")
SMALLER = ("near_8", "animals_vehicles_8", "fashion_mnist_7", "mnist_7")
MEASURES = {
    "intrinsic dimension of pixels, TwoNN": ("twonn", "pixels"),
    "intrinsic dimension of pixels, likelihood": ("levina_bickel", "pixels"),
    "intrinsic dimension of features, TwoNN": ("twonn", "features"),
    "intrinsic dimension of features, likelihood": ("levina_bickel", "features"),
    "resolution": ("resolution", "pixels"),
    "mean frequency": ("mean_frequency", "pixels"),
    "spectral slope": ("spectral_slope", "pixels"),
    "depth in a label hierarchy": ("label_depth", "labels"),
    "between / within classes, features (named in advance)": ("class_separation", "features"),
}
TARGETS = {
    "near (dog, horse, ship, truck)": "near",
    "near at 16 pixels": "near_16",
    "near at 8": "near_8",
    "near at 4": "near_4",
    "animals or vehicles": "animals_vehicles",
    "animals or vehicles at 8": "animals_vehicles_8",
    "dog, horse": "dog_horse",
    "horse, truck": "horse_truck",
    "ship, truck": "ship_truck",
    "Fashion-MNIST": "fashion_mnist",
    "Fashion-MNIST at 14": "fashion_mnist_14",
    "Fashion-MNIST at 7": "fashion_mnist_7",
    "clothes, shoes, bags": "fashion_kinds",
    "four kinds of tops": "fashion_tops",
    "MNIST": "mnist",
    "MNIST at 14": "mnist_14",
    "MNIST at 7": "mnist_7",
    "even, odd": "mnist_parity",
    "4, 7, 9": "mnist_479",
}


def of_targets(*names: str) -> Column:
    return Column(EPSILON, {"target": names}, digits=2)


def by_estimator(name: str) -> Column:
    return Column(EPSILON, {"estimator": name}, digits=2)


TABLES = [
    Printed(
        study="granularity",
        table="best",
        number=1,
        rows={
            "target": {
                "near": {"target": ("near", "near_16", "near_8", "near_4")},
                "near, animals or vehicles": {"target": ("animals_vehicles", "animals_vehicles_8")},
                "Fashion-MNIST": {
                    "target": ("fashion_mnist", "fashion_mnist_14", "fashion_mnist_7")
                },
                "MNIST": {"target": ("mnist", "mnist_14", "mnist_7")},
            }
        },
        columns={
            "full (32 or 28)": of_targets(*FULL),
            "half (16 or 14)": of_targets("near_16", "fashion_mnist_14", "mnist_14"),
            "quarter (8 or 7)": of_targets(*SMALLER),
            "4": of_targets("near_4"),
        },
        where={"estimator": "vertex"},
    ),
    Printed(
        study="granularity",
        table="prediction",
        number=2,
        rows={
            "measure": {
                text: {"measure": measure, "basis": basis}
                for text, (measure, basis) in MEASURES.items()
            }
        },
        columns={
            "all targets": Column(where={"statistic": "spearman"}, digits=2),
            "within datasets": Column(where={"statistic": "spearman_within"}, digits=2),
            "error in doublings, dataset left out": Column(
                ("value",), {"statistic": "left_out_error"}, digits=2
            ),
        },
        where={"estimator": "vertex", "group": ""},
    ),
    Printed(
        study="granularity",
        table="best",
        number=3,
        rows={"target": {text: {"target": name} for text, name in TARGETS.items()}},
        columns={
            "vertex of a parabola": by_estimator("vertex"),
            "softmax-weighted mean": by_estimator("softmax"),
            "highest mean on the grid": by_estimator("grid"),
        },
    ),
]
QUOTED = [
    Quoted("prediction", {"estimator": "vertex", "role": "dependence"}),
    Quoted("prediction", {"estimator": "vertex", "statistic": "spearman_given_resolution"}),
]
