"""Measures of granularity on data whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from support.steps import run_step
from workflow_scripts.advtransfer.artifacts.hdf5 import write_hdf5
from workflow_scripts.advtransfer.artifacts.table_reader import read_rows
from workflow_scripts.advtransfer.data.recipe import DatasetRecipe
from workflow_scripts.advtransfer.data.view_recipe import ViewRecipe
from workflow_scripts.advtransfer.data.views import load_view, make_view
from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.granularity import (
    _neighbours,
    class_separation,
    label_depth,
    levina_bickel,
    mean_frequency,
    radial_power,
    spectral_slope,
    twonn,
)
from workflow_scripts.advtransfer.metrics.granularity_recipe import GranularityRecipe
from workflow_scripts.advtransfer.models.recipe import ModelRecipe
from workflow_scripts.advtransfer.models.zoo import build_network, save_checkpoint
from workflow_scripts.advtransfer.recipes import to_json


def noise_with_power(slope: float, images: int = 60, size: int = 32, seed: int = 0) -> np.ndarray:
    """Grey uint8 images whose power falls as f^slope: crops of larger ones, as photographs are."""
    rng = np.random.default_rng(seed)
    whole = 4 * size
    frequency = np.fft.fftfreq(whole) * whole
    radius = np.hypot(frequency[:, None], frequency[None])
    amplitude = np.where(radius > 0, np.maximum(radius, 1) ** (slope / 2), 0)
    found = []
    for _ in range(images):
        spectrum = np.fft.fft2(rng.normal(size=(whole, whole))) * amplitude
        field = np.fft.ifft2(spectrum).real[:size, :size]
        field = (field - field.mean()) / field.std()
        found.append(np.clip(127.5 + 35 * field, 0, 255).round())
    return np.repeat(np.asarray(found, np.uint8)[..., None], 3, axis=3)


def manifold(dimension: int, ambient: int, points: int, seed: int = 0) -> np.ndarray:
    """Points of a curved surface of known dimension: a random linear map, then a bend."""
    rng = np.random.default_rng(seed)
    flat = rng.uniform(size=(points, dimension))
    plane = flat @ rng.normal(size=(dimension, ambient))
    return np.hstack([plane, np.sin(flat)])


# Spectra -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, -1.0, -2.0])
def test_the_slope_of_a_known_spectrum_is_found(slope):
    assert spectral_slope(noise_with_power(slope)) == pytest.approx(slope, abs=0.15)


def test_a_wave_has_its_power_at_its_frequency():
    x = np.arange(32)
    wave = 127.5 + 100 * np.sin(2 * np.pi * 6 * x / 32)
    images = np.broadcast_to(wave[None, None, :, None], (1, 32, 32, 3)).round().astype(np.uint8)
    power = radial_power(images)
    assert len(power) == 15
    assert mean_frequency(images) == pytest.approx(6, abs=0.1)
    assert power.argmax() == 5  # rings are 1, 2, ...
    assert power[:4].max() < power[5] / 100 and power[7:].max() < power[5] / 100


def test_contrast_and_brightness_do_not_matter():
    images = noise_with_power(-2.0, images=5)
    half = (images // 2 + 40).astype(np.uint8)
    assert spectral_slope(half) == pytest.approx(spectral_slope(images), abs=0.03)


def test_less_detail_has_a_steeper_spectrum(tmp_path):
    """The views' own reduction: every step down takes high frequencies away."""
    write_hdf5(
        tmp_path / "dataset.h5",
        {"train/images": noise_with_power(-2.0), "train/labels": np.arange(60) % 2},
        {"class_names": ["a", "b"]},
    )
    recipe = ViewRecipe(DatasetRecipe("cifar10"), "train", ("a", "b"))
    slopes, frequencies = [], []
    for detail in (32, 16, 8, 4):
        file = tmp_path / f"{detail}.h5"
        make_view(dataclasses.replace(recipe, detail=detail), tmp_path / "dataset.h5", file)
        images = load_view(file, tmp_path / "dataset.h5").images
        slopes.append(spectral_slope(images))
        frequencies.append(mean_frequency(images))
    assert frequencies == sorted(frequencies, reverse=True)
    assert slopes[:3] == sorted(slopes[:3], reverse=True)
    # The rounding of grey levels ends the slope's fall: see its documentation.
    assert slopes[0] - slopes[2] > 2 and slopes[0] - slopes[3] > 2


