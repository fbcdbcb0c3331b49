"""A learning rate chosen on held-out training images: what is held out, what is taken, what is
kept of the others, and what is refused."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch

from support.networks import WITH_NORM, small_network, toy_set, weights
from support.transfers import CLASSES, FULL, ITERATED
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.recipes import to_plain
from workflow_scripts.advtransfer.transfer.heads import solve_subsets
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe, TransferRecipe
from workflow_scripts.advtransfer.transfer.transfer import (
    Transferred,
    held_last,
    held_out,
    transfer,
)

torch.set_num_threads(1)
RATES = (0.2, 1e-6)
MODES = [dataclasses.replace(mode, learning_rates=RATES) for mode in (ITERATED, FULL)]
every_mode = pytest.mark.parametrize("mode", MODES, ids=["iterated", "full"])
TRAIN, TEST = toy_set(80, CLASSES), toy_set(40, CLASSES, seed=7)


def carried(mode: ModeRecipe, train=TRAIN, seed: int = 0) -> Transferred:
    source = small_network(WITH_NORM).eval()
    before = weights(source)
    outcome = transfer(source, train, TEST, CLASSES, mode, seed)
    assert weights(source) == before
    return outcome


def alone(mode: ModeRecipe, rate: float, **changes: object) -> ModeRecipe:
    training = dataclasses.replace(mode.training, learning_rate=rate, **changes)
    return dataclasses.replace(mode, learning_rates=(), training=training)


def last_rows(outcome: Transferred) -> dict[float, dict[str, float]]:
    """The last row of every learning rate."""
    return {row["learning_rate"]: row for row in outcome.history}


# What is held out --------------------------------------------------------------------------------


def test_the_last_fifth_of_a_view_that_holds_classes_in_turn():
    labels = torch.arange(40) % 4
    assert held_out(labels).tolist() == [False] * 32 + [True] * 8


def test_a_fifth_of_every_class_where_they_are_unbalanced():
    labels = torch.tensor([0, 1] * 5 + [0] * 10 + [2, 2])
    held = held_out(labels)
    assert [int((labels[held] == k).sum()) for k in range(3)] == [3, 1, 0]
    # The last ones of the class.
    assert held.nonzero().flatten().tolist() == [9, 17, 18, 19]


def test_nothing_to_hold_out():
    with pytest.raises(UserError, match=r"of 4 images in 2 classes none can be held out"):
        held_out(torch.tensor([0, 1, 0, 1]))


@pytest.mark.parametrize(("images", "classes"), [(80, 4), (2000, 3), (7, 4)])
def test_a_penalty_is_chosen_by_the_tail_of_a_balanced_view(images, classes):
    order, share = held_last(torch.arange(images) % classes)
    assert order.tolist() == list(range(images)) and share == 0.2


def test_of_an_unbalanced_view_what_chooses_a_penalty_goes_to_the_end(monkeypatch):
    labels = torch.tensor([0, 1] * 10 + [0] * 20)  # as views are: the large class alone at the end
    order, share = held_last(labels)
    held = round(share * len(labels))
    assert sorted(order.tolist()) == list(range(40)) and held == 8
    assert labels[order][-held:].tolist() == [1, 1] + [0] * 6
    assert held_out(labels)[order].tolist() == [False] * 32 + [True] * 8

    chosen_by = []
    module = sys.modules[transfer.__module__]

    def solve(features, truth, rows, *others, holdout):
        tail = rows[0, -round(holdout * rows.shape[1]) :]
        chosen_by.extend(truth[tail].tolist())
        return solve_subsets(features, truth, rows, *others, holdout=holdout)

    monkeypatch.setattr(module, "solve_subsets", solve)
    mode = ModeRecipe("last_layer", solver="lbfgs", regularizations=(0.1, 0.01))
    carried(mode, (TRAIN[0][:40], labels))
    assert sorted(chosen_by) == [0] * 6 + [1, 1]


# What is taken -----------------------------------------------------------------------------------


@every_mode
def test_the_rate_with_the_best_validation_accuracy_is_taken(mode):
    outcome = carried(mode)
    last = last_rows(outcome)
    accuracies = {rate: row["validation_accuracy"] for rate, row in last.items()}
    assert accuracies[0.2] > accuracies[1e-6]  # it can learn; the other cannot
    assert [last[rate]["chosen"] for rate in RATES] == [1, 0]
    assert outcome.history[-1]["learning_rate"] == 0.2  # the chosen one's rows come last
    assert torch.equal(outcome.logits, outcome.candidates[0])
    predicted = (outcome.logits.argmax(1) == TEST[1]).float().mean()
    assert outcome.history[-1]["test_accuracy"] == pytest.approx(float(predicted))


@every_mode
def test_the_outcome_is_what_four_fifths_teach_at_that_rate(mode):
    """And no candidate depends on what else is tried."""
    held = held_out(TRAIN[1])
    for k, rate in enumerate(RATES):
        single = carried(alone(mode, rate), (TRAIN[0][~held], TRAIN[1][~held]))
        both = carried(mode)
        assert torch.allclose(both.candidates[k], single.logits, atol=1e-5)
        assert torch.equal(
            carried(dataclasses.replace(mode, learning_rates=(rate,))).logits, both.candidates[k]
        )


@every_mode
def test_test_images_choose_nothing(mode):
    """With other test labels, the same rate and the same network."""
    source = small_network(WITH_NORM).eval()
    shuffled = TEST[0], TEST[1].roll(1)
    outcomes = [transfer(source, TRAIN, test, CLASSES, mode, 0) for test in (TEST, shuffled)]
    assert weights(outcomes[0].network) == weights(outcomes[1].network)


def test_of_equals_the_smaller():
    """Where nothing is learned, all are equal but for the loss; without any step, in that too."""
    still = alone(MODES[0], 1.0)
    mode = dataclasses.replace(
        still, learning_rates=(3e-30, 1e-30), training=dataclasses.replace(still.training, epochs=1)
    )
    assert carried(mode).history[-1]["learning_rate"] == 1e-30


@every_mode
def test_a_rate_that_diverges_is_out(mode):
    mode = dataclasses.replace(mode, learning_rates=(1e38, 0.2))
    outcome = carried(mode)
    last = last_rows(outcome)
    assert outcome.history[-1]["learning_rate"] == 0.2 and last[1e38]["chosen"] == 0
    assert "test_accuracy" not in last[1e38]
    assert outcome.candidates[0].isnan().all() and not outcome.candidates[1].isnan().any()
    with pytest.raises(UserError, match=r"diverged at every learning rate \(1e\+38\): name lower"):
        carried(dataclasses.replace(mode, learning_rates=(1e38,)))


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (ModeRecipe("last_layer", "lbfgs", learning_rates=RATES), "are for solver sgd"),
        (dataclasses.replace(FULL, learning_rates=(0.1, 0.1)), "stands twice"),
        (dataclasses.replace(FULL, learning_rates=(0.1, 0.0)), "are above 0"),
        (
            dataclasses.replace(alone(FULL, 0.1, checkpoint="best_on_test"), learning_rates=RATES),
            "use checkpoint: last, not best_on_test",
        ),
    ],
)
def test_modes_that_cannot_be_honoured(mode, message):
    with pytest.raises(UserError, match=message):
        carried(mode)


def test_recipes_without_rates_and_trials_are_what_they_were():
    view = ViewRecipe(DatasetRecipe("mnist"), "train", ("0", "1"))
    for mode, more in ((FULL, set()), (MODES[1], {"learning_rates"})):
        plain = to_plain(TransferRecipe(view, view, (mode,)))
        assert set(plain) == {"train", "test", "modes"}
        assert set(plain["modes"][0]) == {"mode", "training", *more}
    assert to_plain(TransferRecipe(view, view, (FULL,), trial=2))["trial"] == 2
