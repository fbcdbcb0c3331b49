"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed


def of_target(name: str) -> Column:
    return Column(where={"target": name}, signed=True, bold=True)


TABLES = [
    Printed(
        study="data_efficiency",
        table="differences",
        number=0,
        rows={
            "target images": {
                f"{images:,}": {"images": images}
                for images in (100, 200, 400, 800, 1600, 3200, 6400)
            }
        },
        columns={
            "near (.13)": of_target("near"),
            "Fashion-MNIST (.84)": of_target("fashion_mnist"),
            "MNIST (1.36)": of_target("mnist"),
        },
        where={
            "comparison": "training",
            "training": "robust_l2",
            "quantity": "accuracy",
            "grid": ("heads", "heads_more"),
            "last": 1,
        },
    ),
]
