"""Few images, on the smoke run: what a cell does not depend on, and sources of other programs."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from support.plans import DryRun, arguments_of
from support.workflow import SMOKE, snakemake, step
from workflow_scripts.advtransfer.addresses import block_path, source_path, view_path
from workflow_scripts.advtransfer.recipes import to_json
from workflow_scripts.advtransfer.transfer.subsets_recipe import cached_features
from workflow_scripts.studies.data_efficiency.design import Cell
from workflow_scripts.studies.plan import Plan, make_plan
from workflow_scripts.studies.sources import Source

STUDY = "data_efficiency"
TABLE = f"results/smoke/tables/{STUDY}.csv"
Row = dict[str, str]


def rows(file: Path) -> list[Row]:
    with open(file, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def plan(smoke_run: Path) -> Plan:
    return make_plan(yaml.safe_load((smoke_run / "results/smoke/config.yaml").read_text()))


def cell_of(plan: Plan, grid: str, training: str = "natural") -> tuple[Source, Cell]:
    """The first cell of a grid, for the source with this training."""
    study = plan.studies[STUDY]
    source = next(source for source in study.sources if source.training == training)
    return source, next(cell for cell in study.cells(source) if cell.grid == grid)


def transfer_by_hand(
    folder: Path, source: Source, cell: Cell, output: Path, seeds: tuple[int, ...]
) -> list[Row]:
    """The step as its rule calls it, with a recipe of one's own."""
    recipe = cell.recipe
    network = source.recipe
    features = cached_features(recipe)
    arguments: list[str | Path] = ["--recipe", to_json(recipe), "--seeds", *map(str, seeds)]
    arguments += ["--checkpoints"]
    arguments += [source_path(network, seed, "model.safetensors") for seed in seeds]
    arguments += ["--train-view", view_path(recipe.train), "--test-view", view_path(recipe.test)]
    arguments += ["--dataset", next((folder / "results/data/datasets").glob("cifar10-*.h5"))]
    if features is not None:
        (block,) = source.seed_blocks
        arguments += ["--features", block_path("features", network, block, features, "h5")]
    done = step(folder, "transfer_subsets", *arguments, "--output", output)
    assert done.returncode == 0, done.stdout
    return rows(output)


@pytest.mark.parametrize("grid", ["heads", "head_epochs", "blocks", "statistics", "scratch"])
def test_a_cell_does_not_depend_on_its_block(
    grid: str, smoke_run: Path, plan: Plan, tmp_path: Path
) -> None:
    """One size, one subset seed and one source seed alone: the rows that the block has."""
    import dataclasses

    source, cell = cell_of(plan, grid, "untrained" if grid == "scratch" else "natural")
    (block,) = source.seed_blocks
    whole = rows(smoke_run / block_path("subsets", source.recipe, block, cell.recipe, "csv"))
    size, subset_seed, seed = cell.recipe.images[-1], cell.recipe.subset_seeds[-1], block[-1]
    alone = dataclasses.replace(cell.recipe, images=(size,), subset_seeds=(subset_seed,))
    found = transfer_by_hand(
        smoke_run, source, dataclasses.replace(cell, recipe=alone), tmp_path / "one.csv", (seed,)
    )
    which = {"seed": str(seed), "images": str(size), "subset_seed": str(subset_seed)}
    wanted = [row for row in whole if which.items() <= row.items()]
    assert wanted and len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        for name, value in theirs.items():
            # Heads of several subsets are one batch, which rounds otherwise than one alone.
            if "loss" in name:
                assert float(ours[name]) == pytest.approx(float(value), rel=2e-3, abs=1e-4)
            elif name == "test_accuracy":  # an image at the border may fall to either side
                assert float(ours[name]) == pytest.approx(float(value), abs=1.5 / 60)
            else:
                assert ours[name] == value


def test_features_are_what_the_network_gives(smoke_run: Path, plan: Plan) -> None:
    from workflow_scripts.advtransfer.data.batches import to_device
    from workflow_scripts.advtransfer.data.views import load_view
    from workflow_scripts.advtransfer.models.zoo import load_checkpoint

    source, cell = cell_of(plan, "blocks")
    features = cached_features(cell.recipe)
    (block,) = source.seed_blocks
    assert features is not None and features.blocks == 1
    dataset = next((smoke_run / "results/data/datasets").glob("cifar10-*.h5"))
    view = load_view(smoke_run / view_path(features.test), dataset)
    checkpoint = smoke_run / source_path(source.recipe, block[0], "model.safetensors")
    network, _ = load_checkpoint(checkpoint.absolute(), torch.device("cpu"))
    with torch.no_grad():
        images = to_device(view.images, torch.device("cpu")).float() / 255
        wanted = network.blocks[:-2](network.normalize(images))  # but the last stage and the pool
    path = smoke_run / block_path("features", source.recipe, block, features, "h5")
    with h5py.File(path) as file:
        found = file[f"seed{block[0]}/test"][:]
    np.testing.assert_allclose(found, wanted.permute(0, 2, 3, 1).numpy(), atol=2e-5)


