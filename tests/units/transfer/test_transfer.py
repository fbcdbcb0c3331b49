"""Knowledge transfer: what moves and what does not, and that a cached trunk changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from support.networks import CONVOLUTIONAL, WITH_NORM, small_network, toy_set, weights
from support.transfers import BLOCKS, CLASSES, DEEPER, FULL, ITERATED, SOLVED, with_training
from workflow_scripts.advtransfer.data.batches import as_float
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.models.inference import penultimate
from workflow_scripts.advtransfer.models.network import Network
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.training.accuracy import accuracy_and_loss
from workflow_scripts.advtransfer.transfer.recipe import ModeRecipe
from workflow_scripts.advtransfer.transfer.transfer import CACHE_BYTES, Transferred, transfer

torch.set_num_threads(1)
MODES = [SOLVED, ITERATED, BLOCKS, FULL]
every_mode = pytest.mark.parametrize("mode", MODES, ids=["solved", "iterated", "blocks", "full"])


def carried(mode: ModeRecipe, source: Network | None = None, seed: int = 0) -> Transferred:
    """Over to four classes; what a source was trained on does not matter here."""
    source = small_network(WITH_NORM).eval() if source is None else source
    test = toy_set(40, CLASSES, seed=7)
    return transfer(source, toy_set(80, CLASSES), test, CLASSES, mode, seed)


# Modes -------------------------------------------------------------------------------------------


@every_mode
def test_the_source_is_left_as_it_is(mode):
    source = small_network(WITH_NORM).eval()
    before = weights(source)
    carried(mode, source)
    assert weights(source) == before
    assert source.head.out_features == 3
    assert all(p.requires_grad and p.grad is None for p in source.parameters())


@pytest.mark.parametrize("mode", [SOLVED, ITERATED], ids=["solved", "iterated"])
def test_last_layer_leaves_the_body(mode):
    source = small_network(WITH_NORM).eval()
    before, after = weights(source), weights(carried(mode, source).network)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"head.weight", "head.bias"}  # batch norm statistics included


def test_last_layer_as_the_papers_did_adapts_batch_norm_only():
    source = small_network(WITH_NORM).eval()
    adapting = dataclasses.replace(
        ITERATED, training=dataclasses.replace(ITERATED.training, batch_norm="adapt")
    )
    before, after = weights(source), weights(carried(adapting, source).network)
    moved = {name for name in before if after[name] != before[name]} - {"head.weight", "head.bias"}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_full_network_changes_everything():
    source = small_network(WITH_NORM).eval()
    before, after = weights(source), weights(carried(FULL, source).network)
    same = {name for name in before if after[name] == before[name]}
    assert same == {"normalize.mean", "normalize.std"}


# Frozen trunks -----------------------------------------------------------------------------------

NAMES = ["stem", "stage1_0", "stage2_0", "stage3_0", "pool"]


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
@pytest.mark.parametrize("batch_norm", ["frozen", "adapt"])
@pytest.mark.parametrize("blocks", [0, 1, 2, 4])
def test_the_last_blocks_with_weights_are_trained_and_nothing_else(
    blocks, batch_norm, augmentation
):
    """Pooling does not count; below the cut not a bit moves, batch norm statistics included."""
    source = small_network(DEEPER).eval()
    mode = with_training(
        dataclasses.replace(BLOCKS, blocks=blocks), batch_norm=batch_norm, augmentation=augmentation
    )
    before, after = weights(source), weights(carried(mode, source).network)
    changed = {name for name in before if after[name] != before[name]}
    tail = tuple(f"blocks.{name}." for name in NAMES[4 - blocks : 4]) + ("head.",)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    expected = {
        name
        for name in before
        if name.startswith(tail) and (batch_norm == "adapt" or not name.endswith(statistics))
    }
    assert changed == expected


@pytest.mark.parametrize(
    "mode",
    [
        dataclasses.replace(BLOCKS, blocks=0),
        BLOCKS,
        dataclasses.replace(BLOCKS, blocks=2),
        with_training(BLOCKS, batch_norm="adapt"),
        with_training(BLOCKS, precision="bf16"),
        ITERATED,
    ],
    ids=["head", "one", "two", "adapting", "bf16", "last_layer"],
)
@pytest.mark.parametrize("model", [DEEPER, ModelRecipe("densenet", {"growth": 4}), CONVOLUTIONAL])
def test_a_cached_trunk_changes_nothing(mode, model, monkeypatch):
    source = small_network(model).eval()
    passes = []
    source.blocks[0].register_forward_hook(lambda *given: passes.append(len(given[1][0])))
    outcomes, seen = [], []
    for limit in (CACHE_BYTES, 0):
        monkeypatch.setattr("workflow_scripts.advtransfer.transfer.transfer.CACHE_BYTES", limit)
        passes.clear()
        outcomes.append(carried(mode, source))
        seen.append(sum(passes))
    # Every image once (and one to measure), or 80 in each of 4 epochs and 40 after each and last.
    assert seen == [80 + 40 + 1, 1 + 4 * (80 + 40) + 40]
    cached, run = outcomes
    # Only the batches in which a convolution meets its images differ: rounding.
    loose = 2e-2 if mode.training.precision == "bf16" else 1e-4
    torch.testing.assert_close(cached.logits, run.logits, rtol=loose, atol=loose)
    for here, there in zip(cached.history, run.history, strict=True):
        assert here["train_loss"] == pytest.approx(there["train_loss"], rel=loose)
        assert here["test_loss"] == pytest.approx(there["test_loss"], rel=loose)


def test_moving_images_or_statistics_are_not_cached():
    for mode, passes in (
        (with_training(BLOCKS, augmentation="crop_flip"), 4 * (80 + 40) + 40),
        (with_training(ITERATED, batch_norm="adapt"), 4 * (80 + 40) + 40),
    ):
        source, seen = small_network(WITH_NORM).eval(), []
        source.blocks[0].register_forward_hook(lambda *given: seen.append(len(given[1][0])))  # noqa: B023
        carried(mode, source)
        assert sum(seen) == passes


def test_a_network_with_frozen_blocks_is_free_again_afterwards():
    first = carried(with_training(BLOCKS, augmentation="crop_flip")).network
    before, after = weights(first), weights(carried(FULL, first).network)
    same = {name for name in before if after[name] == before[name]}
    assert same == {"normalize.mean", "normalize.std"}


def test_trunk_and_tail_are_the_network():
    network = small_network(DEEPER).eval()
    images = as_float(toy_set(8)[0])
    for unfrozen in range(5):
        trunk, tail = network.split(unfrozen)
        assert torch.equal(tail(trunk(images)), network(images))
        assert set(tail.parameters()) <= set(network.parameters())


# What is left ------------------------------------------------------------------------------------


@every_mode
def test_what_a_transfer_leaves(mode):
    outcome = carried(mode)
    images, labels = toy_set(40, CLASSES, seed=7)
    assert outcome.logits.shape == (40, CLASSES) and outcome.logits.dtype == torch.float32
    assert len(outcome.history) == (1 if mode.solver == "lbfgs" else 4)
    last = outcome.history[-1]
    assert {"epoch", "train_loss", "test_accuracy", "test_loss"} <= set(last)
    # The last row is about the logits that are kept.
    right = float((outcome.logits.argmax(1) == labels).float().mean())
    assert last["test_accuracy"] == pytest.approx(right)
    assert last["test_loss"] == pytest.approx(float(F.cross_entropy(outcome.logits, labels)))
    assert accuracy_and_loss(outcome.network, images, labels)["test_accuracy"] == (
        pytest.approx(right)
    )


@every_mode
def test_same_seed_same_bytes(mode):
    first, same, other = (carried(mode, seed=seed) for seed in (0, 0, 1))
    assert first.logits.numpy().tobytes() == same.logits.numpy().tobytes()
    # The solved head has nothing at random in it.
    differs = first.logits.numpy().tobytes() != other.logits.numpy().tobytes()
    assert differs == (mode is not SOLVED)


@every_mode
def test_transfer_learns(mode):
    more = mode
    if mode.training:
        more = dataclasses.replace(mode, training=dataclasses.replace(mode.training, epochs=25))
    outcome = carried(more)
    assert outcome.history[-1]["test_accuracy"] > 0.7  # chance is a quarter


def test_penultimate_features_are_those_under_the_head():
    network = small_network(WITH_NORM)
    images, _ = toy_set(11)
    features = penultimate(network.train(), images, batch=4)
    assert not features.requires_grad
    network.eval()
    with torch.no_grad():
        expected = network.features(images.float() / 255)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)
    half = penultimate(network, images, "bf16")
    assert half.dtype == torch.float32 and not torch.equal(half, features)
    assert (half - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        (ModeRecipe("first_layer"), ["no transfer mode 'first_layer'", "last_layer", "full_net"]),
        (ModeRecipe("full_network", solver="lbfgs"), ["'full_network' with solver 'lbfgs'"]),
        (ModeRecipe("last_layer", solver="newton"), ["solver 'newton'"]),
        (ModeRecipe("last_layer"), ["'last_layer' by sgd needs a `training`"]),
        (ModeRecipe("full_network"), ["'full_network' by sgd needs a `training`"]),
        (ModeRecipe("unfrozen_blocks", blocks=1), ["'unfrozen_blocks' by sgd needs a `training`"]),
        (ModeRecipe("unfrozen_blocks", solver="lbfgs"), ["'unfrozen_blocks' with solver 'lbfgs'"]),
        (dataclasses.replace(FULL, blocks=1), ["'full_network' has no `blocks`"]),
        (dataclasses.replace(BLOCKS, blocks=3), ["cannot unfreeze 3 blocks", "has 2", "stem"]),
        (dataclasses.replace(BLOCKS, blocks=-1), ["cannot unfreeze -1 blocks"]),
    ],
)
def test_wrong_modes_are_told(mode, parts):
    with pytest.raises(UserError) as told:
        carried(mode)
    for part in parts:
        assert part in str(told.value)
