"""Transferability metrics on models whose values follow by hand."""

import subprocess
import sys

import numpy as np
import pytest

from workflow_scripts.advtransfer.errors import UserError
from workflow_scripts.advtransfer.metrics.transferability import (
    alpha_1,
    alpha_1_summary,
    alpha_2,
    cross_entropy,
    measure_pair,
    tau_1,
    tau_2,
    transfer_success,
)
from workflow_scripts.advtransfer.published import ARCHITECTURES

EPSILON = 0.1


def linear_responses(first, second, images):
    """Clean logits, deviations and exact attacks of f_i(x) = W_i x.

    The attack is epsilon times the top right-singular vector, the same for every image.
    """

    def attack(weights):
        return np.tile(EPSILON * np.linalg.svd(weights)[2][0], (len(images), 1))

    delta_1, delta_2 = attack(first), attack(second)
    return {
        "f1_clean": images @ first.T,
        "f1_own": (images + delta_1) @ first.T,
        "f2_clean": images @ second.T,
        "f2_transferred": (images + delta_1) @ second.T,
        "f2_own": (images + delta_2) @ second.T,
        "delta_1": delta_1,
        "delta_2": delta_2,
    }


def random_responses(rng, n=12, d1=4, d2=3, pixels=(3, 2, 2)):
    return {
        "f1_clean": rng.normal(size=(n, d1)),
        "f1_own": rng.normal(size=(n, d1)),
        "f2_clean": rng.normal(size=(n, d2)),
        "f2_transferred": rng.normal(size=(n, d2)),
        "f2_own": rng.normal(size=(n, d2)),
        "delta_1": rng.normal(size=(n, *pixels)),
        "delta_2": rng.normal(size=(n, *pixels)),
        "labels": rng.integers(d2, size=n),
        "mask": np.ones(n, dtype=bool),
    }


def loop_alpha_2(own, transferred, weights):
    """The identity over pairs of images, one pair at a time."""

    def direction(vector):
        return [value / sum(v * v for v in vector) ** 0.5 for value in vector]

    n = len(own)
    total = off_diagonal = 0.0
    for i in range(n):
        for j in range(n):
            left = sum(a * b for a, b in zip(direction(own[i]), direction(own[j]), strict=True))
            right = sum(
                a * b
                for a, b in zip(direction(transferred[i]), direction(transferred[j]), strict=True)
            )
            term = weights[i] * weights[j] * left * right
            total += term
            off_diagonal += term if i != j else 0.0
    return total / n**2, off_diagonal / (n * (n - 1))


def test_identical_models_transfer_completely():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 5))
    images = rng.normal(size=(20, 5))
    pair = measure_pair(
        **linear_responses(weights, weights, images),
        labels=np.zeros(20, dtype=int),
        mask=np.ones(20, dtype=bool),
    )
    values = pair.values
    for name in ("alpha_1_mean", "alpha_1_median", "alpha_1_ratio_of_means", "tau_1", "tau_2"):
        assert values[name] == pytest.approx(1), name
    # One deviation for all images: the outer product of one unit vector with itself has norm 1.
    for name in ("alpha_2", "alpha_2_squared", "alpha_2_squared_unbiased", "combined"):
        assert values[name] == pytest.approx(1), name
    assert values["alpha_1_zero_denominators"] == 0


def test_alpha_2_of_two_directions_by_hand():
    # Half the images deviate along e1 in both networks, half along e2: E = diag(1/2, 1/2).
    own = np.array([[1.0, 0], [2, 0], [0, 3], [0, 4]])
    result = alpha_2(own, own)
    assert result.squared == pytest.approx(1 / 2)
    assert result.plain == pytest.approx(1 / 2**0.5)
    assert result.squared_unbiased == pytest.approx(4 / 12)  # 4 of 12 ordered pairs are parallel


def test_linear_models_meet_the_singular_value_formula():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3, 6)), rng.normal(size=(4, 6))
    responses = linear_responses(first, second, rng.normal(size=(7, 6)))
    direction = np.linalg.svd(first)[2][0]
    expected = np.linalg.norm(second @ direction) / np.linalg.norm(second, 2)
    found = alpha_1(*(responses[name] for name in ("f2_clean", "f2_transferred", "f2_own")))
    np.testing.assert_allclose(found, expected)
    assert (found <= 1).all()  # the exact attack is optimal


def test_orthogonal_jacobians_transfer_nothing():
    images = np.arange(12.0).reshape(3, 4)
    pair = measure_pair(
        **linear_responses(
            np.array([[2.0, 0, 0, 0], [0, 1, 0, 0]]),
            np.array([[0.0, 0, 3, 0], [0, 0, 0, 1]]),
            images,
        ),
        labels=np.zeros(3, dtype=int),
        mask=np.ones(3, dtype=bool),
    )
    assert pair.values["alpha_1_mean"] == 0
    assert pair.values["tau_1"] == pytest.approx(0)
    for name in ("alpha_2", "alpha_2_squared", "alpha_2_squared_unbiased", "combined", "tau_2"):
        assert np.isnan(pair.values[name]), name
    assert pair.n_images["alpha_2"] == 0
    assert pair.n_images["alpha_1_mean"] == 3


def test_vectorised_equals_loops():
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
    for prefix, weights in (("alpha_2", [1.0] * 12), ("combined", ratios)):
        squared, unbiased = loop_alpha_2(own_deviation.tolist(), deviation.tolist(), weights)
        assert pair.values[f"{prefix}_squared"] == pytest.approx(squared)
        assert pair.values[f"{prefix}_squared_unbiased"] == pytest.approx(unbiased)
        assert pair.values[prefix] == pytest.approx(squared**0.5)

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


def test_only_the_u_statistic_is_unbiased():
    rng = np.random.default_rng(4)
    n = 10
    found = [alpha_2(rng.normal(size=(n, 5)), rng.normal(size=(n, 5))) for _ in range(2000)]
    unbiased = np.array([result.squared_unbiased for result in found])
    error = unbiased.std() / len(unbiased) ** 0.5
    assert abs(unbiased.mean()) < 4 * error
    assert unbiased.min() < 0
    assert np.mean([result.squared for result in found]) == pytest.approx(1 / n, abs=0.01)


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
        ("delta_2", np.zeros((12, 3)), "one shape"),
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
