"""Errors, intervals and permutation tests: what turns numbers into statements."""

import numpy as np

from headatlas.base.errors import InputError

FEWEST = 3  # members of whose mean an interval is told: of two it would span what cannot be
_DRAWS = 100  # of a bootstrap that are in memory at once
_TOLD = 6  # members whose counts are told one by one


def mean_and_error(values, axis=-1):
    """Mean and standard error of the mean, leaving out what is not a number.

    Parameters
    ----------
    values : array
    axis : int
        The axis of the independent samples (prompts, sequences).

    Returns
    -------
    mean, standard_error : ndarray, float64
        NaN where there is no sample, and for the error where there is only one.
    """
    values = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0).sum(axis)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    spread = np.where(known, values - np.expand_dims(mean, axis), 0)
    squares = (spread**2).sum(axis)
    variance = np.divide(squares, count - 1, out=np.full(count.shape, np.nan), where=count > 1)
    return mean, np.sqrt(variance / np.maximum(count, 1))


def bootstrap_interval(values, other=None, *, level=0.95, draws=2000, seed=0):
    """Percentile interval of a mean over samples drawn with replacement.

    The draws are those of `scipy.stats.bootstrap`, whose import costs more than most intervals.

    Parameters
    ----------
    values : array of shape (sample, ...)
        The samples, for instance prompts, along the first axis.
    other : array of the same shape, optional
        A second measurement of the same samples: the interval is that of the mean of `values - other`, each
        sample drawn with both of its measurements.
    level : float
        Coverage, between 0 and 1.
    draws, seed : int

    Returns
    -------
    low, high : ndarray of shape (...)
    """
    values = np.asarray(values, dtype=np.float64)
    if other is not None:
        if np.shape(other) != values.shape:
            raise InputError(f"paired samples have shapes {values.shape} and {np.shape(other)}; they must be equal")
        values = values - np.asarray(other, dtype=np.float64)
    if len(values) < 2:
        raise InputError(f"a bootstrap of {len(values)} sample(s) says nothing; it needs at least 2")
    rows, generator = np.moveaxis(values, 0, -1), np.random.default_rng(seed)  # (..., sample)
    count, means = len(values), []
    for first in range(0, draws, _DRAWS):
        drawn = generator.integers(0, count, (min(_DRAWS, draws - first), count))
        means.append(rows[..., drawn].mean(-1))  # (..., draw)
    tail = (1 - level) / 2
    return tuple(np.quantile(np.concatenate(means, -1), (tail, 1 - tail), axis=-1))


def permutation_p_value(observed, null, alternative="greater"):
    """Share of a null distribution at least as extreme as what was observed, itself counted in.

    The observed value is one of the equally likely arrangements, so the smallest p-value of n permutations is
    1 / (n + 1), never zero (Phipson & Smyth 2010).

    Parameters
    ----------
    observed : float
    null : array of shape (permutation,)
    alternative : {"greater", "less", "two-sided"}
        "two-sided" compares distances from the null's mean.
    """
    null = np.asarray(null, dtype=np.float64)
    if alternative == "two-sided":
        centre = null.mean()
        observed, null = abs(observed - centre), np.abs(null - centre)
    elif alternative == "less":
        observed, null = -observed, -null
    elif alternative != "greater":
        raise InputError(f"alternative is {alternative!r}; it is greater, less or two-sided")
    return (1 + np.count_nonzero(null >= observed)) / (len(null) + 1)


