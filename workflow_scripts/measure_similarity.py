"""Measure how far a target's images are from the source's, in features of each source network."""

import argparse

from .advtransfer.cli import add_seeds, log, run, step_parser

COLUMNS = ("seed", "measure", "value", "n_source", "n_target")


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument("--source-view", required=True, help="test images of the source's classes")
    parser.add_argument("--source-dataset", required=True, help="dataset of the source's view")
    parser.add_argument("--target-view", required=True, help="test images of the target")
    parser.add_argument("--target-dataset", required=True, help="dataset of the target's view")
    parser.add_argument("--output", required=True, help="CSV to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import prepare
    from .advtransfer.metrics.similarity import similarity
    from .advtransfer.models.inference import penultimate
    from .advtransfer.models.zoo import load_checkpoint

    device = prepare(arguments.device, arguments.threads)
    images = [
        to_device(load_view(view, dataset).images, device)
        for view, dataset in (
            (arguments.source_view, arguments.source_dataset),
            (arguments.target_view, arguments.target_dataset),
        )
    ]
    rows = []
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=images[0].shape[-1])
        source, target = (penultimate(network, part).double().cpu().numpy() for part in images)
        for measure, value in similarity(source, target).items():
            log.info("seed %d, %s: %.4g", seed, measure, value)
            row = {"seed": seed, "measure": measure, "value": value}
            rows.append({**row, "n_source": len(source), "n_target": len(target)})
    write_measurements(arguments.output, rows, COLUMNS)


if __name__ == "__main__":
    run(main, parser())
