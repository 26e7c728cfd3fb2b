"""Watching one number over many commits: sums that find a slow loss, and how often they cry wolf.

z is the standardised difference to a frozen anchor, signed so that a regression is positive.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from harness.stats.arrays import FloatArray, vector
from harness.stats.solve import root


def cusum(z: ArrayLike, *, k: float = 0.5) -> FloatArray:
    """The path S_t = max(0, S_(t-1) + z_t - `k`) (n,); alarm where it exceeds h. Page (1954)."""
    out, s = [], 0.0
    for value in vector(z):
        s = max(0.0, s + float(value) - k)
        out.append(s)
    return np.array(out)


def e_cusum(z: ArrayLike, *, delta: float) -> FloatArray:
    """The path of log M_t = log L_t + max(log M_(t-1), 0), L_t = exp(`delta` z - `delta`² / 2) (n,).

    Alarm where it reaches log(1 / alpha): the average run length without a change is then at least 1 / alpha.
    Shin, Ramdas and Rinaldo (2024). Anti-conservative by the anchor's own error: give the anchor ten times the runs.
    """
    return e_cusum_from_log_e(delta * vector(z) - delta * delta / 2)


def e_cusum_from_log_e(log_e: ArrayLike) -> FloatArray:
    """The same path from the logs of any e-values, one per commit."""
    out, m = [], 0.0
    for value in vector(log_e):
        m = float(value) + max(m, 0.0)
        out.append(m)
    return np.array(out)


def e_shiryaev_roberts(z: ArrayLike, *, delta: float) -> FloatArray:
    """The path of log M_t, M_t = L_t (M_(t-1) + 1) (n,); same guarantee as `e_cusum`, quicker for late changes."""
    out, m = [], -math.inf
    for value in delta * vector(z) - delta * delta / 2:
        m = float(value) + float(np.logaddexp(m, 0.0))
        out.append(m)
    return np.array(out)


def first_alarm(path: ArrayLike, threshold: float) -> int | None:
    """Index of the first value of `path` (n,) at or above `threshold`; None where there is none."""
    over = np.flatnonzero(vector(path) >= threshold)
    return int(over[0]) if over.size else None


def cusum_arl(*, h: float, k: float = 0.5, shift: float = 0.0) -> float:
    """Average number of commits to an alarm of the one-sided CUSUM started at 0, z normal with mean `shift`.

    Page's integral equation solved at Gauss-Legendre nodes, the limit of the Markov chain of Brook and Evans (1972).
    The two-sided chart has half this length when nothing changes.
    """
    nodes, weights = np.polynomial.legendre.leggauss(max(32, math.ceil(8 * h)))
    y, w = h * (nodes + 1) / 2, h * weights / 2
    starts = np.append(0.0, y)
    gap = y[None, :] + k - starts[:, None] - shift
    move = w * np.exp(-gap * gap / 2) / math.sqrt(2 * math.pi)
    system = np.eye(y.size + 1)
    system[:, 0] -= special.ndtr(k - starts - shift)
    system[:, 1:] -= move
    return float(np.linalg.solve(system, np.ones(y.size + 1))[0])


def cusum_threshold(*, arl: float, k: float = 0.5) -> float:
    """The h whose one-sided CUSUM runs for `arl` commits on average without a change."""
    high = 1.0
    while cusum_arl(h=high, k=k) < arl:
        high *= 1.5
    return root(lambda h: math.log(cusum_arl(h=h, k=k) / arl), 0.0, high, tolerance=1e-8)
