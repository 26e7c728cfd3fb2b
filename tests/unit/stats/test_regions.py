"""Joint regions of two means: against the F distribution of another program, and by their own coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.regions import ellipse_reach


@pytest.mark.parametrize("df", [1, 2, 4, 9, 24, 999])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_reach_is_that_of_hotelling(df, confidence) -> None:
    assert ellipse_reach(df, confidence) == pytest.approx(math.sqrt(2 * stats.f.ppf(confidence, 2, df)), rel=1e-10)
    assert ellipse_reach(math.inf, confidence) == pytest.approx(math.sqrt(stats.chi2.ppf(confidence, 2)), rel=1e-10)


def test_regions_of_two_means_hold_both_at_least_as_often_as_promised() -> None:
    """5 process starts and 25 runs: 4 and 24 degrees of freedom."""
    rng, draws = np.random.default_rng(5), 20_000
    z = rng.normal(size=(2, draws))
    inside = np.zeros(draws)
    for one, df in zip(z, (4, 24), strict=True):
        se = np.sqrt(rng.chisquare(df, draws) / df)
        inside += (one / (se * ellipse_reach(df))) ** 2
    covered = (inside <= 1).mean()
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / draws)


@pytest.mark.parametrize(("df", "confidence"), [(0, 0.95), (-1, 0.95), (4, 0.0), (4, 1.0), (math.nan, 0.95)])
def test_what_is_no_degree_of_freedom_is_refused(df, confidence) -> None:
    with pytest.raises(ValueError, match="degrees of freedom"):
        ellipse_reach(df, confidence)
