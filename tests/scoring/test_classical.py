"""Polarisation ratio and transfer function: known fields give themselves back, and chance gives nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import iv

from seismag.config import DataConfig, EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, DataError
from seismag.scoring.baselines import BASELINES, GROUPS
from seismag.scoring.classical import _detect, classical_forecasts, concentration, direction_deg
from seismag.scoring.classical.features import (
    QUIET_LEAST,
    ClassicalFeatures,
    disturbed,
    polarisation_ratio,
    station_statistics,
    trailing_statistics,
    transfer_function,
)
from seismag.scoring.classical.spectra import CLASSICAL_BANDS_HZ, at_night, average_spectra, bin_weights
from seismag.scoring.metrics import balanced_accuracy, confusion_matrix
from seismag.scoring.predictions import probability_columns
from seismag.spectrograms.compute import make_grid, power_and_phasors
from seismag.training.run import evaluate_in_store
from seismag.windows import store as stores

SPEC = DataConfig(window_h=6, frequency_rows="log", n_log_rows=24, step_s=600, cross_spectra=True)
DETECTION = probability_columns("detection")


def matrix_of(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power and cross-spectra Sab = <conj(a) b> of complex amplitudes."""

    def mean(a: np.ndarray, b: np.ndarray) -> complex:
        return complex(np.mean(np.conj(a) * b))

    power = np.array([mean(x, x).real, mean(y, y).real, mean(z, z).real])
    return power, np.array([mean(x, y), mean(x, z), mean(y, z)])


