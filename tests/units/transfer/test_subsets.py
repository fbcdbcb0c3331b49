"""Many subsets at once: each with the result that it would have alone."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from support.heads import deep_features, logits_of
from support.networks import WITH_NORM, small_network, toy_set, weights
from support.transfers import BLOCKS, CLASSES, DEEPER, FULL, ITERATED, SOLVED, with_training
from workflow_scripts.advtransfer.attacks.recipe import AttackRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.inference import activations, penultimate, predict
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.transfer import heads as module
from workflow_scripts.advtransfer.transfer.heads import solve_heads, solve_subsets
from workflow_scripts.advtransfer.transfer.modes import has_fixed_activations
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe
from workflow_scripts.advtransfer.transfer.subsets import (
    REDRAWS,
    Tuned,
    draw_subsets,
    runs_together,
    tune_subsets,
)
from workflow_scripts.advtransfer.transfer.transfer import Transferred, transfer

torch.set_num_threads(1)

# Subsets -----------------------------------------------------------------------------------------

POOL = np.arange(1000) % 10


def test_subsets_are_without_replacement_and_depend_on_their_own_seed_alone():
    drawn = draw_subsets(POOL, 100, [0, 1, 2], "pool")
    assert drawn.shape == (3, 100) and drawn.dtype == np.int64
    assert all(len(set(row)) == 100 for row in drawn.tolist())
    assert drawn.min() >= 0 and drawn.max() < 1000
    assert np.array_equal(draw_subsets(POOL, 100, [5, 2, 0], "pool")[1:], drawn[[2, 0]])
    others = [draw_subsets(POOL, 100, [1], "pool"), draw_subsets(POOL, 100, [0], "another")]
    assert not any(np.array_equal(drawn[0], other[0]) for other in others)
    # Not nested: of 200 images about a tenth of the first 100 by chance.
    larger = draw_subsets(POOL, 200, [0], "pool")[0]
    assert len(set(larger) & set(drawn[0])) < 50


def test_subsets_are_what_they_were():
    """A pool is drawn again in another job, years later: the numbers must not move."""
    assert draw_subsets(POOL, 4, [0], "pool").tolist() == [[366, 271, 283, 642]]


def test_images_that_are_left_out_are_replaced_by_the_next():
    """So that sources which leave out few images are still compared on nearly the same subsets."""
    whole = draw_subsets(POOL, 100, [0, 1], "pool")
    left_out = np.array([whole[0, 3], whole[0, 50], whole[1, 0]])
    drawn = draw_subsets(POOL, 100, [0, 1], "pool", left_out)
    assert drawn.shape == (2, 100) and not np.isin(drawn, left_out).any()
    for row, before in zip(drawn, whole, strict=True):
        same = [position for position in before if position not in left_out]
        assert len(set(row)) == 100 and row[: len(same)].tolist() == same


def test_a_pool_without_enough_images_gives_what_it_has():
    drawn = draw_subsets(POOL, 1000, [0, 1], "pool", np.array([7, 8]))
    assert drawn.shape == (2, 998)
    assert set(drawn[0]) == set(drawn[1]) == set(range(1000)) - {7, 8}


def test_a_class_that_is_missing_is_not_replaced_by_an_image_left_out():
    rare = np.array([0] * 5000 + [1, 1])
    drawn = draw_subsets(rare, 2, range(20), "pool", np.array([5000]))
    assert (drawn == 5001).any(1).all() and not (drawn == 5000).any()


def test_subsets_are_uniform():
    drawn = draw_subsets(POOL, 100, range(400), "pool")
    counts = np.bincount(drawn.ravel(), minlength=1000)  # binomial: mean 40, deviation 6
    assert counts.sum() == 40000 and abs(counts - 40).max() < 30
    # Not balanced: the papers draw images, not classes.
    of_class = (POOL[drawn] == 3).sum(1)
    assert of_class.mean() == pytest.approx(10, abs=0.6)
    assert of_class.std() == pytest.approx(np.sqrt(100 * 0.1 * 0.9 * 0.9), abs=0.4)
    # The order is random as well: what is held out is a random part.
    assert (POOL[drawn[:, -20:]] == 3).mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    "labels", [POOL, np.repeat([0, 1, 2], [97, 2, 1]), np.repeat(np.arange(10), [991] + 9 * [1])]
)
@pytest.mark.parametrize("images", [10, 12])
def test_every_class_is_there(labels, images):
    drawn = draw_subsets(labels, images, range(20), "pool")
    for row in drawn:
        assert set(labels[row]) == set(labels) and len(set(row.tolist())) == images


def test_a_class_is_put_in_only_where_drawing_again_does_not_help():
    assert REDRAWS == 100
    rare = np.repeat([0, 1], [9999, 1])  # there by chance in one of 5000 draws
    drawn = draw_subsets(rare, 2, range(30), "pool")
    assert (drawn == 9999).sum(1).tolist() == [1] * 30
    assert 5 <= (drawn[:, 0] == 9999).sum() <= 25  # at a random place


def test_fewer_images_than_classes_are_any():
    drawn = draw_subsets(POOL, 5, range(50), "pool")
    assert any(len(set(POOL[row])) < 5 for row in drawn)
    assert np.array_equal(np.sort(draw_subsets(POOL, 1000, [0], "pool")[0]), np.arange(1000))


@pytest.mark.parametrize("images", [0, 1001])
def test_impossible_sizes_are_told(images):
    with pytest.raises(UserError, match=f"{images} images cannot be drawn from 1000"):
        draw_subsets(POOL, images, [0], "pool")


# Solved heads ------------------------------------------------------------------------------------

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)


def rows_of(pool: int, images: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randperm(pool, generator=generator)[:images] for _ in range(count)])


def by_a_plain_loop(
    features: torch.Tensor, labels: torch.Tensor, row: torch.Tensor, classes: int
) -> float:
    """Regularisation that scikit-learn finds best on the last fifth of the images."""
    held = round(0.2 * len(row))
    x, y = features[row].double().numpy(), labels[row].numpy()
    mean, spread = x[:-held].mean(0), x[:-held].std(0)
    x = (x - mean) / np.where(spread > 1e-9, spread, 1)
    losses = {}
    for penalty in sorted(PENALTIES, reverse=True):
        strength = 1 / ((len(row) - held) * penalty)
        peer = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-7)
        peer.fit(x[:-held], y[:-held])
        assert len(peer.classes_) == classes
        losses[penalty] = -np.log(peer.predict_proba(x[-held:])[np.arange(held), y[-held:]]).mean()
    return min(losses, key=losses.get)


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("images", [60, 300])
def test_the_regularization_of_an_exhaustive_search(images, one_by_one, monkeypatch):
    if one_by_one:
        monkeypatch.setattr(module, "SHARED_FROM", 0)
    features, labels = deep_features(500, 20, 4)
    rows = rows_of(500, images, 6)
    weight, bias, chosen, losses = solve_subsets(features, labels, rows, 4, PENALTIES)
    assert weight.shape == (6, 4, 20) and bias.shape == (6, 4)
    assert chosen.shape == losses.shape == (6,)
    assert len(set(chosen.tolist())) > 1 or images == 300
    for k, row in enumerate(rows):
        best = by_a_plain_loop(features, labels, row, 4)
        assert float(chosen[k]) == pytest.approx(best)
        # Solved again on all images.
        alone = solve_heads(features[row], labels[row][None], 4, best)
        torch.testing.assert_close(
            logits_of(weight[k], bias[k], features),
            logits_of(alone[0][0], alone[1][0], features),
            rtol=1e-2, atol=1e-2,
        )  # fmt: skip
        assert float(losses[k]) == pytest.approx(float(alone[2][0]), abs=1e-5)


def test_memory_changes_nothing_but_rounding():
    features, labels = deep_features(300, 20, 3)
    rows = rows_of(300, 50, 5)
    found = [
        solve_subsets(features, labels, rows, 3, PENALTIES, memory=memory)
        for memory in (1, 1024**3)
    ]
    for one, all_ in zip(*found, strict=True):
        torch.testing.assert_close(one, all_, rtol=2e-2, atol=2e-3)


def test_one_regularization_is_not_chosen(monkeypatch):
    features, labels = deep_features(100, 5, 3)
    solved = []
    monkeypatch.setattr(
        module, "solve_heads", lambda *given: solved.append(given) or solve_heads(*given)
    )
    chosen = solve_subsets(features, labels, rows_of(100, 40, 3), 3, [0.5])[2]
    assert chosen.tolist() == [0.5] * 3 and len(solved) == 1
    assert solved[0][0].shape == (3, 40, 5)


def test_equals_go_to_the_larger_and_a_class_unseen_does_not_count():
    """Features that say nothing give the same loss whatever the penalty."""
    features, labels = torch.ones(10, 2), torch.arange(10) % 2
    chosen = solve_subsets(features, labels, torch.arange(10)[None], 2, PENALTIES)[2]
    assert chosen.tolist() == [1.0]
    # Held out are 8 and 9, of a class that the others lack.
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(10, 2, generator=generator), torch.arange(10) % 2
    labels[8:] = 2
    weight, bias, chosen, _ = solve_subsets(features, labels, torch.arange(10)[None], 4, PENALTIES)
    assert chosen.tolist() == [1.0]
    assert torch.isfinite(weight).all() and torch.isfinite(bias).all()


def test_two_images_are_the_fewest():
    features, labels = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    both = torch.tensor([[0, 1]])
    assert solve_subsets(features, labels, both, 2, PENALTIES)[2].tolist() == [1.0]
    with pytest.raises(UserError, match="at least two images"):
        solve_subsets(features, labels, both[:, :1], 2, PENALTIES)
    with pytest.raises(UserError, match="at least one regularization"):
        solve_subsets(features, labels, both, 2, [])


# Solved heads in `transfer` ----------------------------------------------------------------------

CHOOSING = dataclasses.replace(SOLVED, regularization=0.0, regularizations=PENALTIES)


def test_transfer_chooses_its_regularization():
    source = small_network(WITH_NORM).eval()
    train, test = toy_set(80, CLASSES), toy_set(40, CLASSES, seed=7)
    outcome = transfer(source, train, test, CLASSES, CHOOSING, 0)
    features = penultimate(source, train[0])
    best = by_a_plain_loop(features, train[1], torch.arange(80), CLASSES)
    row = outcome.history[0]
    assert row["regularization"] == pytest.approx(best)
    fixed = dataclasses.replace(SOLVED, regularization=best)
    expected = transfer(source, train, test, CLASSES, fixed, 0)
    torch.testing.assert_close(outcome.logits, expected.logits, rtol=1e-3, atol=1e-3)
    assert "regularization" not in expected.history[0]
    assert row["train_loss"] == pytest.approx(expected.history[0]["train_loss"], abs=1e-5)


# New fields in `transfer` ------------------------------------------------------------------------


def test_a_normal_head_is_where_training_starts():
    still = with_training(ITERATED, learning_rate=0.0)
    data = toy_set(40, CLASSES), toy_set(20, CLASSES, seed=7), CLASSES
    source = small_network(WITH_NORM).eval()
    for seed in (0, 1):
        outcome = transfer(source, *data, dataclasses.replace(still, initial_head="normal"), seed)
        torch.manual_seed(seed)
        torch.nn.Linear(source.head.in_features, CLASSES)
        expected = torch.empty(CLASSES, source.head.in_features).normal_()
        assert torch.equal(outcome.network.head.weight, expected)
        assert not outcome.network.head.bias.any()


MOVING = dataclasses.replace(with_training(BLOCKS, batch_norm="adapt"), moving_statistics=True)


def test_moving_statistics_move_everywhere_and_weights_only_in_the_tail():
    source = small_network(DEEPER).eval()
    data = toy_set(40, CLASSES), toy_set(20, CLASSES, seed=7), CLASSES
    before = weights(source)
    after = weights(transfer(source, *data, MOVING, 0).network)
    changed = {name for name in before if after[name] != before[name]}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    tail = ("blocks.stage3_0.", "head.")
    assert changed == {
        name for name in before if name.startswith(tail) or name.endswith(statistics)
    }
    assert not has_fixed_activations(MOVING)


ATTACK = AttackRecipe("pgd", "linf", 8 / 255, steps=1, labels="true")


@pytest.mark.parametrize(
    ("mode", "fixed"),
    [
        (SOLVED, True),
        (ITERATED, True),
        (BLOCKS, True),
        (with_training(BLOCKS, batch_norm="adapt"), True),
        (with_training(ITERATED, batch_norm="adapt"), False),
        (with_training(BLOCKS, augmentation="crop_flip"), False),
        (with_training(BLOCKS, attack=ATTACK), False),
        (FULL, False),
    ],
)
def test_what_can_be_cached(mode, fixed):
    assert has_fixed_activations(mode) is fixed


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        (dataclasses.replace(ITERATED, initial_head="zero"), "uniform or normal, not 'zero'"),
        (dataclasses.replace(SOLVED, initial_head="normal"), "lbfgs has no `initial_head`"),
        (dataclasses.replace(ITERATED, regularizations=PENALTIES), "are for solver lbfgs"),
        (dataclasses.replace(SOLVED, regularizations=PENALTIES), "instead of one"),
        (dataclasses.replace(BLOCKS, moving_statistics=True), "with batch_norm: adapt"),
        (dataclasses.replace(FULL, moving_statistics=True), "is for unfrozen_blocks"),
    ],
)
def test_fields_of_other_modes_are_told(mode, part):
    data = toy_set(8, CLASSES), toy_set(8, CLASSES), CLASSES
    with pytest.raises(UserError, match=part):
        transfer(small_network(WITH_NORM), *data, mode, 0)


# Fine-tuning -------------------------------------------------------------------------------------

TRAIN, TEST = toy_set(100, CLASSES), toy_set(30, CLASSES, seed=7)
ROWS = rows_of(100, 41, 3)  # batches of 16, 16 and 9, or 25
SEEDS = [5, 6, 2**40]
NORMS = with_training(BLOCKS, batch_norm="adapt")
DENSE = ModelRecipe("densenet", {"growth": 4, "layers": [1, 2]})


def tuned(mode: ModeRecipe, model: ModelRecipe, together: bool | None = None) -> list[Tuned]:
    source = small_network(model).eval()
    given = [TRAIN, TEST]
    if cached := has_fixed_activations(mode):
        trunk, _ = source.split(mode.blocks)
        precisions = (mode.training.precision, "fp32")
        given = [
            (activations(trunk, images, precision), labels)
            for (images, labels), precision in zip(given, precisions, strict=True)
        ]
    before = weights(source)
    found = tune_subsets(
        source, *given, ROWS, CLASSES, mode, SEEDS, cached=cached, together=together
    )
    assert weights(source) == before and source.head.out_features == 3
    return found


def one_by_one(mode: ModeRecipe, model: ModelRecipe) -> list[Transferred]:
    return [
        transfer(
            small_network(model).eval(), (TRAIN[0][row], TRAIN[1][row]), TEST, CLASSES, mode, seed
        )
        for row, seed in zip(ROWS, SEEDS, strict=True)
    ]


@pytest.mark.parametrize(
    ("mode", "model"),
    [
        (ITERATED, DEEPER),
        (dataclasses.replace(ITERATED, initial_head="normal"), DEEPER),
        (with_training(ITERATED, precision="bf16"), DEEPER),
        (with_training(ITERATED, nesterov=True, weight_decay=0.01, batch_size=64), WITH_NORM),
        (BLOCKS, DEEPER),
        (dataclasses.replace(BLOCKS, blocks=2), DEEPER),
        (dataclasses.replace(NORMS, blocks=2), DEEPER),
        (with_training(NORMS, precision="bf16"), DEEPER),
        (with_training(NORMS, checkpoint="best_on_test", learning_rate=0.1), DEEPER),
        (dataclasses.replace(NORMS, blocks=2), DENSE),
        (BLOCKS, ModelRecipe("lenet")),
    ],
    ids=[
        "head", "normal", "head-bf16", "nesterov", "one", "two", "adapt", "bf16", "best",
        "densenet", "lenet",
    ],
)  # fmt: skip
def test_every_run_is_a_transfer_of_its_own(mode, model):
    loose = 3e-2 if mode.training.precision == "bf16" else 1e-4
    expected = one_by_one(mode, model)
    if mode.training.checkpoint != "last":  # the best epochs are before it
        rows = [[row["test_accuracy"] for row in alone.history] for alone in expected]
        assert all(max(accuracies) > accuracies[-1] for accuracies in rows)
    source = small_network(model).eval()
    for together in (True, False):
        for run, alone in zip(tuned(mode, model, together), expected, strict=True):
            torch.testing.assert_close(run.logits, alone.logits, rtol=loose, atol=loose)
            assert run.logits.std() > 0.01 and run.logits.dtype == torch.float32
            assert len(run.history) == 4
            for here, there in zip(run.history, alone.history, strict=True):
                assert set(here) == set(there) - {"seconds"} and here["epoch"] == there["epoch"]
                for name in ("train_loss", "test_loss"):
                    assert here[name] == pytest.approx(there[name], rel=loose)
                for name, images in (("train_accuracy", 41), ("test_accuracy", 30)):
                    slack = 2.1 / images if loose > 1e-3 else 1e-6
                    assert here[name] == pytest.approx(there[name], abs=slack)
            # The transferred network, ready to be attacked: batch norm statistics included.
            network = run.network(source)
            assert source.head.out_features == 3 and not network.training
            state, other = network.state_dict(), alone.network.state_dict()
            assert set(state) == set(other)
            for name in state:
                torch.testing.assert_close(state[name], other[name], rtol=loose, atol=loose)
            logits = predict(network, TEST[0])
            torch.testing.assert_close(logits, run.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", [FULL, MOVING, with_training(BLOCKS, augmentation="crop_flip")])
def test_whole_networks_are_transferred_one_by_one(mode, caplog):
    with caplog.at_level(logging.INFO, "advtransfer"):
        runs = tuned(mode, DEEPER)
    assert not caplog.records  # no line an epoch of every run
    for run, alone in zip(runs, one_by_one(mode, DEEPER), strict=True):
        assert torch.equal(run.logits, alone.logits)
        network = run.network(small_network(DEEPER).eval())
        assert weights(network) == weights(alone.network)


def test_a_run_does_not_depend_on_the_others():
    source = small_network(DEEPER).eval()
    trunk, _ = source.split(1)
    train, test = ((activations(trunk, x, "fp32"), y) for x, y in (TRAIN, TEST))
    first, both = (
        tune_subsets(source, train, test, ROWS[:k], CLASSES, BLOCKS, SEEDS[:k], cached=True)
        for k in (1, 2)
    )
    assert torch.equal(first[0].logits, both[0].logits)


def test_what_is_taken_together():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert runs_together(ITERATED, cpu) and runs_together(BLOCKS, gpu)
    assert not runs_together(BLOCKS, cpu)


def test_a_run_that_diverges_is_told():
    with pytest.raises(UserError, match="diverged in epoch 1. Lower its learning_rate"):
        tuned(with_training(BLOCKS, learning_rate=1e30, schedule="constant"), DEEPER)


@pytest.mark.parametrize(
    ("mode", "changes", "part"),
    [
        (SOLVED, {}, "lbfgs has `solve_subsets`"),
        (FULL, {"cached": True}, "cannot be cached"),
        (with_training(BLOCKS, augmentation="crop_flip"), {"cached": True}, "cannot be cached"),
        (BLOCKS, {"cached": True}, "of activations where they are cached"),
        (BLOCKS, {"seeds": [1, 2]}, "3 subsets and 2 seeds"),
        (dataclasses.replace(ITERATED, training=None), {}, "needs a `training`"),
        (with_training(BLOCKS, epochs=0), {}, "at least one epoch"),
    ],
)
def test_wrong_jobs_are_told(mode, changes, part):
    given = {"seeds": SEEDS, "cached": False} | changes
    with pytest.raises(UserError, match=part):
        tune_subsets(small_network(WITH_NORM), TRAIN, TEST, ROWS, CLASSES, mode, **given)
