"""The bootstrap by cluster in its limits, and the coverage of its interval."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.scoring import metrics as m


def test_bootstrap_draws_each_stratum_at_its_own_size(rng: np.random.Generator) -> None:
    strata = np.array([0, 1, 0, 1, 1])
    counts = m.bootstrap_sums(np.eye(5), strata, 20_000, rng)  # the draws themselves
    assert np.all(counts[:, strata == 0].sum(axis=1) == 2)
    assert np.all(counts[:, strata == 1].sum(axis=1) == 3)
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    # multinomial: variance 1 - 1/c, so 1/2 and 2/3
    assert counts.var(axis=0) == pytest.approx([1 / 2, 2 / 3, 1 / 2, 2 / 3, 2 / 3], abs=0.03)


def test_bootstrap_sums_what_it_drew_and_repeats_with_its_seed(rng: np.random.Generator) -> None:
    values = rng.normal(size=(30, 2, 3))
    values[:, 1, 1] = 0
    strata = np.zeros(30, dtype=int)
    sums = m.bootstrap_sums(values, strata, 50, np.random.default_rng(1))
    counts = m.bootstrap_sums(np.eye(30), strata, 50, np.random.default_rng(1))
    assert np.allclose(sums, np.einsum("rc,cij->rij", counts, values))
    assert np.array_equal(sums, m.bootstrap_sums(values, strata, 50, np.random.default_rng(1)))


def test_bootstrap_is_the_same_in_one_chunk_or_many(monkeypatch: pytest.MonkeyPatch) -> None:
    values, strata = np.eye(8), np.zeros(8, dtype=int)
    whole = m.bootstrap_sums(values, strata, 40, np.random.default_rng(3))
    monkeypatch.setattr(m, "_CHUNK_CELLS", 8 * 7)
    assert np.array_equal(whole, m.bootstrap_sums(values, strata, 40, np.random.default_rng(3)))


def test_percentile_interval_cuts_both_tails_and_is_undefined_when_many_replicates_are() -> None:
    assert m.percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))
    holes = np.arange(100.0)
    holes[:4] = np.nan
    assert np.all(np.isfinite(m.percentile_interval(holes, 0.9)))
    holes[:6] = np.nan
    assert np.all(np.isnan(m.percentile_interval(holes, 0.9)))


def test_cluster_bootstrap_covers_where_a_bootstrap_of_rows_does_not() -> None:
    """40 clusters of 8 rows, all right or all wrong with probability 0.6: the row bootstrap thinks n = 320."""
    rng = np.random.default_rng(11)
    covered = {"cluster": 0, "row": 0}
    trials = 300
    for _ in range(trials):
        right = rng.random(40) < 0.6
        clusters = np.zeros((40, 2, 2))
        clusters[:, 0, 0], clusters[:, 0, 1] = 8 * right, 8 * ~right
        rows = np.repeat(clusters / 8, 8, axis=0)
        for name, values in (("cluster", clusters), ("row", rows)):
            drawn = m.accuracy(m.bootstrap_sums(values, np.zeros(len(values), dtype=int), 400, rng))
            low, high = m.percentile_interval(drawn, 0.95)
            covered[name] += low <= 0.6 <= high
    # expected about 0.94, binomial standard error 0.013; rows: half-width 0.35 of what is needed, about 0.5
    assert 0.90 <= covered["cluster"] / trials <= 0.98
    assert covered["row"] / trials < 0.65


def test_blocks_give_the_replicates_of_one_array(rng: np.random.Generator) -> None:
    values = rng.poisson(0.3, (12, 9)).astype(float)
    strata = np.arange(12) % 2
    whole = m.bootstrap_sums(values, strata, 50, np.random.default_rng(2))
    blocks = [values[:, :4].reshape(12, 2, 2), values[:, 4:5], values[:, 5:]]
    assert np.allclose(whole, m.bootstrap_sums(blocks, strata, 50, np.random.default_rng(2)))
