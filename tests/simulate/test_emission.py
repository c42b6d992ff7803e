"""Planted emissions, measured as the difference of the files of two archives that differ in nothing else."""

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from fixtures.measuring import (
    FIRST,
    band_power,
    band_width_hz,
    configuration,
    read_days,
    segment_spectra,
    simulate,
    write_events,
)
from seismag.archive.quality import main_field
from seismag.archive.stations import read_stations
from seismag.config import EmissionConfig
from seismag.domain import UsageError
from seismag.simulate import emission as module
from seismag.simulate.artefacts import traffic_level_nt2_hz
from seismag.simulate.emission import Emission, emission_envelope, events_in_range, plan_emissions
from seismag.simulate.plan import make_plan
from seismag.simulate.spectral_model import quiet_band_power
from seismag.simulate.synthetic_archive import truth_table

DAYS = 9
LEAD_H, DURATION_H = 30.0, 18.0
GTO = read_stations()["GTO"]
# days after the first, magnitude, distance in km, azimuth: one every two days
EVENTS = [(2.0, 5.0, 100.0, 60.0), (4.1, 6.0, 100.0, 150.0), (6.2, 5.0, 50.0, 240.0), (8.3, 5.5, 200.0, 330.0)]
EMISSION = {
    "snr": 20.0, "low_mhz": 12.0, "high_mhz": 38.0, "lead_h": LEAD_H, "duration_h": DURATION_H, "z_ratio": 0.7,
    "magnitude_exponent": 0.5, "distance_exponent": 1.5,
}  # fmt: skip


def archives(folder, emission, events=EVENTS, days=DAYS, **settings):
    """The field with and without emissions, and the truth: (3, n), (3, n), table."""
    catalog = write_events(folder / "own.csv", GTO, events)
    common = {"days": days, "stations": ["GTO"], "earthquakes": {"catalog": catalog}} | settings
    injected = simulate(folder / "planted", emission=emission, **common)
    null = simulate(folder / "null", **common)
    return read_days(injected, "GTO"), read_days(null, "GTO"), pd.read_parquet(injected / "truth.parquet")


@pytest.fixture(scope="module")
def injected(tmp_path_factory):
    return archives(tmp_path_factory.mktemp("planted"), EMISSION)


@pytest.fixture(scope="module")
def added(injected):
    return injected[0] - injected[1]


def interval(event, margin_s=0):
    """Seconds from the first day in which the emission of an event lasts, edges cut off by a margin."""
    start = round((event[0] - LEAD_H / 24) * 86_400)
    return slice(start + margin_s, start + round(DURATION_H * 3600) - margin_s)


def declination():
    return main_field(GTO, FIRST).declination_deg


def reference():
    plan = make_plan(configuration(days=1, stations=["GTO"], emission=EMISSION))
    return quiet_band_power(plan.sites[0], (0.012, 0.038))


@pytest.mark.parametrize("event", EVENTS)
def test_the_horizontal_field_swings_along_the_azimuth(added, event):
    """The axis of the ellipse, turned from magnetic to geographic north; nothing across it."""
    h, d, _ = added[:, interval(event)]
    axis = 0.5 * np.degrees(np.arctan2(2 * np.mean(h * d), np.mean(h * h) - np.mean(d * d)))
    assert (axis + declination() - event[3] + 90) % 180 - 90 == pytest.approx(0, abs=0.5)
    angle = np.radians(event[3] - declination())
    across = d * np.cos(angle) - h * np.sin(angle)
    assert across.std() < 0.007  # two roundings to 0.01 nT


@pytest.mark.parametrize("event", EVENTS)
def test_z_leads_the_field_along_the_azimuth_by_a_quarter_period(added, event):
    """conj(along) Z is positive imaginary: the sign tells the azimuth from its reverse."""
    h, d, z = added[:, interval(event, 1200)]
    angle = np.radians(event[3] - declination())
    along, z = (signal.hilbert(part) for part in (h * np.cos(angle) + d * np.sin(angle), z))
    transfer = np.mean(np.conj(along) * z) / np.mean(np.abs(along) ** 2)
    assert transfer == pytest.approx(0.7j, abs=0.02)


