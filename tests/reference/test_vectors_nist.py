"""NIST Statistical Reference Datasets: certified means, standard deviations, autocorrelations and F."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy
from reference_samples import LEW, LOTTERY, MAVRO, MICHELSO

from harness.stats.clustered import clustered_mean, variance_components
from harness.stats.means import one_sample
from harness.stats.moments import moments
from harness.stats.series import lag1

NUM_ACC_1 = np.array([10000001.0, 10000003.0, 10000002.0])
NUM_ACC_2 = np.array([1.2] + [1.1, 1.3] * 500)
NUM_ACC_3 = np.array([1000000.2] + [1000000.1, 1000000.3] * 500)
NUM_ACC_4 = np.array([10000000.2] + [10000000.1, 10000000.3] * 500)

CERTIFIED = {  # mean, sd, lag-1 autocorrelation, tolerance of the sd
    "NumAcc1": (NUM_ACC_1, 10000002, 1.0, -0.5, 1e-15),
    "NumAcc2": (NUM_ACC_2, 1.2, 0.1, -0.999, 1e-14),
    "NumAcc3": (NUM_ACC_3, 1000000.2, 0.1, -0.999, 1e-9),
    "NumAcc4": (NUM_ACC_4, 10000000.2, 0.1, -0.999, 1e-8),  # float64 holds the data to no more than this
    "Michelso": (MICHELSO, 299.8524, 0.0790105478190518, 0.535199668621283, 1e-12),
    "Mavro": (MAVRO, 2.001856, 0.000429123454003053, 0.937989183438248, 1e-12),
    "Lew": (LEW, -177.435, 277.332168044316, -0.307304800605679, 1e-13),
    "Lottery": (LOTTERY, 518.958715596330, 291.699727470969, -0.120948622967393, 1e-13),
}


@pytest.mark.parametrize("name", CERTIFIED)
def test_mean_and_sd_are_the_certified_ones(name: str) -> None:
    x, mean, sd, _, tolerance = CERTIFIED[name]
    found = moments(x)
    assert found.mean == pytest.approx(mean, rel=1e-14)
    assert found.sd == pytest.approx(sd, rel=tolerance)
    assert one_sample(x).se == pytest.approx(sd / np.sqrt(len(x)), rel=tolerance)


@pytest.mark.parametrize("name", CERTIFIED)
def test_lag1_autocorrelation_is_the_certified_one(name: str) -> None:
    x, _, _, r1, _ = CERTIFIED[name]
    assert lag1(x) == pytest.approx(r1, rel=1e-8)


ANOVA = Path(scipy.__file__).parent / "stats/tests/data/nist_anova"


def read_anova(name: str) -> tuple[list[str], np.ndarray, float]:
    """Cluster labels, values and the certified F of a file of the analysis-of-variance collection."""
    lines = (ANOVA / f"{name}.dat").read_text().splitlines()
    f = next(float(line.split()[-1]) for line in lines if line.startswith("Between"))
    rows = [line.split() for line in lines[60:] if line.strip()]
    return [r[0] for r in rows], np.array([float(r[1]) for r in rows]), f


@pytest.mark.skipif(not ANOVA.is_dir(), reason="this scipy comes without the NIST files")
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("SiRstv", 1e-8),
        ("AtmWtAg", 1e-7),
        *[(f"SmLs0{i}", 1e-13) for i in (1, 2, 3)],
        *[(f"SmLs0{i}", 1e-8) for i in (4, 5, 6)],
        *[(f"SmLs0{i}", 2e-2) for i in (7, 8, 9)],  # float64 holds this data to 4 digits of its spread
    ],
)
def test_cluster_f_is_the_certified_one(name: str, tolerance: float) -> None:
    labels, values, f = read_anova(name)
    assert variance_components(values, labels).f == pytest.approx(f, rel=tolerance)


@pytest.mark.skipif(not ANOVA.is_dir(), reason="this scipy comes without the NIST files")
def test_cluster_error_follows_from_the_certified_mean_square() -> None:
    labels, values, _ = read_anova("SiRstv")
    found = clustered_mean(values, labels)
    assert found.contrast.se == pytest.approx(np.sqrt(1.27865654e-02 / 25), rel=1e-9)
    assert found.within_sd == pytest.approx(1.04076068334656e-01, rel=1e-9)
    assert found.contrast.df == 4
