"""Transferability metrics on logits and perturbations whose values follow by hand.

With attacks, and in expectation, they are in test_metrics_against_oracle.py.
"""

import subprocess
import sys

import numpy as np
import pytest

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.losses import cross_entropy
from workflow_scripts.advtransfer.metrics.transferability import (
    alpha_1,
    alpha_1_summary,
    alpha_2,
    measure_pair,
    tau_1,
    tau_2,
    transfer_success,
)
from workflow_scripts.studies.kinds.pairs.published import ARCHITECTURES


def random_responses(rng, n=12, d1=4, d2=3, pixels=(3, 2, 2)):
    return {
        "f1_clean": rng.normal(size=(n, d1)),
        "f1_own": rng.normal(size=(n, d1)),
        "f2_clean": rng.normal(size=(n, d2)),
        "f2_transferred": rng.normal(size=(n, d2)),
        "f2_own": rng.normal(size=(n, d2)),
        "alignment": tau_1(rng.normal(size=(n, *pixels)), rng.normal(size=(n, *pixels))),
        "labels": rng.integers(d2, size=n),
        "mask": np.ones(n, dtype=bool),
    }


def test_alpha_2_of_two_directions_by_hand():
    # Half the images deviate along e1 in both networks, half along e2: E = diag(1/2, 1/2).
    own = np.array([[1.0, 0], [2, 0], [0, 3], [0, 4]])
    result = alpha_2(own, own)
    assert result.squared == pytest.approx(1 / 2)
    assert result.plain == pytest.approx(1 / 2**0.5)
    assert result.squared_unbiased == pytest.approx(4 / 12)  # 4 of 12 ordered pairs are parallel


def test_a_pairs_metrics_are_those_of_the_functions():
    rng = np.random.default_rng(2)
    responses = random_responses(rng)
    pair = measure_pair(**responses)
    clean, transferred, own = (
        responses[name].tolist() for name in ("f2_clean", "f2_transferred", "f2_own")
    )

    def distance(a, b):
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5

    numerators = [distance(t, c) for t, c in zip(transferred, clean, strict=True)]
    denominators = [distance(o, c) for o, c in zip(own, clean, strict=True)]
    ratios = [a / b for a, b in zip(numerators, denominators, strict=True)]
    np.testing.assert_allclose(pair.per_image["alpha_1"], ratios)
    assert pair.values["alpha_1_mean"] == pytest.approx(sum(ratios) / 12)
    assert pair.values["alpha_1_ratio_of_means"] == pytest.approx(
        sum(numerators) / sum(denominators)
    )
    assert pair.values["alpha_1_share_above_1"] == sum(r > 1 for r in ratios) / 12
    assert pair.values["alpha_1_median"] == pytest.approx(sum(sorted(ratios)[5:7]) / 2)

    own_deviation = responses["f1_own"] - responses["f1_clean"]
    deviation = responses["f2_transferred"] - responses["f2_clean"]
    for prefix, weights in (("alpha_2", None), ("combined", ratios)):
        expected = alpha_2(own_deviation, deviation, weights)
        assert pair.values[f"{prefix}_squared"] == pytest.approx(expected.squared)
        assert pair.values[f"{prefix}_squared_unbiased"] == pytest.approx(expected.squared_unbiased)
        assert pair.values[prefix] == pytest.approx(expected.plain)

    losses = [
        np.log(sum(np.exp(z) for z in row)) - row[label]
        for row, label in zip(transferred, responses["labels"], strict=True)
    ]
    np.testing.assert_allclose(pair.per_image["transferred_loss"], losses)
    assert pair.values["transferred_loss"] == pytest.approx(sum(losses) / 12)
    changed = [
        max(range(3), key=c.__getitem__) != max(range(3), key=t.__getitem__)
        for c, t in zip(clean, transferred, strict=True)
    ]
    assert pair.values["transfer_success_rate"] == sum(changed) / 12


def test_alpha_2_ignores_the_lengths_of_deviations():
    rng = np.random.default_rng(3)
    own, transferred = rng.normal(size=(9, 4)), rng.normal(size=(9, 6))
    lengths = rng.uniform(0.1, 10, size=(2, 9, 1))
    scaled = alpha_2(own * lengths[0], transferred * lengths[1])
    np.testing.assert_allclose(scaled, alpha_2(own, transferred))
    flips = rng.choice([-1.0, 1.0], size=(9, 1))  # the sign of a singular vector is arbitrary
    np.testing.assert_allclose(alpha_2(flips * own, flips * transferred), scaled)


def test_zero_deviations_are_left_out_and_counted():
    own = np.array([[1.0, 0], [0, 0], [0, 1], [1, 1]])
    transferred = np.array([[1.0, 0], [1, 0], [0, 0], [1, 1]])
    result = alpha_2(own, transferred)
    assert (result.n_images, result.n_undefined) == (2, 2)
    np.testing.assert_allclose(result[:3], alpha_2(own[[0, 3]], transferred[[0, 3]])[:3])
    weighted = alpha_2(own, transferred, weights=[np.nan, 1, 1, 2])
    assert (weighted.n_images, weighted.n_undefined) == (1, 3)
    assert weighted.plain == pytest.approx(2)
    assert np.isnan(weighted.squared_unbiased)


