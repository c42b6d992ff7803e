"""Whether embeddings predict the station."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from fixtures.geomagnetic_store import FAST, make_samples
from fixtures.null_predictions import make_predictions
from seismag.audit.checks.label_nulls import folds_of
from seismag.audit.checks.station_probe import probe_station
from seismag.domain import DataError
from seismag.scoring.linear_probe import probe_accuracy


@pytest.fixture
def predictions(rng):
    samples = make_samples(["GTO", "ALR", "SKB"], 60)
    return make_predictions(samples, rng.random(len(samples)))


def test_embeddings_that_encode_the_station_are_informational(predictions, rng):
    station = predictions["station"].to_numpy()
    known = np.stack([station == code for code in ("GTO", "ALR", "SKB")], axis=1)
    result = probe_station(known + rng.normal(0, 0.1, known.shape), predictions, FAST)
    assert result.statistic == pytest.approx(1.0)
    assert result.p_value == 1 / 200
    assert result.above_minimum
    assert not result.blocking
    assert result.null.mean == pytest.approx(1 / 3, abs=0.03)
    assert 0.3 < result.details["auc_within_station"] < 0.7


def test_embeddings_of_noise_encode_nothing(predictions, rng):
    result = probe_station(rng.normal(size=(len(predictions), 20)), predictions, FAST)
    assert result.p_value > 0.01
    assert not result.above_minimum


def test_only_evaluated_rows_are_probed(predictions, rng):
    predictions["role"] = np.where(np.arange(len(predictions)) % 3 == 0, "val", "test")
    embeddings = rng.normal(size=(len(predictions), 4))
    embeddings[:, 0] = np.where(predictions["role"] == "val", 0, predictions["station"] == "GTO") * 10
    embeddings[:, 1] = np.where(predictions["role"] == "val", 0, predictions["station"] == "ALR") * 10
    result = probe_station(embeddings, predictions, FAST)
    assert result.details["windows"] == (predictions["role"] == "test").sum()
    assert result.statistic > 0.95


def test_probe_accuracy_is_the_balanced_accuracy_of_each_set_of_labels(predictions, rng):
    x = rng.normal(size=(len(predictions), 3))
    labels = np.stack([(x[:, 0] > 0).astype(int) + (x[:, 1] > 1), rng.integers(0, 3, len(x))])
    folds = folds_of(predictions, None, 5)
    both = probe_accuracy(x, labels, folds)
    alone = [probe_accuracy(x, row[None], folds)[0] for row in labels]
    assert both == pytest.approx(alone)
    assert both[0] > 0.6
    assert both[1] < 0.5
    assert balanced_accuracy_score([0, 0, 1], [0, 1, 1]) == pytest.approx(0.75)  # recalls 1/2 and 1


def test_rows_that_do_not_fit_the_table_are_refused_and_one_station_is_inconclusive(predictions, rng):
    with pytest.raises(DataError, match="embeddings: 3 rows, but the predictions have 360"):
        probe_station(np.zeros((3, 2)), predictions, FAST)
    with pytest.raises(DataError, match="not finite"):
        probe_station(np.full((len(predictions), 2), np.nan), predictions, FAST)
    alone = probe_station(rng.normal(size=(len(predictions), 2)), predictions.assign(station="GTO"), FAST)
    assert alone.p_value is None
    assert "1 stations" in alone.sentence