def amplitudes(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(n) + 1j * rng.standard_normal(n)


# formulas -------------------------------------------------------------------------------------------------------


def test_the_transfer_function_of_an_exact_relation_comes_back_with_coherence_one() -> None:
    rng = np.random.default_rng(1)
    x, y = amplitudes(500, rng), 0.7 * amplitudes(500, rng)
    y = y + 0.3 * x  # correlated, so that the matrix has to be inverted
    a, b = 0.3 - 0.1j, -0.2 + 0.25j
    arrow, coherence2 = transfer_function(*matrix_of(x, y, a * x + b * y))
    assert arrow == pytest.approx(np.array([a, b]))
    assert coherence2 == pytest.approx(1.0)


def test_the_coherence_is_the_share_of_z_that_follows_the_horizontal() -> None:
    rng = np.random.default_rng(2)
    x, y, own = (amplitudes(200_000, rng) for _ in range(3))
    # z = x / 2 + own / 2: half of the power is explained
    arrow, coherence2 = transfer_function(*matrix_of(x, y, 0.5 * x + 0.5 * own))
    assert coherence2 == pytest.approx(0.5, abs=0.01)
    assert arrow == pytest.approx(np.array([0.5, 0.0]), abs=0.01)
    assert transfer_function(*matrix_of(x, y, own))[1] == pytest.approx(0.0, abs=0.01)


def test_the_ratio_is_that_of_the_powers() -> None:
    assert polarisation_ratio(np.array([[2.0, 3.0, 0.5]])) == pytest.approx([-1.0])  # 0.5 / 5


@pytest.mark.parametrize("kappa", [0.3, 2.0, 20.0])
def test_the_concentration_is_that_of_its_mean_cosine(kappa: float) -> None:
    assert concentration(iv(1, kappa) / iv(0, kappa)) == pytest.approx(kappa, rel=1e-6)
    assert concentration(0.0) == concentration(-0.3) == 0.0  # no agreement


@pytest.mark.parametrize(("azimuth_deg", "h_axis_deg"), [(0.0, 0.0), (60.0, 1.5), (170.0, -3.0), (290.0, 2.0)])
def test_a_polarised_source_in_the_time_domain_gives_its_ratio_and_its_arrow(
    azimuth_deg: float, h_axis_deg: float
) -> None:
    """Band-limited noise along the azimuth, Z leading by a quarter period at half its amplitude, far above the rest."""
    rng = np.random.default_rng(int(azimuth_deg))
    n = 21_600
    frequency = np.fft.rfftfreq(n)
    spectrum = np.where((frequency > 0.005) & (frequency < 0.12), amplitudes(frequency.size, rng), 0)
    along, ahead = np.fft.irfft(spectrum, n), np.fft.irfft(1j * spectrum, n)
    along, ahead = along / along.std(), ahead / along.std()
    angle = np.radians(azimuth_deg - h_axis_deg)
    field = np.stack([np.cos(angle) * along, np.sin(angle) * along, 0.5 * ahead])
    field += np.array([[0.1], [0.1], [0.02]]) * rng.standard_normal((3, n))
    power, phasors = power_and_phasors(field[None], SPEC)
    grid = make_grid(SPEC)
    every, dark, cross = average_spectra(
        power.astype(float),
        phasors[:, :, 0] + 1j * phasors[:, :, 1],
        bin_weights(grid.frequency_hz),
        np.zeros((1, len(grid.time_s)), dtype=bool),
    )
    assert polarisation_ratio(every)[0] == pytest.approx(np.log10(0.25), abs=0.05)
    assert np.isnan(dark).all()  # no column at night
    assert cross is not None
    arrow, coherence2 = transfer_function(every[:, 0], cross[:, 0])
    assert coherence2[0] > 0.8
    features = features_of(arrow, h_axis_deg)
    error = (direction_deg(features, "quadrature")[0] - azimuth_deg + 180) % 360 - 180
    assert abs(error) < 10  # standard error 3 degrees: what the noise of X and Y leaves across the wave
    turned = (direction_deg(features, "-quadrature")[0] - azimuth_deg) % 360
    assert turned == pytest.approx(180, abs=10)
    assert np.hypot(*arrow[0].real) < 0.1 * np.hypot(*arrow[0].imag)


def features_of(arrow: np.ndarray, h_axis_deg: float) -> ClassicalFeatures:
    n = len(arrow)
    nothing = np.full(n, np.nan)
    return ClassicalFeatures(
        np.full((n, 2), np.nan), nothing, arrow, nothing, np.full(n, h_axis_deg), np.ones(n, dtype=bool)
    )


def test_masked_columns_and_those_of_the_day_are_left_out_of_the_night() -> None:
    density = np.ones((1, 3, 2, 4))
    density[0, 2, :, 1] = 9.0
    density[0, :, :, 3] = 100.0
    density[0, 0, :, 2] = np.nan  # masks the column in all components
    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    every, dark, _ = average_spectra(density, None, weights, np.array([[True, True, True, False]]))
    assert every[0, 0].tolist() == pytest.approx([34.0, 34.0, 110 / 3])
    assert dark[0, 0].tolist() == pytest.approx([1.0, 1.0, 5.0])


def test_bands_weigh_rows_by_their_width() -> None:
    frequency = make_grid(SPEC).frequency_hz
    weights = bin_weights(frequency)
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(CLASSICAL_BANDS_HZ)))
    assert (weights[0] > 0).tolist() == ((frequency >= 0.010) & (frequency < 0.045)).tolist()


def test_the_night_is_counted_in_local_time_across_midnight() -> None:
    # the middle of a 6-h window at 01:00 local: its columns run from 22:00 to 04:00
    night = at_night(np.array([1.0]), np.array([600.0, 7100.0, 7300.0, 21_500.0]), 21_600.0)
    assert night.tolist() == [[False, False, True, True]]


# quiet times ----------------------------------------------------------------------------------------------------


def windows(n: int = 60, every_h: int = 48) -> pd.DataFrame:
    start = np.datetime64("2021-01-01", "ms") + np.arange(n) * np.timedelta64(every_h, "h")
    return pd.DataFrame(
        {"station": np.where(np.arange(n) % 2, "ALR", "GTO"), "start_utc": start,
         "end_utc": start + np.timedelta64(6, "h")}
    )  # fmt: skip


