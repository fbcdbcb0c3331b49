"""Where the numbers of the README's tables stand in the rows that the folder keeps."""

from support.readmes import Column, Printed


def of_target(name: str) -> Column:
    return Column(("accuracy",), {"target": name})


TABLES = [
    Printed(
        study="pretrained",
        table="table",
        number=0,
        rows={
            "source": {
                "EfficientNet-Lite0": {"source_model": "efficientnet_lite0"},
                "MobileNetV2": {"source_model": "mobilenet_v2"},
            }
        },
        columns={"near": of_target("near"), "Fashion-MNIST": of_target("fashion_mnist")},
        where={"selection": "validation"},
    ),
]
