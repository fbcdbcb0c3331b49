"""Transfer sources to random subsets of a target, for a block of sizes and seeds, in one mode."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .advtransfer.cli import add_seeds, log, run, step_parser

if TYPE_CHECKING:
    import torch

    from .advtransfer.models.network import Network
    from .advtransfer.transfer.subsets_recipe import SubsetsRecipe

COLUMNS = (
    "seed",
    "images",
    "subset_seed",
    "epoch",
    "attack",
    "norm",
    "epsilon",
    "steps",
    "regularization",
    "train_loss",
    "test_accuracy",
    "test_loss",
    "n_images",
)


def parser() -> argparse.ArgumentParser:
    parser = step_parser(__doc__ or "", hardware=True)
    add_seeds(parser)
    parser.add_argument("--checkpoints", required=True, nargs="+", help="weights, in seed order")
    parser.add_argument(
        "--comparison", help="images of the target that the source is trained on (compare_views)"
    )
    parser.add_argument("--train-view", required=True, help="target images to draw subsets from")
    parser.add_argument("--test-view", required=True, help="target images to measure on")
    parser.add_argument("--dataset", required=True, help="dataset of the target's views")
    parser.add_argument("--features", help="activations of the frozen part (extract_features)")
    parser.add_argument("--output", required=True, help="CSV to write: one row per run and epoch")
    return parser


def main(arguments: argparse.Namespace) -> None:
    import contextlib

    import torch

    from .advtransfer.artifacts.measurements import write_measurements
    from .advtransfer.data.batches import to_device
    from .advtransfer.data.comparisons import kept, read_shared
    from .advtransfer.data.views import open_view
    from .advtransfer.device import prepare
    from .advtransfer.errors import UserError
    from .advtransfer.models.zoo import load_checkpoint
    from .advtransfer.recipes import from_json, to_json
    from .advtransfer.transfer.features import read_features
    from .advtransfer.transfer.subsets import draw_subsets
    from .advtransfer.transfer.subsets_recipe import SubsetsRecipe, cached_features

    recipe = from_json(SubsetsRecipe, arguments.recipe)
    device = prepare(arguments.device, arguments.threads)
    shared = read_shared(arguments.comparison)
    cached = cached_features(recipe) is not None
    with contextlib.ExitStack() as stack:
        pool, measured = (
            stack.enter_context(open_view(view, arguments.dataset))
            for view in (arguments.train_view, arguments.test_view)
        )
        # If activations are given, only attacks need images.
        number = recipe.attacked_images if cached else len(measured)
        test_images = to_device(measured.images(slice(number)), device)
        train_images = to_device(pool.images(slice(0 if cached else len(pool))), device)
    subsets = {
        images: torch.from_numpy(
            draw_subsets(
                pool.labels, images, recipe.subset_seeds, to_json(recipe.train), shared.train
            )
        ).to(device)
        for images in recipe.images
    }
    # Test images that the source has not seen, and how many of them are to be attacked.
    unseen = torch.from_numpy(kept(len(measured), shared.test)).to(device)
    attacked_images = int((unseen < recipe.attacked_images).sum())
    if recipe.attacks and not attacked_images:
        raise UserError(
            f"the source is trained on all {recipe.attacked_images} test images that are to be "
            "attacked: raise `attacked_images`."
        )
    test_images = rows_at(unseen[unseen < len(test_images)], test_images)
    classes = len(pool.classes)
    rows: list[dict[str, Any]] = []
    for seed, checkpoint in zip(arguments.seeds, arguments.checkpoints, strict=True):
        network, _ = load_checkpoint(checkpoint, device, size=measured.size)
        if cached:
            train, test = read_features(arguments.features, seed, device)
            test = rows_at(unseen, test[0]), rows_at(unseen, test[1])
        else:
            labels = [torch.from_numpy(view.labels).to(device) for view in (pool, measured)]
            train, test = (train_images, labels[0]), (test_images, rows_at(unseen, labels[1]))
        for images, chosen in subsets.items():
            found = list(transferred(network, train, test, chosen, images, classes, recipe))
            for subset_seed, (history, make) in zip(recipe.subset_seeds, found, strict=True):
                run_of = {"seed": seed, "images": images, "subset_seed": subset_seed}
                rows += [{**run_of, **row, "n_images": len(unseen)} for row in history]
                if recipe.attacks:
                    last = run_of | {"epoch": history[-1]["epoch"]}
                    attacked = test_images[:attacked_images], test[1][:attacked_images]
                    robust = robust_rows(make(), attacked, recipe, subset_seed)
                    rows += [{**last, **row} for row in robust]
            accuracies = [float(history[-1]["test_accuracy"]) for history, _ in found]
            mean = sum(accuracies) / len(accuracies)
            log.info("seed %d, %d images: mean accuracy %.4f", seed, images, mean)
    write_measurements(arguments.output, rows, COLUMNS)


def rows_at(positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the rows at some positions, without a copy if those are all of them."""
    return rows if len(positions) == len(rows) else rows[positions]


def transferred(
    network: Network,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    subsets: torch.Tensor,
    size: int,
    classes: int,
    recipe: SubsetsRecipe,
) -> Iterator[tuple[list[dict[str, Any]], Any]]:
    """Yield the learning curve of every subset and a function that makes its transferred network.

    A learning curve has one row per epoch. ``size`` is the number of images that a subset was to
    have.
    """
    import functools

    import torch.nn.functional as F

    from .advtransfer.recipes import derived_seed
    from .advtransfer.transfer.heads import solve_subsets
    from .advtransfer.transfer.subsets import tune_subsets
    from .advtransfer.transfer.subsets_recipe import cached_features

    mode = recipe.mode
    if mode.solver == "lbfgs":
        candidates = mode.regularizations or (mode.regularization,)
        solved = solve_subsets(*train, subsets, classes, candidates)
        logits = test[0].float() @ solved[0].mT + solved[1][:, None]  # (S, N, C)
        for weight, bias, penalty, loss, own in zip(*solved, logits, strict=True):
            row = {
                "epoch": 1,
                "regularization": float(penalty),
                "train_loss": float(loss),
                "test_accuracy": float((own.argmax(1) == test[1]).float().mean()),
                "test_loss": float(F.cross_entropy(own, test[1])),
            }
            yield [row], functools.partial(network.with_head, weight, bias)
        return
    # The initial head and the order of the images depend on the subset alone, so that sources are
    # compared under the same draws.
    seeds = [derived_seed([recipe.train, mode], k, f"{size} images") for k in recipe.subset_seeds]
    cached = cached_features(recipe) is not None
    for tuned in tune_subsets(network, train, test, subsets, classes, mode, seeds, cached=cached):
        history: list[dict[str, Any]] = [
            {key: value for key, value in row.items() if key in COLUMNS} for row in tuned.history
        ]
        yield history, functools.partial(tuned.network, network)


def robust_rows(
    network: Network,
    attacked: tuple[torch.Tensor, torch.Tensor],
    recipe: SubsetsRecipe,
    subset_seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield a transferred network's accuracy without attack and under each, on the same images."""
    from .advtransfer.attacks.recipe import attack_label
    from .advtransfer.attacks.run import robust_accuracies
    from .advtransfer.recipes import derived_seed

    starts = [
        derived_seed([recipe.test, attack], subset_seed, attack_label(attack))
        for attack in recipe.attacks
    ]
    for row in robust_accuracies(network, *attacked, recipe.attacks, starts):
        row["test_accuracy"] = row.pop("accuracy")
        yield row


if __name__ == "__main__":
    run(main, parser())