def test_all_sources_meet_the_same_subsets(smoke_run: Path) -> None:
    table = rows(smoke_run / TABLE)
    sources = {row["source"] for row in table if row["grid"] == "heads"}
    met = {
        source: {
            (row["source_seed"], row["images"], row["subset_seed"])
            for row in table
            if row["source"] == source and row["grid"] == "heads"
        }
        for source in sources
    }
    assert len(sources) == 4
    assert len({frozenset(cells) for cells in met.values()}) == 1


def test_differences_are_those_of_the_table(smoke_run: Path) -> None:
    table = rows(smoke_run / TABLE)

    def mean(training: str, images: str) -> float:
        found = [
            float(row["accuracy"])
            for row in table
            if (row["grid"], row["source_training"], row["images"]) == ("heads", training, images)
        ]
        assert len(found) == 4  # two source seeds, two subsets
        return float(np.mean(found))

    differences = [
        row
        for row in rows(smoke_run / TABLE.replace(".csv", "_differences.csv"))
        if (row["comparison"], row["grid"], row["quantity"]) == ("training", "heads", "accuracy")
    ]
    assert {row["training"] for row in differences} == {"robust_linf", "free_linf", "untrained"}
    for row in differences:
        wanted = mean(row["training"], row["images"]) - mean("natural", row["images"])
        assert float(row["value"]) == pytest.approx(wanted, abs=1e-6)
        assert float(row["ci_low"]) <= float(row["value"]) <= float(row["ci_high"])
        assert (row["n_source_seeds"], row["n_subset_seeds"]) == ("2", "2")


def test_source_of_another_program(smoke_run: Path, plan: Plan, tmp_path: Path) -> None:
    """A source as a torch checkpoint gives the study the numbers that it gives as our own."""
    source, _ = cell_of(plan, "heads")
    ours = smoke_run / source_path(source.recipe, 0, "model.safetensors")
    checkpoint = tmp_path / "resnet8.pt"
    torch.save(load_file(ours), checkpoint)
    names = tmp_path / "classes.txt"
    assert hasattr(source.recipe, "view")
    names.write_text("\n".join(source.recipe.view.classes))
    entry = {
        "file": str(checkpoint),
        "model": "resnet8",
        "classes_file": str(names),
        "size": 32,
    }
    nothing = dict.fromkeys(("dataset", "classes", "images", "models", "trainings", "seeds"))
    study = {
        "sources": {**nothing, "checkpoints": ["theirs", "again"]},
        "baseline": "natural",
        "robust": "copied",
        "grids": dict.fromkeys(("head_epochs", "blocks", "statistics", "scratch", "robustness")),
        "figures": {
            **dict.fromkeys(("epochs", "blocks", "statistics", "scratch", "robustness")),
        },
    }
    overlay = {
        "label": "imported",
        "checkpoints": {
            "theirs": {**entry, "training": "natural"},
            "again": {**entry, "training": "copied"},
        },
        "studies": {STUDY: study},
    }
    (smoke_run / "imported.yaml").write_text(yaml.safe_dump(overlay))
    try:
        done = snakemake(smoke_run, STUDY, *SMOKE, "imported.yaml")
        assert done.returncode == 0, done.stdout
        table = rows(smoke_run / f"results/imported/tables/{STUDY}.csv")
        wanted = {
            (row["images"], row["subset_seed"]): row["accuracy"]
            for row in rows(smoke_run / TABLE)
            if row["grid"] == "heads"
            and (row["source_training"], row["source_seed"]) == ("natural", "0")
        }
        assert {row["source_training"] for row in table} == {"natural", "copied"}
        for row in table:
            assert row["accuracy"] == wanted[row["images"], row["subset_seed"]]
        page = (smoke_run / f"results/imported/pages/{STUDY}.html").read_text()
        assert "natural" in page
    finally:
        (smoke_run / "imported.yaml").unlink()
        shutil.rmtree(smoke_run / "results/imported", ignore_errors=True)


def test_steps_can_be_called_by_hand(smoke_run: Path, smoke_plan: DryRun, tmp_path: Path) -> None:
    """Each of the study's steps, again, elsewhere: the same bytes."""
    for name in ("extract_features", "measure_similarity", "transfer_subsets"):
        job = next(job for job in smoke_plan.jobs if job.rule == name)
        (here := tmp_path / name).mkdir()
        again = step(smoke_run, name, *arguments_of(job, here), fork=False)
        assert again.returncode == 0, again.stdout
        made = here / Path(job.output[0]).name
        if made.suffix == ".csv":  # an HDF5 file says where it belongs
            assert made.read_bytes() == (smoke_run / job.output[0]).read_bytes()