@pytest.mark.parametrize("event", EVENTS)
def test_power_has_the_exponents_of_magnitude_and_distance(added, event):
    """snr at M 5 and 100 km; half a decade a unit of magnitude; distance to the power -1.5."""
    h, d, _ = added[:, interval(event, 600)]
    asked = 20.0 * reference() * 10 ** (0.5 * (event[1] - 5)) * (event[2] / 100) ** -1.5
    assert h.var() + d.var() == pytest.approx(asked, rel=0.06)


def test_it_begins_and_ends_when_asked_and_nothing_is_added_elsewhere(added):
    inside = np.zeros(added.shape[1], dtype=bool)
    for event in EVENTS:
        seconds = interval(event)
        inside[max(seconds.start, 0) : seconds.stop] = True
        power = (added[0, seconds] ** 2 + added[1, seconds] ** 2).reshape(-1, 300).mean(axis=1)
        usual = np.median(power)
        assert (power[[1, -2]] > usual / 5).all()  # it is there ten minutes from either end ...
        assert (power[[0, -1]] < usual).all()  # ... and swells and fades within five
    assert not added[:, ~inside].any()


def test_it_lies_within_its_band(added):
    """Share of the power between 12 and 38 mHz; the rest leaks at the edges of the band."""
    power = np.abs(segment_spectra(added[:, interval(EVENTS[1], 600)])) ** 2
    total = power.mean(axis=1) @ band_width_hz(0, 500)
    assert (band_power(added[:, interval(EVENTS[1], 600)], 12, 38).mean(axis=1) / total > 0.95).all()
    assert (band_power(added[:, interval(EVENTS[1], 600)], 9, 41).mean(axis=1) / total > 0.998).all()


def test_it_goes_on_over_midnight_without_a_step(added):
    """Two events' emissions last over midnight, with a new draw of the waveform."""
    change = np.abs(np.diff(added, axis=1))
    crossed = 0
    for midnight in range(86_400, added.shape[1], 86_400):
        near = change[:, midnight - 1800 : midnight + 1800]
        if near.max() > 0.1:
            crossed += 1
            assert (change[:, midnight - 1] < near.max(axis=1)).all()
            power = np.abs(segment_spectra(added[:, midnight - 300 : midnight + 300])[:, 0]) ** 2
            fraction = (power @ band_width_hz(8, 42)) / (power @ band_width_hz(0, 500))
            assert (fraction > 0.99).all()
    assert crossed >= 3


def test_power_at_midnight_is_the_usual_one():
    """The change-over of waveforms is one of equal power: mean over 24 emissions of the first ten minutes of a day."""
    spec = EmissionConfig(snr=1.0)
    start = FIRST.astype("M8[ms]")
    emission = Emission("GTO", "e", 5.0, 100.0, 0.0, start, start - np.timedelta64(1, "D"),
                        start + np.timedelta64(2, "D"), 1.0)  # fmt: skip
    powers = []
    for seed in range(24):
        field = np.zeros((3, 86_400))
        rngs = (np.random.default_rng([seed, day]) for day in (1, 0))
        module.add_emission(field, FIRST, emission, 0.0, spec, *rngs)
        powers.append((field[0, :300] ** 2).mean())
    assert np.mean(powers) == pytest.approx(1, abs=0.15)


# ---- azimuth and its reverse ----


@pytest.fixture(scope="module")
def opposite(tmp_path_factory):
    """The same archive with one event at 60 degrees, and at 240."""
    folder = tmp_path_factory.mktemp("opposite")
    result = []
    for azimuth in (60.0, 240.0):
        (folder / f"{azimuth:g}").mkdir()
        result.append(archives(folder / f"{azimuth:g}", EMISSION, [(2.0, 5.0, 100.0, azimuth)], days=2))
    return result


def test_power_alone_cannot_tell_a_source_from_its_reverse(opposite):
    """Emissions differ by their sign: power is equal, and with the background within what chance allows."""
    there, back = (injected - null for injected, null, _ in opposite)
    np.testing.assert_allclose(there[:2], -back[:2], atol=0.021)
    np.testing.assert_allclose(there[2], back[2], atol=0.021)
    seconds = interval((2.0,), 600)
    powers = [band_power(injected[:, seconds], 12, 38).mean(axis=1) for injected, _, _ in opposite]
    np.testing.assert_allclose(powers[0] / powers[1], 1, atol=0.04)