def test_the_past_is_that_of_the_station_within_60_days_by_brute_force() -> None:
    samples = windows().sample(frac=1, random_state=1).reset_index(drop=True)
    values = np.random.default_rng(3).normal(size=(60, 1))
    values[7] = np.nan
    quiet = np.random.default_rng(4).random(60) < 0.8
    middle, spread = trailing_statistics(values, samples, quiet)
    for i in range(60):
        past = [
            values[j, 0] for j in range(60)
            if quiet[j] and np.isfinite(values[j, 0]) and samples["station"][j] == samples["station"][i]
            and samples["end_utc"][j] <= samples["start_utc"][i]
            and samples["end_utc"][j] > samples["start_utc"][i] - np.timedelta64(60, "D")
        ]  # fmt: skip
        if len(past) < QUIET_LEAST:
            assert np.isnan(middle[i, 0])
        else:
            assert middle[i, 0] == pytest.approx(np.median(past))
            assert spread[i, 0] == pytest.approx(1.4826 * np.median(np.abs(past - np.median(past))))


def test_the_quiet_arrow_is_the_median_of_the_quiet_windows_of_the_station() -> None:
    values = np.arange(20.0)[:, None]
    station = pd.Series(["GTO"] * 12 + ["ALR"] * 8)
    quiet = np.arange(20) < 16  # 4 of ALR: too few
    middle, _ = station_statistics(values, station, quiet)
    assert middle[:12, 0].tolist() == [5.5] * 12
    assert np.isnan(middle[12:]).all()


def test_storms_are_disturbed_and_missing_indices_are_not() -> None:
    table = pd.DataFrame({"kp_max": [3.9, 4.0, 1.0, np.nan], "dst_min_nt": [-29.0, 0.0, -30.0, np.nan]})
    assert disturbed(table).tolist() == [False, True, True, False]


