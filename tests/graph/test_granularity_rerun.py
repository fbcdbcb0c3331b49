"""granularity: what a change of it makes, and that what is there stays.

No network is trained (`finished`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.edits import LIBRARY, STUDIES, Edit, append, study
from support.finished import finished_study, unchanged
from support.plans import DryRun, dry_run

STUDY = "granularity"
FIGURES = ("resolutions", "best_epsilon", "granularity_measures", "measure_ranking")
DRAWN = {f"{STUDY}_{name}": 1 for name in (*FIGURES, "page")}
TABLES = {f"{STUDY}_tables": 1, f"{STUDY}_analysis": 1}
TRAININGS = 3  # of one architecture, with two seeds in one block
TARGETS = 4


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DryRun]:
    """A folder in which all is there, and the plan that made it."""
    folder = tmp_path_factory.mktemp("granularity")
    return folder, finished_study(folder, STUDY)


def test_what_the_study_makes(everything: tuple[Path, DryRun]) -> None:
    _, plan = everything
    stages = {
        "train_source": 2 * TRAININGS,  # seeds
        "transfer_source": TRAININGS * TARGETS,
        "measure_granularity": TARGETS,  # in the natural sources' features alone
    }
    assert (stages | TABLES | DRAWN).items() <= plan.counts.items()


CHANGES: dict[str, tuple[Edit, dict[str, int]]] = {
    # Its own views, measures and transfers; no source is trained.
    "one more resolution": (
        study(
            STUDY,
            targets={
                "near_12": {
                    "dataset": "cifar10",
                    "classes": ["dog", "horse", "ship", "truck"],
                    "images": 120,
                    "test_images": 60,
                    "detail": 12,
                }
            },
        ),
        {
            "make_view": 2,
            "compare_views": 1,
            "transfer_source": TRAININGS,
            "measure_granularity": 1,
            **TABLES,
        }
        | DRAWN,
    ),
    # No network is trained or transferred.
    "a measure's formula": (
        append(f"{LIBRARY}/metrics/granularity.py"),
        {"measure_granularity": TARGETS, **TABLES} | DRAWN,
    ),
    "how the best epsilon is estimated": (
        append(f"{STUDIES}/{STUDY}/best_epsilon.py"),
        {f"{STUDY}_analysis": 1} | DRAWN,
    ),
    "one figure's script": (
        append(f"{STUDIES}/{STUDY}/figures/resolutions.py"),
        {f"{STUDY}_resolutions": 1, f"{STUDY}_page": 1},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_only_what_it_must(everything: tuple[Path, DryRun], name: str) -> None:
    folder, _ = everything
    edit, expected = CHANGES[name]
    with unchanged(folder):
        edit(folder)
        assert dry_run(folder, STUDY).counts == expected