def test_zero_denominators_are_left_out_and_counted():
    clean = np.zeros((3, 2))
    transferred = np.array([[3.0, 4], [1, 0], [0, 1]])
    own = np.array([[0.0, 10], [0, 0], [0, 0.5]])
    np.testing.assert_array_equal(alpha_1(clean, transferred, own), [0.5, np.nan, 2])
    summary = alpha_1_summary(clean, transferred, own)
    assert summary == (1.25, 1.25, 6 / 10.5, 0.5, 1)
    nothing = alpha_1_summary(clean, transferred, clean)
    assert np.isnan(nothing[:4]).all()
    assert nothing.zero_denominators == 3


def test_tau_1_of_parallel_orthogonal_and_zero_perturbations():
    first = np.array([[1.0, 0], [1, 0], [1, 1], [0, 0]]).reshape(4, 1, 2)
    second = np.array([[-3.0, 0], [0, 2], [1, 0], [1, 0]]).reshape(4, 1, 2)
    np.testing.assert_allclose(tau_1(first, second), [1, 0, 0.5, np.nan])


def test_tau_1_across_chunks():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 600, 3)).astype(np.float16)
    expected = [
        np.dot(a, b) ** 2 / (np.dot(a, a) * np.dot(b, b))
        for a, b in zip(first.astype(float), second.astype(float), strict=True)
    ]
    np.testing.assert_allclose(tau_1(first, second), expected)


def test_tau_2_of_an_admissible_linear_map_is_1():
    rng = np.random.default_rng(6)
    own = rng.normal(size=(50, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert tau_2(own, 2.5 * own @ rotation) == pytest.approx(1)


def test_tau_2_of_a_map_that_is_too_long():
    # f2 answers in the first coordinate only. The fitted map is diag(1, 0) with norm 1, but only
    # r = sqrt(1/2) is admissible: tau_2 = 2r - r^2.
    own = np.array([[1.0, 0], [0, 1]])
    assert tau_2(own, np.array([[1.0, 0], [0, 0]])) == pytest.approx(2 * 0.5**0.5 - 0.5)


def test_tau_2_of_unrelated_deviations_is_0():
    assert tau_2(np.array([[1.0], [1], [-1], [-1]]), np.array([[1.0], [-1], [1], [-1]])) == 0


def test_cross_entropy_does_not_overflow():
    np.testing.assert_allclose(cross_entropy([[1000.0, 0], [0, 1000]], [0, 0]), [0, 1000])


def test_transfer_success():
    np.testing.assert_array_equal(transfer_success([[1, 0], [1, 0]], [[0, 1], [5, 0]]), [1, 0])


def test_only_masked_images_count():
    rng = np.random.default_rng(7)
    responses = random_responses(rng)
    mask = np.arange(12) % 3 != 0
    pair = measure_pair(**responses | {"mask": mask})
    alone = measure_pair(**{name: values[mask] for name, values in responses.items()})
    assert pair.values == alone.values
    assert set(pair.n_images.values()) == {8}
    for name, values in pair.per_image.items():
        np.testing.assert_array_equal(values[mask], alone.per_image[name])
        assert np.isnan(values[~mask]).all()


def test_cpu_tensors_are_welcome():
    torch = pytest.importorskip("torch")
    responses = random_responses(np.random.default_rng(8))
    tensors = {name: torch.from_numpy(values) for name, values in responses.items()}
    assert measure_pair(**tensors).values == measure_pair(**responses).values


def test_torch_is_not_imported():
    code = (
        "import sys; import workflow_scripts.advtransfer.metrics.transferability; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_diverged_model_is_named():
    responses = random_responses(np.random.default_rng(9))
    responses["f2_own"][3, 1] = np.nan
    with pytest.raises(UserError, match=r"model diverged: f2_own .* 1 of 12"):
        measure_pair(**responses)
    with pytest.raises(UserError, match="model diverged"):
        tau_1([[np.inf, 1]], [[1, 1]])


def test_no_image_counts():
    responses = random_responses(np.random.default_rng(10))
    with pytest.raises(UserError, match="none of the 12 images counts"):
        measure_pair(**responses | {"mask": np.zeros(12, dtype=bool)})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("f2_own", np.zeros((12, 4)), "one shape"),
        ("f1_own", np.zeros((11, 4)), "one shape"),
        ("f1_clean", np.zeros(12), r"\(images, classes\)"),
        ("alignment", np.zeros(11), "same images"),
        ("labels", np.zeros(11, dtype=int), "same images"),
        ("labels", np.full(12, 3), "3 classes"),
        ("labels", np.zeros(12), "12 integers"),
        ("mask", np.ones(12), "booleans"),
    ],
)
def test_what_does_not_fit_is_refused(name, value, message):
    responses = random_responses(np.random.default_rng(11))
    with pytest.raises(ValueError, match=message):
        measure_pair(**responses | {name: value})


def test_one_image_leaves_only_the_unbiased_forms_undefined():
    responses = random_responses(np.random.default_rng(12), n=1)
    values = measure_pair(**responses).values
    undefined = {name for name, value in values.items() if np.isnan(value)}
    assert undefined == {"alpha_2_squared_unbiased", "combined_squared_unbiased"}
    assert values["alpha_2"] == pytest.approx(1)


def test_the_published_table_holds_squares():
    for row in ARCHITECTURES:
        assert row.alpha_1**2 * row.alpha_2_squared == pytest.approx(row.combined_squared, rel=0.15)
        assert row.alpha_1 * row.alpha_2_squared > 1.5 * row.combined_squared