def test_having_something_to_say_shifts_no_probability() -> None:
    """All events speak and one Normal window in four does, of a number that tells nothing."""
    rng = np.random.default_rng(5)
    truth = np.repeat([0, 1], 200)
    inputs = np.where(((truth == 1) | (np.arange(400) % 4 == 0))[:, None], rng.normal(size=(400, 1)), np.nan)
    rows = np.arange(400)
    probs = _detect(inputs, truth, rows // 4, rows[::2], rows[1::2])
    assert probs[:, 1] == pytest.approx(np.full(200, 0.5), abs=0.05)


# a whole store --------------------------------------------------------------------------------------------------


def make_store(planted: float, seed: int = 0) -> stores.Store:
    """360 windows of two stations; before an event a wave from its azimuth of this power, Z a quarter period ahead."""
    rng = np.random.default_rng(seed)
    n = 360
    group = np.arange(n) // 6
    event = group % 2 == 1
    azimuth = np.where(event, 45.0 * (group // 2 % 8), np.nan)
    start = np.datetime64("2021-01-01T18", "ms") + np.arange(n) * np.timedelta64(24, "h")  # 18 to 24 UTC: local night
    samples = pd.DataFrame(
        {
            "sample_id": [f"w{i:03d}" for i in range(n)],
            "station": np.where(np.arange(n) % 2, "ALR", "GTO"),
            "start_utc": start,
            "end_utc": start + np.timedelta64(6, "h"),
            "split_group": [f"{'event' if e else 'normal'}:{g}" for g, e in zip(group, event, strict=True)],
            "event_id": [f"e{g}" if e else None for g, e in zip(group, event, strict=True)],
            "magnitude_class": np.where(event, "Medium", "Normal"),
            "azimuth_class": np.where(event, np.array(AZIMUTH_CLASSES)[1 + group // 2 % 8], "Normal"),
            "azimuth_deg": azimuth,
            "kp_max": rng.uniform(0, 3.9, n),
            "dst_min_nt": -5.0,
            "past_rate": rng.gamma(1, 1, n),
            "local_hour": 2.0,
            "h_axis_deg": 1.0,
            "h_axis_source": "file",
            "gap_fraction": 0.0,
            "masked_fraction": 0.0,
            "noise_floor_nt": rng.gamma(5, 0.002, n),
            "origin": "simulated",
        }
    )
    grid = make_grid(SPEC)
    power_db, parts = [], []
    for first in range(0, n, stores.SHARD_SAMPLES):
        rows = slice(first, min(n, first + stores.SHARD_SAMPLES))
        shape = (rows.stop - rows.start, len(grid.frequency_hz), len(grid.time_s))
        x, y, z, wave = (amplitudes(int(np.prod(shape)), rng).reshape(shape) for _ in range(4))
        wave = wave * np.sqrt(planted * event[rows])[:, None, None]
        angle = np.radians(np.nan_to_num(azimuth[rows]) - 1.0)[:, None, None]
        x, y, z = x + np.cos(angle) * wave, y + np.sin(angle) * wave, 0.3 * z + 0.5j * wave
        power = np.stack([np.abs(c) ** 2 for c in (x, y, z)], axis=1)
        phasors = np.stack([np.conj(a) * b / np.abs(a * b) for a, b in ((x, y), (z, x), (z, y))], axis=1)
        power_db.append((10 * np.log10(power)).astype(np.float16))
        parts.append(np.stack([phasors.real, phasors.imag], axis=2).astype(np.float16))
    attributes = {"dataset_id": "memory", "origin": "simulated", "config": SPEC.model_dump(mode="json")}
    arrays = np.concatenate(power_db), np.concatenate(parts)
    return stores.Store(Path("memory"), samples, *arrays, grid.frequency_hz, grid.time_s, attributes)


def split_of(store: stores.Store) -> pd.DataFrame:
    """Two folds of whole groups."""
    number = np.arange(len(store.samples)) // 12
    folds = [
        store.samples[["sample_id", "split_group"]].assign(
            fold=fold, role=np.where(number % 2 == fold - 1, "test", "train")
        )
        for fold in (1, 2)
    ]
    return pd.concat(folds, ignore_index=True)


def judged_of(store: stores.Store) -> pd.DataFrame:
    split = split_of(store)
    return split[split["role"] == "test"].reset_index(drop=True)


def score(store: stores.Store, table: pd.DataFrame, task: str) -> float:
    columns = probability_columns(task)
    samples = store.samples.set_index("sample_id").loc[table.index]
    if task == "azimuth":
        truth = pd.Index(AZIMUTH_CLASSES).get_indexer(pd.Index(samples["azimuth_class"]))
    else:
        truth = (samples["magnitude_class"] != "Normal").to_numpy().astype(int)
    return float(balanced_accuracy(confusion_matrix(truth, table[columns].to_numpy().argmax(axis=1), len(columns))))


@pytest.fixture(scope="module")
def planted() -> stores.Store:
    return make_store(planted=4.0)


@pytest.fixture(scope="module")
def empty_of_signal() -> stores.Store:
    return make_store(planted=0.0, seed=1)


def test_a_planted_wave_is_found_by_both_and_its_direction_by_the_transfer_function(planted: stores.Store) -> None:
    got = classical_forecasts(planted, judged_of(planted), split_of(planted))
    assert score(planted, got.tables["polarisation_ratio"], "detection") > 0.9
    assert score(planted, got.tables["transfer_function"], "detection") > 0.9
    assert score(planted, got.tables["transfer_function_balanced"], "azimuth") > 0.9
    assert set(probability_columns("azimuth")) <= set(got.tables["transfer_function_all_days"])
    assert not set(probability_columns("magnitude")) & set(got.tables["transfer_function"])
    assert got.notes[0].startswith("polarisation_ratio covers")
    for table in got.tables.values():
        assert table[DETECTION].sum(axis=1).to_numpy() == pytest.approx(1)
    within = classical_forecasts(planted, judged_of(planted), None)  # a stranger's table: folds by group within it
    assert score(planted, within.tables["transfer_function_balanced"], "azimuth") > 0.9


def test_without_a_signal_both_are_at_chance(empty_of_signal: stores.Store) -> None:
    got = classical_forecasts(empty_of_signal, judged_of(empty_of_signal), split_of(empty_of_signal))
    for name, table in got.tables.items():
        assert 0.35 < score(empty_of_signal, table, "detection") < 0.65, name
        if probability_columns("azimuth")[0] in table:
            assert score(empty_of_signal, table, "azimuth") < 0.25, name


def test_labels_of_test_windows_reach_no_classical_forecast(planted: stores.Store) -> None:
    split = split_of(planted)
    split, judged = split[split["fold"] == 1], judged_of(planted)
    judged = judged[judged["fold"] == 1]
    before = classical_forecasts(planted, judged, split)
    held = planted.samples.copy()
    tested = held["sample_id"].isin(judged["sample_id"])
    held.loc[tested, ["magnitude_class", "azimuth_class"]] = ["Normal", "Normal"]
    held.loc[tested, "azimuth_deg"] = np.nan
    after = classical_forecasts(replace(planted, samples=held), judged, split)
    for name, table in before.tables.items():
        pd.testing.assert_frame_equal(table, after.tables[name], check_exact=True)


def test_no_array_reaches_a_no_signal_rule_and_classical_methods_are_no_rivals(
    planted: stores.Store, empty_of_signal: stores.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same table of samples over two sets of arrays; of the logistic baselines that with all columns."""
    monkeypatch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", ("all_no_signal", "quality"))
    split, judged = split_of(planted), judged_of(planted)
    samples = planted.samples.set_index("sample_id").loc[judged["sample_id"]].reset_index()
    table = judged.assign(
        run_id="r", station=samples["station"], start_utc=samples["start_utc"], event_id=samples["event_id"],
        y_magnitude=samples["magnitude_class"], y_azimuth=samples["azimuth_class"],
        **dict.fromkeys(probability_columns("magnitude"), 0.25), **dict.fromkeys(probability_columns("azimuth"), 1 / 9),
    )  # fmt: skip
    swapped = replace(planted, power=empty_of_signal.power, cross=empty_of_signal.cross)
    config = EvaluateConfig(bootstrap=100)
    one, other = (evaluate_in_store(store, table, split, config)["detection"] for store in (planted, swapped))
    for name in BASELINES:
        if name in one["baselines"]:
            assert one["baselines"][name] == other["baselines"][name]
    classical = [name for name in one["baselines"] if GROUPS.get(name, "classical") == "classical"]
    assert {"polarisation_ratio", "transfer_function"} <= set(classical)
    assert one["baselines"]["transfer_function"] != other["baselines"]["transfer_function"]
    assert one["baselines"]["transfer_function"]["group"] == "classical"
    for skill in one["skill_above_best_baseline"].values():
        assert GROUPS.get(skill["baseline"], "classical") in ("constant", "no_signal")


def test_what_cannot_be_had_is_said(planted: stores.Store) -> None:
    judged, split = judged_of(planted), split_of(planted)
    pictures = replace(planted, attributes={"origin": stores.LEGACY_IMAGE, "dataset_id": "memory"})
    assert classical_forecasts(pictures, judged, split).tables == {}
    got = classical_forecasts(replace(planted, cross=None), judged, split)
    assert "transfer_function" not in got.tables
    assert any("contains no cross-spectra" in sentence for sentence in got.notes)
    with pytest.raises(DataError, match=r"1 of 360 windows are not in the store, for example zz"):
        classical_forecasts(planted, judged.assign(sample_id=["zz", *judged["sample_id"][1:]]), split)