def test_what_has_no_spectrum_is_told():
    with pytest.raises(UserError, match="no contrast"):
        spectral_slope(np.full((3, 16, 16, 3), 9, np.uint8))
    with pytest.raises(UserError, match="at least 8 pixels"):
        spectral_slope(np.zeros((3, 4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="square images"):
        spectral_slope(np.zeros((3, 16, 12, 3), np.uint8))


# Classes -----------------------------------------------------------------------------------------


def test_separation_by_hand():
    # Means 0 and 4, each a point left and right of it: between 4 * 2^2, within 4 * 1^2.
    features = np.array([[-1.0], [1.0], [3.0], [5.0]])
    assert class_separation(features, [0, 0, 1, 1]) == pytest.approx(4.0)


def test_separation_of_gaussians_with_a_known_ratio():
    rng = np.random.default_rng(0)
    labels = np.arange(6000) % 3
    means = rng.normal(size=(3, 10)) * 2
    features = means[labels] + rng.normal(size=(6000, 10)) * 1.5
    between = ((means - means.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert class_separation(features, labels) == pytest.approx(between / (10 * 1.5**2), rel=0.03)
    # No difference: what is left is chance, (classes - 1) / (N - classes).
    alike = class_separation(rng.normal(size=(6000, 10)), labels)
    assert alike == pytest.approx(2 / 5997, rel=0.6)


def test_separation_does_not_depend_on_units_or_label_names():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(50, 4)), np.arange(50) % 5
    expected = class_separation(features, labels)
    assert class_separation(7 * features + 3, labels) == pytest.approx(expected)
    assert class_separation(features, 10 - labels) == pytest.approx(expected)


def test_what_has_no_separation_is_told():
    with pytest.raises(UserError, match="two classes"):
        class_separation(np.eye(4), [1, 1, 1, 1])
    with pytest.raises(UserError, match="two images each"):
        class_separation(np.eye(4), [1, 1, 1, 0])
    with pytest.raises(UserError, match="all alike"):
        class_separation(np.array([[1.0], [1.0], [2.0], [2.0]]), [0, 0, 1, 1])
    with pytest.raises(UserError, match="not finite"):
        class_separation(np.full((4, 2), np.nan), [0, 0, 1, 1])


PATHS = (("animal", "mammal", "dog"), ("animal", "mammal", "horse"), ("vehicle", "ship"))


def test_depth_by_hand():
    # dog and horse meet at depth 2, each of them and ship at the root.
    assert label_depth(PATHS) == pytest.approx(2 / 3)
    assert label_depth(PATHS[:2]) == 2
    # Animals against ships: dog against horse is no question any more.
    assert label_depth(PATHS, [0, 0, 1]) == 0


def test_what_has_no_depth_is_told():
    with pytest.raises(UserError, match="different labels"):
        label_depth(PATHS, [0, 0, 0])
    with pytest.raises(UserError, match="a leaf of its own"):
        label_depth([("animal",), ("animal", "dog")])
    with pytest.raises(UserError, match="a leaf of its own"):
        label_depth([PATHS[0], PATHS[0], PATHS[2]])


# Intrinsic dimension -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", [twonn, levina_bickel])
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_a_manifold_is_found(estimate, dimension):
    points = manifold(dimension, ambient=30, points=2000)
    assert estimate(points) == pytest.approx(dimension, rel=0.12)


@pytest.mark.parametrize("estimate", [twonn, levina_bickel])
def test_dimension_is_of_the_shape_alone(estimate):
    points = manifold(3, ambient=10, points=400)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(13, 13))).Q
    assert estimate(50 * points @ turn + 1000) == pytest.approx(estimate(points), rel=1e-6)
    assert estimate(points[::-1]) == pytest.approx(estimate(points))


@pytest.mark.parametrize("estimate", [twonn, levina_bickel])
def test_coinciding_points_are_left_out(estimate):
    points = manifold(2, ambient=10, points=600)
    twice = np.concatenate([points, points[:1], points[:1]])
    assert estimate(twice) == pytest.approx(estimate(points), rel=0.1)
    with pytest.raises(UserError, match="points that differ"):
        estimate(np.ones((100, 3)))


def test_twonn_by_its_own_law():
    """Ratios drawn from F(mu) = 1 - mu^-d: pairs on a line far apart, with a third point each."""
    rng = np.random.default_rng(3)
    ratios = rng.uniform(size=3000) ** (-1 / 4)  # d = 4
    centre = 1e6 * np.arange(len(ratios))
    points = np.concatenate([centre, centre - 1, centre + ratios])[:, None]
    # Of every triple the centre has neighbours at 1 and mu; the outer ones have other ratios.
    found = _neighbours(points, 2)[: len(ratios)]
    assert np.allclose(np.sort(found[:, 1] / found[:, 0]), np.sort(ratios))


# The step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "measured"), [(40, 40), (2000, 60), (None, 60)])
def test_of_a_whole_view_the_first_images_are_measured(images, measured, tmp_path):
    """Of fewer images than asked for all are."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    arrays = {"train/images": pixels, "train/labels": np.arange(60) % 2}
    write_hdf5(tmp_path / "dataset.h5", arrays, {"class_names": ["a", "b"]})
    view = ViewRecipe(DatasetRecipe("cifar10"), "train", ("a", "b"))
    make_view(view, tmp_path / "dataset.h5", tmp_path / "view.h5")
    model = ModelRecipe("resnet", {"width": 4, "blocks": [1, 1]})
    network = build_network(model, 2, 16).eval()
    save_checkpoint(tmp_path / "a.safetensors", network, model, ("a", "b"), 16)
    recipe = GranularityRecipe(view, images=images)
    line = ["--recipe", to_json(recipe), "--seeds", "0", "--threads", "1", "--device", "cpu"]
    for option, file in (
        *(("checkpoints", "a.safetensors"), ("view", "view.h5"), ("dataset", "dataset.h5")),
        ("output", "measures.csv"),
    ):
        line += [f"--{option}", str(tmp_path / file)]
    run_step("measure_granularity", line)
    rows = read_rows(tmp_path / "measures.csv")
    assert {row["n_images"] for row in rows} == {str(measured)}
    (slope,) = (row["value"] for row in rows if row["measure"] == "spectral_slope")
    first = load_view(tmp_path / "view.h5", tmp_path / "dataset.h5").images[:measured]
    assert float(slope) == pytest.approx(spectral_slope(first))
