"""Statistics with known answers."""

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, sem

from headatlas.base import statistics
from headatlas.base.errors import InputError


def test_mean_and_error_leave_out_what_is_missing():
    values = np.random.default_rng(0).normal(size=(4, 30))
    values[0, 5:] = np.nan
    values[1] = np.nan
    values[2, 1:] = np.nan
    mean, error = statistics.mean_and_error(values)
    assert mean[0] == pytest.approx(values[0, :5].mean())
    assert error[0] == pytest.approx(sem(values[0, :5]))
    assert error[3] == pytest.approx(sem(values[3]))
    assert np.isnan(mean[1])
    assert np.isnan(error[[1, 2]]).all()
    assert mean[2] == values[2, 0]


def test_bootstrap_interval_is_that_of_a_normal_mean():
    values = np.random.default_rng(1).normal([0, 5], size=(400, 2))
    low, high = statistics.bootstrap_interval(values, seed=3)
    half = norm.ppf(0.975) * sem(values)
    np.testing.assert_allclose(low, values.mean(0) - half, atol=0.02)
    np.testing.assert_allclose(high, values.mean(0) + half, atol=0.02)
    again = statistics.bootstrap_interval(values, seed=3)
    assert np.array_equal(low, again[0])
    assert np.array_equal(high, again[1])


@pytest.mark.parametrize(("shape", "draws"), [((30,), 250), ((9, 3, 2), 100)])
def test_bootstrap_interval_is_that_of_scipy(shape, draws):
    values = np.random.default_rng(4).normal(size=shape)
    given = {"confidence_level": 0.9, "n_resamples": draws, "batch": 100, "method": "percentile", "rng": 7}
    expected = bootstrap((values,), np.mean, axis=0, **given).confidence_interval
    found = statistics.bootstrap_interval(values, level=0.9, draws=draws, seed=7)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_paired_bootstrap_sees_a_difference_that_the_spread_hides():
    values = np.random.default_rng(2).normal(size=100) * 10
    low, high = statistics.bootstrap_interval(values + 0.1, values)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)
    with pytest.raises(InputError, match="must be equal"):
        statistics.bootstrap_interval(values, values[:5])
    with pytest.raises(InputError, match="at least 2"):
        statistics.bootstrap_interval(values[:1])


def test_permutation_p_value_counts_the_observed_value():
    null = np.arange(99.0)
    assert statistics.permutation_p_value(1000, null) == pytest.approx(0.01)
    assert statistics.permutation_p_value(98, null) == pytest.approx(0.02)
    assert statistics.permutation_p_value(-1, null) == 1
    assert statistics.permutation_p_value(-1, null, "less") == pytest.approx(0.01)
    assert statistics.permutation_p_value(49, null, "two-sided") == 1
    with pytest.raises(InputError, match="sideways"):
        statistics.permutation_p_value(0, null, "sideways")


def test_permutation_p_values_are_uniform_under_the_null():
    generator = np.random.default_rng(5)
    p = [statistics.permutation_p_value(generator.normal(), generator.normal(size=99)) for _ in range(2000)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_holm_by_hand():
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.5, np.nan, 0.9]), [1.0, np.nan, 1.0])
    assert statistics.holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("p_value", "permutations", "said"),
    [
        (1 / 41, 40, "p ≤ 0.025 (40 permutations)"),
        (1 / 2001, 2000, "p ≤ 0.0005 (2,000 permutations)"),
        (2 / 41, 40, "p = 0.049 (40 permutations)"),
        (0.0312, None, "p = 0.031"),
        (1e-12, None, "p ≤ 0.0001"),
        (np.nan, 40, "p not available"),
    ],
)
def test_a_p_value_is_said_with_the_least_that_its_permutations_can_give(p_value, permutations, said):
    assert statistics.describe_p_value(p_value, permutations) == said


@pytest.mark.parametrize("permutations", [7, 40, 99, 200, 501, 1999])
def test_the_least_p_value_said_is_never_below_the_least_there_is(permutations):
    said = float(statistics.describe_p_value(1 / (permutations + 1), permutations).split()[2])
    assert 1 / (permutations + 1) <= said <= 1.1 / (permutations + 1)


def test_an_interval_of_three_members_holds_their_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    ends = np.array([statistics.interval_of_mean(row)[1:] for row in generator.normal(5, 2, (2000, 3))])
    assert 0.93 < np.mean((ends[:, 0] < 5) & (ends[:, 1] > 5)) < 0.97


def test_two_members_have_no_interval():
    assert np.isnan(statistics.interval_of_mean([0.2, 0.9])[1:]).all()
    assert statistics.describe_mean([0.2, 0.9]) == "0.55 (2 members)"


def test_no_interval_reaches_where_a_mean_cannot_be():
    generator = np.random.default_rng(0)
    shares = generator.binomial(4, 0.9, (2000, 3)) / 4
    ends = np.array([statistics.interval_of_mean(row, within=(0, 1))[1:] for row in shares])
    free = np.array([statistics.interval_of_mean(row)[1:] for row in shares])
    assert free.max() > 1
    assert ends.min() >= 0
    assert ends.max() <= 1
    held = [(each[:, 0] <= 0.9) & (each[:, 1] >= 0.9) for each in (ends, free)]
    np.testing.assert_array_equal(*held)  # and holds the truth no less often


def test_holms_p_value_is_never_said_to_be_smaller_than_permutations_can_make_it():
    floor = 1 / 200
    p_values = np.array([floor, floor, 0.2])
    said = [
        statistics.describe_holm(after, before, floor)
        for after, before in zip(statistics.holm(p_values), p_values, strict=True)
    ]
    assert said == ["p ≤ 0.015", "p ≤ 0.015", "p = 0.2"]
    assert statistics.describe_holm(np.nan, np.nan, floor) == "p not available"


def test_a_mean_over_members_is_said_with_as_much_as_there_is():
    assert statistics.describe_mean([1.0, 2.0, 3.0]) == "2.00 (95% -0.48 to 4.48 over 3 members)"
    assert statistics.describe_mean([1.0, np.nan], digits=1, signed=True) == "+1.0 (one member)"
    assert statistics.describe_mean([np.nan]) == "not available"


def test_an_interval_reaches_no_further_than_the_mean_can_be():
    assert statistics.describe_mean([0.0, 0.5, 1.0], within=(0, 1)) == "0.50 (95% 0.00 to 1.00 over 3 members)"


def test_counts_are_told_one_by_one_and_have_no_interval():
    said = statistics.describe_counts
    assert said([8, 8, 8], 16, "heads") == "8 of 16 heads in each of 3 members"
    assert said([0, 4, 4, 4], 16, "heads") == "0, 4, 4 and 4 of 16 heads in 4 members"
    assert said([3], 144, "heads") == "3 of 144 heads"
    assert said([1, 2, 3, 4, 5, 6, 7], 8, "heads") == "1 to 7 of 8 heads in 7 members (4.0 in the mean)"