def test_cross_spectra_with_z_change_their_sign_with_the_source(opposite):
    """ZX and ZY, averaged over the band, as they stand in the files; XY does not."""
    band = band_width_hz(12, 38) > 0
    crosses = []
    for injected, _, _ in opposite:
        x, y, z = segment_spectra(injected[:, interval((2.0,), 600)])[..., band].reshape(3, -1)
        crosses.append(np.array([np.vdot(z, x), np.vdot(z, y), np.vdot(x, y)]) / x.size)
    (zx, zy, xy), (zx_back, zy_back, xy_back) = crosses
    for there, back in ((zx, zx_back), (zy, zy_back)):
        assert there.imag * back.imag < 0
        assert there.imag == pytest.approx(-back.imag, rel=0.1)
        assert there.imag < 0  # conj(Z) X: X lags Z, at azimuths in the first quadrant
        assert abs(there.real) < 0.2 * abs(there.imag)
    assert xy.real == pytest.approx(xy_back.real, rel=0.1)


# ---- modulation ----


def test_modulation_has_its_depth_and_period_and_keeps_the_power(tmp_path):
    """Amplitude 1 + 0.8 sin over 90 minutes: fitted to the rms amplitude of each five minutes of 40 h."""
    emission = EMISSION | {
        "modulation_depth": 0.8, "modulation_period_min": 90.0, "duration_h": 40.0, "lead_h": 44.0, "snr": 200.0
    }  # fmt: skip
    injected, null, _ = archives(tmp_path, emission, [(2.0, 5.0, 100.0, 60.0)], days=2)
    start = (48 - 44) * 3600
    h, d, _ = (injected - null)[:, start + 600 : start + 40 * 3600 - 600]
    power = (h**2 + d**2).reshape(-1, 300).mean(axis=1)
    assert power.mean() == pytest.approx(200 * reference(), rel=0.08)
    amplitude = np.sqrt(power)
    since = 600 + 300 * np.arange(amplitude.size) + 150.0
    periods = np.arange(60.0, 130.0, 1.0)
    fits = [2 * np.mean(amplitude * np.exp(-2j * np.pi * since / 60 / period)) for period in periods]
    best = int(np.argmax(np.abs(fits)))
    assert periods[best] == pytest.approx(90, abs=2)
    assert abs(fits[best]) / amplitude.mean() == pytest.approx(0.8, abs=0.08)
    assert np.angle(fits[best] * 1j) == pytest.approx(0, abs=0.2)  # it begins as a sine


# ---- truth ----


def test_truth_holds_the_ratio_that_is_measured(injected):
    """Power of the emission, of the background and their ratio in each window, from the files with and without."""
    field, null, truth = injected
    assert len(truth) > 12
    errors = []
    for row in truth.itertuples():
        start = int((row.start_utc - pd.Timestamp(FIRST)).total_seconds())
        window = slice(start, start + 21_600)
        added = band_power((field - null)[:2, window], 9, 41).sum(axis=0).mean()
        background = band_power(null[:2, window], 12, 38).sum(axis=0).mean()
        assert added == pytest.approx(row.emission_nt2, rel=0.25, abs=0.01 * row.background_nt2)
        assert row.snr == pytest.approx(row.emission_nt2 / row.background_nt2)
        errors.append(np.log((added / background) / row.snr))
    assert np.abs(errors).max() < 0.5
    assert np.mean(errors) == pytest.approx(-0.03, abs=0.08)  # packets add 3 % to the background, chance has 4 %


def test_truth_states_windows_events_and_lead_times(injected):
    truth = injected[2]
    for number, event in enumerate(EVENTS):
        rows = truth[truth["event_id"] == f"e{number}"]
        origin = (pd.Timestamp(FIRST) + pd.Timedelta(days=event[0])).round("ms")
        np.testing.assert_allclose(rows["azimuth_deg"], event[3], atol=0.01)
        np.testing.assert_allclose(rows["distance_km"], event[2], atol=0.01)
        np.testing.assert_allclose(rows["lead_hours"], (origin - rows["end_utc"]).dt.total_seconds() / 3600)
        begin = origin - pd.Timedelta(hours=LEAD_H)
        assert rows["emission_start_utc"].min() == max(begin, pd.Timestamp(FIRST))
        assert rows["emission_end_utc"].max() == begin + pd.Timedelta(hours=DURATION_H)
        assert ((rows["end_utc"] - rows["start_utc"]) == pd.Timedelta(hours=6)).all()
    assert (truth["start_utc"] < truth["emission_end_utc"]).all()