def holm(p_values):
    """P-values adjusted for the number of tests by Holm's method (1979): all tests together keep the level.

    Parameters
    ----------
    p_values : array of shape (test,)
        What is not a number was not tested, and stays so.

    Returns
    -------
    ndarray of shape (test,), float64
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)[: np.isfinite(p_values).sum()]  # NaN comes last
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return adjusted


def describe_p_value(p_value, permutations=None, brief=False, lowest=None):
    """A p-value in words, never smaller than its test can tell: "p ≤ 0.025 (40 permutations)".

    Parameters
    ----------
    p_value : float
    permutations : int, optional
        Of the test; none where its distribution is known.
    brief : bool
        Whether to leave out how many permutations there were, in a figure whose caption says it.
    lowest : float, optional
        The smallest that the test can give, where that is not one in the permutations and the observed value.

    Returns
    -------
    str
        "p not available" where it is not a number.
    """
    if not np.isfinite(p_value):
        return "p not available"
    if lowest is None:
        lowest = 1 / (permutations + 1) if permutations else 1e-4
    from_test = f" ({permutations:,} permutations)" if permutations and not brief else ""
    if p_value <= lowest * (1 + 1e-9):
        return f"p ≤ {_rounded_up(lowest):g}{from_test}"
    return f"p = {p_value:.2g}{from_test}"


def _rounded_up(number):
    """To two significant digits, never below the number itself."""
    unit = 10.0 ** (np.floor(np.log10(number)) - 1)
    return np.ceil(number / unit - 1e-9) * unit


def describe_holm(p_holm, p_value, p_floor):
    """A p-value after Holm's correction in words, never smaller than its test could have made it.

    Parameters
    ----------
    p_holm, p_value : float
        After the correction, and before it.
    p_floor : float
        The smallest p-value that the test can give before it.
    """
    lowest = p_floor * p_holm / p_value if p_value > 0 else None  # what Holm multiplied it by, it multiplies this by
    return describe_p_value(p_holm, lowest=lowest)


def interval_of_mean(values, level=0.95, within=(-np.inf, np.inf)):
    """Student's interval of a mean over a few independent samples, such as the members of a family.

    Parameters
    ----------
    values : sequence of float
        What is not a number is left out.
    level : float
        Coverage, between 0 and 1.
    within : (float, float)
        What the mean can be: an interval reaches no further.

    Returns
    -------
    mean, low, high : float
        NaN ends where there are fewer than three samples, and a NaN mean where there are none.
    """
    from scipy.special import stdtrit  # here, for most that read this module have no need of scipy

    mean, error = (float(number) for number in mean_and_error(values))
    count = int(np.isfinite(np.asarray(values, dtype=np.float64)).sum())
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * error if count >= FEWEST else np.nan
    low, high = np.clip([mean - reach, mean + reach], *within)
    return mean, float(low), float(high)


def jackknife_interval(estimate, left, level=0.95, within=(-np.inf, np.inf)):
    """Interval of what is estimated from a few independent samples, from the same without each of them.

    The spread of the estimates is that of the whole over samples, and Student's distribution makes it an interval.

    Parameters
    ----------
    estimate : float
        From all samples.
    left : sequence of float, (sample,)
        From all but one.
    level : float
        Coverage, between 0 and 1.
    within : (float, float)
        What the estimate can be: an interval reaches no further.

    Returns
    -------
    low, high : float
        NaN with fewer than three samples, or where one of them has all that is estimated.
    """
    from scipy.special import stdtrit  # here, for most that read this module have no need of scipy

    left, count = np.asarray(left, dtype=np.float64), len(left)
    if count < FEWEST or not np.isfinite(left).all():
        return np.nan, np.nan
    error = np.sqrt((count - 1) / count * np.square(left - left.mean()).sum())
    reach = float(stdtrit(count - 1, (1 + level) / 2)) * error
    low, high = np.clip([estimate - reach, estimate + reach], *within)
    return float(low), float(high)


def describe_mean(values, digits=2, signed=False, within=(-np.inf, np.inf)):
    """A mean over members with its interval, in words: "0.38 (95% 0.21 to 0.55 over 3 members)".

    Parameters
    ----------
    values : sequence of float
        One for each member; what is not a number is left out.
    digits : int
        After the point.
    signed : bool
        Whether a plus is written before what is above zero.
    within : (float, float)
        What the mean can be: an interval reaches no further.

    Returns
    -------
    str
        "not available" where there is none; "(one member)" and "(2 members)" where there is no interval.
    """
    mean, low, high = interval_of_mean(values, within=within)
    count, form = int(np.isfinite(np.asarray(values, dtype=np.float64)).sum()), f"{'+' if signed else ''}.{digits}f"
    if count == 0:
        return "not available"
    if count == 1:
        return f"{mean:{form}} (one member)"
    if count < FEWEST:
        return f"{mean:{form}} ({count} members)"
    return f"{mean:{form}} (95% {low:{form}} to {high:{form}} over {count} members)"


def describe_counts(counts, of, what):
    """How many of its heads, or of anything else that it has a number of, each member has, in words.

    A count of few members has no interval that deserves the name: all are told, or from where to where they reach.

    Parameters
    ----------
    counts : sequence of int
        One for each member.
    of : int
        How many there are to be counted in each.
    what : str
        In the plural.

    Returns
    -------
    str
        "8 of 16 heads in each of 3 members", "0, 4, 4 and 4 of 16 heads in 4 members", "2 to 9 of 16 heads in 12
        members (5.1 in the mean)".
    """
    counts = [int(count) for count in counts]
    if len(counts) == 1:
        return f"{counts[0]} of {of} {what}"
    if len(set(counts)) == 1:
        return f"{counts[0]} of {of} {what} in each of {len(counts)} members"
    if len(counts) <= _TOLD:
        told = ", ".join(map(str, counts[:-1]))
        return f"{told} and {counts[-1]} of {of} {what} in {len(counts)} members"
    reach = f"{min(counts)} to {max(counts)} of {of} {what} in {len(counts)} members"
    return f"{reach} ({np.mean(counts):.1f} in the mean)"
