"""Images that source and target share, in the tables and on the pages of studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.comparisons import write_comparisons
from support.config import FIRST, changed
from workflow_scripts.advtransfer.addresses import block_path, comparison_path
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.attacks.recipe import attack_label
from workflow_scripts.advtransfer.data.recipe import DROP, REFUSE
from workflow_scripts.advtransfer.metrics.pairing_recipe import pair_name
from workflow_scripts.advtransfer.report.shared import shared_in_words
from workflow_scripts.studies.kinds.pairs import tables
from workflow_scripts.studies.kinds.pairs.design import PairStudy
from workflow_scripts.studies.plan import make_plan

# The page ----------------------------------------------------------------------------------------


def row(target: str, train: Any, test: Any) -> dict[str, str]:
    return {"target": target, "shared_images": str(train), "shared_test_images": str(test)}


def test_a_page_says_how_many_images_were_left_out_of_which_target() -> None:
    rows = [row("near", 2, 0), row("near", 5, 1), row("far", 0, 0), row("mine", "", "")]
    said = shared_in_words(rows)
    assert "at most 5 training and 1 test image of near for one source" in said
    assert "far" not in said and "mine" not in said
    assert "3 test images of far" in shared_in_words([*rows, row("far", 0, 3)])


def test_a_page_says_when_nothing_is_shared_or_nothing_is_known() -> None:
    none = "No source that was trained here saw an image of a target."
    assert shared_in_words([row("near", 0, 0)]) == none
    unknown = "The images that imported sources were trained on are not known."
    assert shared_in_words([row("near", 0, 0), row("near", "", "")]) == f"{none} {unknown}"
    assert "are not known" in shared_in_words([row("near", "", "")])
    assert shared_in_words([]) == shared_in_words([{"target": "near"}]) == ""


# The plan ----------------------------------------------------------------------------------------


def test_every_transfer_of_a_source_trained_here_is_compared() -> None:
    study = make_plan(changed({})).studies[FIRST]
    comparisons = study.comparisons()
    pairs = {
        (source.recipe.view, t.transfers[0]) for source in study.sources for t in study.targets
    }
    assert {(c.source, c.train, c.test) for c in comparisons} == {
        (view, transfer.train, transfer.test) for view, transfer in pairs
    }
    assert {c.shared_images for c in comparisons} == {DROP}
    assert set(map(comparison_path, comparisons)) < set(study.files())


def test_an_imported_source_has_nothing_to_compare() -> None:
    assert make_plan(changed({})).studies["pretrained"].comparisons() == []


def test_refusing_is_for_all_transfers_of_a_study_and_for_no_other() -> None:
    plan = make_plan(changed({f"studies.{FIRST}.shared_images": "refuse"}))
    for name, study in plan.studies.items():
        expected = {REFUSE} if name == FIRST else {DROP}
        assert {c.shared_images for c in study.comparisons()} <= expected


# Values of single images -------------------------------------------------------------------------


def test_an_image_that_a_transfer_left_out_has_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rows keep their images: positions in the attacked view."""
    monkeypatch.chdir(tmp_path)
    study = make_plan(changed({})).studies[FIRST]
    assert isinstance(study, PairStudy)
    source, (target,) = study.sources[0], study.targets
    write_comparisons(study, test=[2], images=6)
    seeds = source.seed_blocks[0]
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    arrays = {"labels": np.arange(5) % 4, f"seed{seeds[0]}/last_layer/logits": logits}
    write_hdf5(block_path("transfers", source.recipe, seeds, target.transfers[0], "h5"), arrays, {})
    losses = tables._transfer_losses(source, target)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [2] and len(losses) == 6

    reference, metrics = next(study.metrics(target))
    label = attack_label(metrics.pairing.attacks.attacks[0])
    values = np.arange(4.0)  # of the four attacked images
    own = {}
    for direction in ("source_to_reference", "reference_to_source"):
        for value in ("alpha_1", "transferred_loss"):
            pair = seeds[0], metrics.pairing.reference_seeds[0]
            own[pair_name(*pair, label, f"{direction}/{value}")] = values
    write_hdf5(block_path("metrics", source.recipe, seeds, metrics, "h5"), own, {})
    rows = list(tables._images(source, reference, metrics, label, losses))
    assert [row["image"] for row in rows] == 2 * [0, 1, 3]
    assert [row["alpha_1"] for row in rows] == 2 * [0.0, 1.0, 3.0]
    assert [row["transfer_loss"] for row in rows[:3]] == [losses[k] for k in (0, 1, 3)]