def test_truth_counts_traffic_noise_to_the_background(tmp_path):
    artefacts = configuration().artefacts.model_copy(update={"cultural_noise": 5.0})
    settings = {"days": 3, "stations": ["GTO"], "artefacts": artefacts.model_dump()}
    spec = configuration(**settings)
    loud = max(range(30), key=lambda seed: traffic_level_nt2_hz(spec.model_copy(update={"seed": seed}), 0)[1])
    field, null, truth = archives(tmp_path, EMISSION, [(2.9, 5.0, 100.0, 60.0)], seed=loud, **settings)
    quiet = make_plan(configuration(**settings | {"artefacts": spec.artefacts.model_copy(update={"cultural_noise": 0.0})
                                                  .model_dump()}, seed=loud, emission=EMISSION,
                                    earthquakes={"catalog": str(tmp_path / "own.csv")}))  # fmt: skip
    assert (truth["background_nt2"] > 1.5 * truth_table(quiet)["background_nt2"]).any()
    for row in truth.itertuples():
        start = int((row.start_utc - pd.Timestamp(FIRST)).total_seconds())
        measured = band_power(null[:2, start : start + 21_600], 12, 38).sum(axis=0).mean()
        assert measured == pytest.approx(row.background_nt2, rel=0.3)
    assert field.shape == null.shape


# ---- planning ----


def events_at(*rows):
    table = pd.DataFrame(rows, columns=["event_id", "magnitude", "latitude_deg", "longitude_deg", "parent_id"])
    return table.assign(origin_utc=np.datetime64("2021-03-05T01:02:03.456"), depth_km=10.0)


NEAR = ("near", 5.0, GTO.latitude_deg + 1.0, GTO.longitude_deg, "")
FAR = ("far", 5.0, GTO.latitude_deg + 2.0, GTO.longitude_deg, "")  # 221 km; reach of M 5: 141 km
AFTER = ("after", 5.0, GTO.latitude_deg, GTO.longitude_deg + 1.0, "near")


def test_range_is_the_dobrovolsky_radius_and_azimuth_is_seen_from_the_station():
    table = events_in_range(events_at(NEAR, FAR, AFTER), GTO)
    assert list(table["event_id"]) == ["near", "after"]
    np.testing.assert_allclose(table["distance_km"], [110.6, 111.3], atol=0.1)
    np.testing.assert_allclose(table["azimuth_deg"], [0, 90], atol=0.1)


def test_aftershocks_emit_only_when_asked():
    events = events_at(NEAR, FAR, AFTER)
    spec = EmissionConfig(snr=2.0, lead_h=12.5, duration_h=6.0)
    only = plan_emissions(spec, events, GTO, 0.03)
    assert [emission.event_id for emission in only] == ["near"]
    every = plan_emissions(spec.model_copy(update={"mainshocks_only": False}), events, GTO, 0.03)
    assert [emission.event_id for emission in every] == ["near", "after"]
    assert only[0].start_utc == np.datetime64("2021-03-04T12:32:03.456")
    assert only[0].end_utc == np.datetime64("2021-03-04T18:32:03.456")
    assert only[0].power_nt2 == pytest.approx(0.06)
    assert plan_emissions(EmissionConfig(snr=0.0), events, GTO, 0.03) == []


def test_an_emission_beyond_the_range_of_the_instrument_is_refused():
    spec = EmissionConfig(snr=1e9, distance_exponent=2.0)
    with pytest.raises(UsageError, match=r"that of near \(M 5, 111 km from GTO\) would exceed 1000 nT\. Lower snr"):
        plan_emissions(spec, events_at(NEAR), GTO, 0.03)


def test_the_envelope_is_zero_outside_and_has_the_mean_power_inside():
    start = FIRST.astype("M8[ms]") + np.timedelta64(6, "h")
    emission = Emission("GTO", "e", 5.0, 100.0, 0.0, start, start, start + np.timedelta64(10, "h"), 4.0)
    spec = EmissionConfig(snr=1.0, modulation_depth=1.0, modulation_period_min=20.0)
    envelope = emission_envelope(FIRST, emission, spec)
    assert not envelope[: 6 * 3600 + 1].any()
    assert not envelope[16 * 3600 :].any()
    assert (envelope[7 * 3600 : 15 * 3600] ** 2).mean() == pytest.approx(4.0, rel=1e-6)
    assert not emission_envelope(FIRST + 1, emission, spec).any()
