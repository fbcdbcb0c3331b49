"""accuracy_and_robustness: what a change of it makes, and that what is there stays.

No network is trained (`finished`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.edits import STUDIES, Edit, append, study
from support.finished import finished_study, unchanged
from support.plans import DryRun, dry_run

STUDY = "accuracy_and_robustness"
FIGURES = ("accuracy_scatter", "accuracy_correlations", "left_out_errors", "width")
DRAWN = {f"{STUDY}_{name}": 1 for name in (*FIGURES, "page")}
TABLES = {f"{STUDY}_tables": 1, f"{STUDY}_analysis": 1}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DryRun]:
    """A folder in which all is there, and the plan that made it."""
    folder = tmp_path_factory.mktemp("accuracy")
    return folder, finished_study(folder, STUDY)


def after(everything: tuple[Path, DryRun], edit: Edit) -> dict[str, int]:
    folder, _ = everything
    with unchanged(folder):
        edit(folder)
        return dry_run(folder, STUDY).counts


def test_what_the_study_makes(everything: tuple[Path, DryRun]) -> None:
    _, plan = everything
    # 4 architectures and a width, natural and robust, one seed, one target.
    stages = {"train_source": 10, "evaluate_source": 10, "transfer_source": 10}
    assert stages.items() <= plan.counts.items()
    assert (DRAWN | TABLES).items() <= plan.counts.items()


CHANGES: dict[str, tuple[Edit, dict[str, int]]] = {
    # Its own network, evaluation and transfer; tables and figures follow.
    "one more architecture": (
        study(
            STUDY,
            sources={
                "groups": {"more": {"models": ["vgg"], "trainings": ["natural"], "seeds": [[0]]}}
            },
            architectures=["mlp", "lenet", "alexnet", "resnet8", "vgg"],
        ),
        {"train_source": 1, "evaluate_source": 1, "transfer_source": 1} | TABLES | DRAWN,
    ),
    "one architecture is left out of the comparison": (
        study(STUDY, architectures=["mlp", "lenet", "resnet8"]),
        TABLES | DRAWN,
    ),
    "the figure of width": (
        append(f"{STUDIES}/{STUDY}/figures/width.py"),
        {f"{STUDY}_width": 1, f"{STUDY}_page": 1},
    ),
    "what its figures share": (append(f"{STUDIES}/{STUDY}/plotting.py"), DRAWN),
    "the statistics": (
        append(f"{STUDIES}/{STUDY}/relation.py"),
        {f"{STUDY}_analysis": 1} | DRAWN,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_only_what_it_must(everything: tuple[Path, DryRun], name: str) -> None:
    edit, expected = CHANGES[name]
    assert after(everything, edit) == expected
