"""Train one network: a source or a reference, naturally or adversarially."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .advtransfer.cli import log, run, seed_index, step_parser, whole_number

if TYPE_CHECKING:
    import torch

    from .advtransfer.training.parallel import Processes
    from .advtransfer.training.recipe import TrainingRecipe

    Labelled = tuple[torch.Tensor, torch.Tensor]


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__, hardware=True)
    parser.add_argument(
        "--processes",
        type=whole_number(0),  # the rule passes the number of GPUs, which may be 0
        default=1,
        help="number of processes, each on its own GPU; it changes no result (default: 1)",
    )
    parser.add_argument("--seed", type=seed_index, required=True, help="seed index")
    parser.add_argument("--view", required=True, help="training view (HDF5)")
    parser.add_argument("--dataset", required=True, help="dataset of the views (HDF5)")
    parser.add_argument("--test-view", help="test view (HDF5), only for checkpoint: best_on_test")
    parser.add_argument("--resume", help="progress file: written every epoch, used if it is there")
    parser.add_argument("--checkpoint", required=True, help="weights to write (safetensors)")
    parser.add_argument("--history", required=True, help="CSV to write: one row an epoch")
    parser.add_argument("--recipe-file", required=True, help="recipe.json to write")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import os

    from .advtransfer.training.parallel import Processes, launch

    if arguments.processes > 1 and "RANK" not in os.environ:
        launch(arguments.processes)
    processes = Processes.of_environment()
    with processes.one_message():
        train(arguments, processes)


def train(arguments: argparse.Namespace, processes: Processes) -> None:
    """Train the network in one of the processes; the first of them writes the outputs."""
    from pathlib import Path

    import torch

    from .advtransfer.artifacts.json_files import write_recipe
    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import load_view
    from .advtransfer.device import compilation_pays
    from .advtransfer.models.zoo import build_network, save_checkpoint
    from .advtransfer.recipes import derived_seed, digest, from_json
    from .advtransfer.training.accuracy import accuracy_and_loss
    from .advtransfer.training.fit import COLUMNS, Execution, fit
    from .advtransfer.training.recipe import SourceRecipe
    from .advtransfer.wording import counted

    recipe = from_json(SourceRecipe, arguments.recipe)
    device = processes.prepare(arguments.device, arguments.threads)
    view = load_view(arguments.view, arguments.dataset)
    size = view.images.shape[1]
    torch.manual_seed(derived_seed(recipe, arguments.seed, "initialisation"))
    network = build_network(recipe.model, len(view.classes), size).to(device)
    images, labels = to_device(view.images, device), torch.from_numpy(view.labels).to(device)
    log.info(
        "%s on %d images of %s, seed %d, on %s",
        recipe.model.family,
        len(view),
        counted(view.classes),
        arguments.seed,
        processes.describe(device),
    )

    training, evaluated = split_evaluation((images, labels), arguments, recipe.training)
    evaluate = None if evaluated is None else lambda: accuracy_and_loss(network, *evaluated)
    resume = Path(arguments.resume) if arguments.resume else None
    steps = recipe.training.epochs * len(training[0]) // recipe.training.batch_size
    fitted = fit(
        network,
        *training,
        recipe.training,
        seed=derived_seed(recipe, arguments.seed, "training"),
        evaluate=evaluate,
        execution=Execution(
            name=recipe.model.family,
            resume=resume,
            identity=f"{digest(recipe)}/seed{arguments.seed}",
            compiled=compilation_pays(device, steps * (recipe.training.replays or 1)),
            processes=processes,
        ),
    )
    if not processes.first:
        return
    # With 0 epochs the network stays untrained and the history has no rows.
    columns = list(fitted.history[0]) if fitted.history else COLUMNS
    write_measurements(arguments.history, fitted.history, columns)
    write_recipe(arguments.recipe_file, arguments.recipe)
    save_checkpoint(
        arguments.checkpoint,
        network,
        recipe.model,
        view.classes,
        size,
        recipe=digest(recipe),
        seed=arguments.seed,
        epoch=fitted.best_epoch,
        device=processes.describe(device),
    )
    if resume is not None:
        resume.unlink(missing_ok=True)


def split_evaluation(
    data: Labelled, arguments: argparse.Namespace, recipe: TrainingRecipe
) -> tuple[Labelled, Labelled | None]:
    """Return the data to train on and the data to evaluate on after every epoch, or None.

    Evaluation data are ``validation_images`` held out of the training data, or the test view.
    Images are uint8 (N, 3, H, W), labels int64 (N,); all are on the device of ``data``.
    """
    import torch

    from .advtransfer.data.batches import to_device
    from .advtransfer.data.views import load_view

    images, labels = data
    if held_out := recipe.validation_images:
        # Views are interleaved by class, so the last images are a balanced validation split.
        return (images[:-held_out], labels[:-held_out]), (images[-held_out:], labels[-held_out:])
    if not arguments.test_view:
        return data, None
    log.warning("checkpoint: best_on_test selects on test data; say so where you report it")
    test = load_view(arguments.test_view, arguments.dataset)
    device = images.device
    return data, (to_device(test.images, device), torch.from_numpy(test.labels).to(device))


if __name__ == "__main__":
    run(main, parser())
