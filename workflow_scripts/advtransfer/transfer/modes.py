"""Checks and properties of transfer modes, without torch, because planning needs them too."""

from __future__ import annotations

from ..errors import UserError
from .recipe import ModeRecipe

MODES = ("last_layer", "unfrozen_blocks", "full_network")


def check_mode(recipe: ModeRecipe) -> None:
    """Refuse a mode that no transfer could carry out.

    Raises:
        UserError: The settings contradict each other; the message names the setting.
    """
    if (
        recipe.mode not in MODES
        or recipe.solver not in ("lbfgs", "sgd")
        or (recipe.solver == "lbfgs" and recipe.mode != "last_layer")
    ):
        raise UserError(
            f"no transfer mode '{recipe.mode}' with solver '{recipe.solver}'; there are last_layer "
            "(lbfgs or sgd), unfrozen_blocks (sgd) and full_network (sgd)."
        )
    if recipe.blocks and recipe.mode != "unfrozen_blocks":
        raise UserError(f"transfer mode '{recipe.mode}' has no `blocks`; unfrozen_blocks has.")
    if recipe.initial_head not in ("uniform", "normal"):
        raise UserError(f"initial_head is uniform or normal, not '{recipe.initial_head}'.")
    if recipe.regularizations and (recipe.solver != "lbfgs" or recipe.regularization):
        raise UserError("`regularizations` are for solver lbfgs, instead of one `regularization`.")
    _check_learning_rates(recipe)
    if recipe.solver == "lbfgs":
        if recipe.initial_head != "uniform":
            raise UserError("solver lbfgs has no `initial_head`: where it starts does not matter.")
    elif recipe.training is None:
        raise UserError(f"transfer mode '{recipe.mode}' by sgd needs a `training`.")
    if recipe.moving_statistics and (
        recipe.mode != "unfrozen_blocks"
        or recipe.training is None
        or recipe.training.batch_norm != "adapt"
    ):
        raise UserError("`moving_statistics` is for unfrozen_blocks with batch_norm: adapt.")


def _check_learning_rates(recipe: ModeRecipe) -> None:
    if not recipe.learning_rates:
        return
    if recipe.solver != "sgd":
        raise UserError("`learning_rates` are for solver sgd; lbfgs has `regularizations`.")
    if not all(rate > 0 for rate in recipe.learning_rates):
        raise UserError(f"`learning_rates` are above 0, not {min(recipe.learning_rates):g}.")
    if len(set(recipe.learning_rates)) < len(recipe.learning_rates):
        raise UserError("`learning_rates`: a value stands twice; remove one.")
    if recipe.training is not None and recipe.training.checkpoint != "last":
        raise UserError(
            "with `learning_rates` the last epoch counts: use checkpoint: last, not "
            f"{recipe.training.checkpoint}."
        )


def has_still_trunk(recipe: ModeRecipe) -> bool:
    """Return whether a mode changes nothing below the cut while it trains the part above.

    Batch norm statistics below the cut move only with ``moving_statistics``, and in ``last_layer``
    with batch_norm: adapt.
    """
    if recipe.mode == "full_network":
        return False
    if recipe.mode == "unfrozen_blocks":
        return not recipe.moving_statistics
    return recipe.training is None or recipe.training.batch_norm == "frozen"


def has_moving_statistics(recipe: ModeRecipe) -> bool:
    """Return whether batch norm statistics of frozen blocks move while a mode trains the others."""
    return recipe.mode != "full_network" and not has_still_trunk(recipe)


def has_fixed_activations(recipe: ModeRecipe) -> bool:
    """Return whether activations at the cut are the same in every epoch and can thus be stored."""
    training = recipe.training
    return has_still_trunk(recipe) and (
        training is None or (training.augmentation == "none" and training.attack is None)
    )
