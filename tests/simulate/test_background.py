"""The natural field, measured from written files: power by law, induction, coherence, hours, storms, midnights."""

import functools
import itertools

import numpy as np
import pytest

from fixtures.measuring import (
    PLACES,
    ROUNDING_NT2_HZ,
    band_power,
    band_width_hz,
    configuration,
    day_files,
    flat_kp,
    in_band,
    read_days,
    seen_through_taper,
    segment_spectra,
    simulate,
    site_of,
    write_index,
    write_places,
)
from seismag.archive.quality import assess_day, main_field
from seismag.config import DataConfig
from seismag.domain import Station
from seismag.recordings import read_recording
from seismag.simulate import background, pulsations
from seismag.simulate.artefacts import traffic_level_nt2_hz
from seismag.simulate.background import MODULATION_DB, background_power
from seismag.simulate.plan import make_plan
from seismag.simulate.sites import floor_density, make_site
from seismag.simulate.spectral_model import (
    CONTINUUM,
    HUMP,
    SPECTRAL_MODELS,
    level_decades,
    natural_density,
    quiet_band_power,
    shape,
)
from seismag.simulate.synthetic_archive import true_day

DAYS = 6
DAY_S = 86_400
NO_EVENTS = {"per_station_year": 0.0}
STATIONS = ["LOW", "BOU", "TUC", "BDT"]
BOU = Station("BOU", 40.137, -105.237)


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """Archives at Kp 1 and 5 in which nothing but the law makes power: no modulation and no single packets."""
    folder = tmp_path_factory.mktemp("steady")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(background, "MODULATION_DB", ((0.0, 120.0), (0.0, 20.0)))
        patched.setattr(pulsations, "FAMILIES", ())
        return {
            kp: simulate(
                folder / f"kp{kp}", days=DAYS, stations=STATIONS, station_file=write_places(folder / "places.csv"),
                kp=flat_kp(folder / f"kp{kp}.csv", kp, DAYS), earthquakes=NO_EVENTS,
            )
            for kp in (1, 5)
        }  # fmt: skip


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    """Four days of LOW and BOU as they come: simulated Kp, modulation and packets."""
    folder = tmp_path_factory.mktemp("lively")
    places = write_places(folder / "places.csv")
    return simulate(folder / "a", days=4, stations=["LOW", "BOU"], station_file=places, earthquakes=NO_EVENTS), places


def expected_power(site, kp, low, high, local_h):
    def density(f):
        return natural_density(site, f, kp, local_h) + floor_density(site, f) + ROUNDING_NT2_HZ

    return seen_through_taper(density) @ band_width_hz(low, high)


@functools.lru_cache(maxsize=2)
def days_of(archive, code):
    """The field of a station, read once for tests that follow one another."""
    return read_days(archive, code)


# ---- the law ----


@pytest.mark.parametrize(("low", "high"), [(1.7, 7), (10, 45), (45, 100), (100, 400)])
@pytest.mark.parametrize("code", ["LOW", "BOU"])
@pytest.mark.parametrize("kp", [1, 5])
def test_band_power_is_that_of_the_law(steady, kp, code, low, high):
    """Within 6 %, of which chance has 2 %."""
    measured = band_power(days_of(steady[kp], code), low, high).mean(axis=1)
    model = expected_power(site_of(steady[kp], code), kp, low, high, np.arange(0, 24, 0.25))
    np.testing.assert_allclose(measured / model, 1, atol=0.06)


def test_constants_of_the_law_by_hand():
    """At Kp 2, 48 degrees and the mean hour H of the continuum is 10^-0.05 nT²/Hz at 10 mHz before the break."""
    model = SPECTRAL_MODELS[0]
    level = level_decades(model, CONTINUUM, 48.0, np.array([2.0]), np.array([model.peak_h[CONTINUUM] + 6]))
    assert level[0] == pytest.approx(-0.05 + 0.48 * np.exp(-16), abs=1e-6)
    f = np.array([0.010])
    assert shape(model, CONTINUUM, f, 2.0)[0] == pytest.approx(1 / (1 + (10 / 13.3) ** 2.10))
    assert shape(model, HUMP, np.array([0.0152]), 2.0)[0] == pytest.approx(1)
    centre = 0.0152 * 10 ** (0.07 * 3)  # the hump moves up with Kp
    assert shape(model, HUMP, np.array([centre]), 5.0)[0] == pytest.approx(1)


def test_quiet_band_power_is_the_density_at_kp_2_over_the_band():
    site = make_site(Station("BOU", *PLACES["BOU"]), 7, 0)
    f = np.linspace(0.010, 0.040, 2000)
    density = (natural_density(site, f, 2.0, np.arange(24.0)) + floor_density(site, f))[:2].sum(axis=0)
    assert quiet_band_power(site, (0.010, 0.040)) == pytest.approx(density.mean() * 0.030, rel=2e-3)


def test_hours_of_a_day_have_the_power_of_their_local_time(steady):
    """BOU, 10-45 mHz, three hours at a time: within 20 % of the law, which varies threefold and more."""
    site = site_of(steady[5], "BOU")
    power = band_power(days_of(steady[5], "BOU"), 10, 45)[:2]
    local_h = ((np.arange(power.shape[1]) + 0.5) / 6 + site.station.longitude_deg / 15) % 24
    ratios, laws = [], []
    for begin in range(0, 24, 3):
        hours = (local_h >= begin) & (local_h < begin + 3)
        model = expected_power(site, 5, 10, 45, begin + np.arange(0.125, 3, 0.25))[:2]
        ratios.append(power[:, hours].mean(axis=1) / model)
        laws.append(model[0])
    np.testing.assert_allclose(ratios, 1, atol=0.2)
    assert max(laws) > 3 * min(laws)


def test_power_follows_kp_within_a_day_and_its_modulation(lively):
    """The background of truth.parquet against the files, by windows of 6 h; single packets add 2 to 7 %."""
    archive, places = lively
    plan = make_plan(configuration(days=4, stations=["LOW", "BOU"], station_file=places, earthquakes=NO_EVENTS))
    ratios = []
    for code, site in zip(("LOW", "BOU"), plan.sites, strict=True):
        measured = band_power(days_of(archive, code), 10, 40)[:2].sum(axis=0)
        days = [background_power(site, day, plan.activity, 7, (0.010, 0.040)) for day in range(4)]
        expected = np.concatenate(days) + 2 * ROUNDING_NT2_HZ * 0.030
        ratios.append(measured.reshape(-1, 36).mean(axis=1) / expected.reshape(-1, 360).mean(axis=1))
    assert np.mean(ratios) == pytest.approx(1.03, abs=0.08)
    np.testing.assert_allclose(ratios, 1, atol=0.5)  # the largest: a single packet
    by_day = np.concatenate(days).reshape(-1, 360).mean(axis=1)
    assert by_day.max() > 3 * by_day.min()  # there was something to follow


# ---- induction and coherence ----


@pytest.mark.parametrize("kp", [1, 5])
@pytest.mark.parametrize("code", ["LOW", "BOU"])
def test_z_follows_h_and_d_by_the_transfer_of_the_site(steady, kp, code):
    """Least squares over the spectra of 10-28 mHz, where the transfer does not fade: amplitude and phase."""
    site = site_of(steady[kp], code)
    spectra = segment_spectra(days_of(steady[kp], code))[..., in_band(10, 28)].reshape(3, -1)
    inputs = np.conj(spectra[:2])
    measured = np.linalg.solve(inputs @ spectra[:2].T, inputs @ spectra[2])
    for value, asked in zip(measured, (site.z_from_h, site.z_from_d), strict=True):
        assert abs(value - asked) < 0.1 * abs(asked) + 0.004  # 6 degrees of phase; 0.002 is chance


def coherence(archive, a, b, low, high):
    """Squared coherence of H and D between two stations, mean over the lines of a band."""
    first, second = (segment_spectra(days_of(archive, code)[:2])[..., in_band(low, high)] for code in (a, b))
    cross = np.abs((np.conj(first) * second).mean(axis=1)) ** 2
    return (cross / (np.abs(first) ** 2).mean(axis=1) / (np.abs(second) ** 2).mean(axis=1)).mean(axis=1)


def test_stations_near_each_other_record_one_field_and_far_ones_hardly(steady):
    """Real days: 0 km H .78, D .63; Tucson to Boulder, 1013 km, H .27, D .38; beyond 9000 km H .03, D 0."""
    beside, apart, far = (coherence(steady[1], "BOU", other, 10, 45) for other in ("BDT", "TUC", "LOW"))
    assert (beside > 0.7).all()
    np.testing.assert_allclose(apart, (0.30, 0.38), atol=0.08)
    np.testing.assert_allclose(far, (0.03, 0.0), atol=0.025)


def test_sensor_noise_is_not_shared(steady):
    assert (coherence(steady[1], "BOU", "BDT", 200, 400) < 0.03).all()


# ---- modulation ----


def test_modulation_has_mean_power_one_and_the_deviation_asked_for():
    """Over 600 days; its two parts have 4.5 and 4 dB of power, 6.02 dB together. Mean power: 0.1 of chance."""
    site = make_site(Station("BOU", *PLACES["BOU"]), 7, 0)
    amplitude = np.concatenate([background._modulation(site, HUMP, day, 7)[:-1:20] for day in range(600)])
    assert np.mean(amplitude**2) == pytest.approx(1, abs=0.12)
    asked = np.hypot(*(deviation for deviation, _ in MODULATION_DB))
    assert np.std(20 * np.log10(amplitude)) == pytest.approx(asked, rel=0.04)


def test_modulation_goes_on_over_midnight():
    site = make_site(Station("BOU", *PLACES["BOU"]), 7, 0)
    days = [background._modulation(site, CONTINUUM, day, 7) for day in range(40)]
    usual = np.abs(np.diff(np.log(days), axis=1)).mean()
    ends = np.array([np.log(a[-1] / b[0]) for a, b in itertools.pairwise(days)])
    assert np.abs(ends).max() < usual / 10  # minute 1440 of a day is minute 0 of the next


def test_stations_share_most_of_the_modulation():
    """0.6 of 4.5 dB and 0.8 of 4 dB squared are common: a correlation of 0.69."""
    sites = [make_site(Station(code, *PLACES[code]), 7, 0) for code in ("LOW", "BOU")]
    series = [np.concatenate([np.log(background._modulation(s, HUMP, d, 7)[::20]) for d in range(300)]) for s in sites]
    assert np.corrcoef(series)[0, 1] == pytest.approx(0.688, abs=0.06)


# ---- the slow field ----


def assert_no_step(field_nt, where):
    """The change over each midnight is one of those that occur elsewhere in these days."""
    change = np.abs(np.diff(field_nt, axis=1))
    at_midnight = change[:, DAY_S - 1 :: DAY_S]
    limit = np.quantile(change, 0.9995, axis=1)[:, None] + 0.01
    assert (at_midnight <= limit).all(), (where, at_midnight, limit)


@pytest.mark.parametrize("start", ["2021-02-27", "2021-12-30"])
def test_days_join_without_a_step_at_midnight(tmp_path, start):
    """Also at the end of a month and of a year, where the main field takes other months."""
    archive = simulate(
        tmp_path / "a", days=3, start=start, stations=["GTO", "ALR", "FRD"], earthquakes=NO_EVENTS,
        station_file=write_places_and_shipped(tmp_path / "places.csv"),
    )  # fmt: skip
    for code in ("GTO", "ALR", "FRD"):
        assert_no_step(read_days(archive, code), code)


def write_places_and_shipped(path):
    write_places(path)
    with path.open("a") as file:
        file.write("GTO,0.664,122.858\nALR,-8.142,124.592\n")
    return str(path)


def test_traffic_noise_joins_without_a_step_at_midnight(tmp_path):
    artefacts = configuration().artefacts.model_copy(update={"cultural_noise": 3.0}).model_dump()
    spec = configuration(days=5, stations=["GTO"], artefacts=artefacts, earthquakes=NO_EVENTS)
    seed = next(s for s in range(50) if traffic_level_nt2_hz(spec.model_copy(update={"seed": s}), 0).any())
    archive = simulate(tmp_path / "a", days=5, stations=["GTO"], artefacts=artefacts, earthquakes=NO_EVENTS, seed=seed)
    assert_no_step(read_days(archive, "GTO"), seed)


def test_the_day_before_the_first_can_be_made_and_joins_it():
    """A clock that is ahead stamps its last seconds as those of the first day."""
    plan = make_plan(configuration(days=2, stations=["GTO"], earthquakes=NO_EVENTS))
    assert_no_step(np.concatenate([true_day(plan, 0, -1), true_day(plan, 0, 0)], axis=1), "day -1")


def test_h_follows_dst_with_the_cosine_of_the_latitude(tmp_path):
    """The difference of two archives that differ in Dst alone; Z by 0.36 of the sine, induction included."""
    hours = (3 + 60) * 24
    storm = np.zeros(hours)
    storm[(30 + 1) * 24 + 6 :] = -150 * np.exp(-np.arange(hours - (31 * 24 + 6)) / 15)
    places = write_places(tmp_path / "places.csv")
    fields = {}
    for name, dst in (("calm", np.zeros(hours)), ("storm", np.round(storm, 1))):
        archive = simulate(
            tmp_path / name, days=3, stations=["LOW", "BOU"], station_file=places, earthquakes=NO_EVENTS,
            dst=write_index(tmp_path / f"{name}.csv", "dst", dst),
        )  # fmt: skip
        fields[name] = {code: read_days(archive, code) for code in ("LOW", "BOU")}
    seconds = np.arange(3.0 * DAY_S)
    dst = np.interp(seconds, (np.arange(hours) + 0.5) * 3600 - 30 * DAY_S, np.round(storm, 1))
    assert dst.min() < -140
    for code in ("LOW", "BOU"):
        latitude = np.radians(site_of(archive, code).dipole_latitude_deg)
        h, d, z = fields["storm"][code] - fields["calm"][code]
        np.testing.assert_allclose(h, dst * np.cos(latitude), atol=0.15)  # 0.1 nT: Dst between minutes
        np.testing.assert_allclose(d, 0, atol=0.011)
        np.testing.assert_allclose(z, -0.36 * dst * np.sin(latitude), atol=0.06)


def test_every_file_is_plausible_and_in_hundredths_of_a_nanotesla(lively, steady):
    for archive in (lively[0], steady[5]):
        for path in day_files(archive):
            recording = read_recording(path)
            expected = main_field(site_of(archive, recording.station).station, recording.start_utc)
            quality = assess_day(recording.field_nt, DataConfig(), expected, path.name)
            assert (quality.verdict, quality.plausible) == ("good", True), quality.reasons
            counts = recording.field_nt * 100
            np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
            assert (np.round(np.diff(counts)) % 2 == 1).mean() > 0.2  # every step of the last digit is used
            deviation = np.abs(np.nanmedian(recording.field_nt, axis=1) - expected.hdz) / expected.f_nt
            assert (deviation < 0.05).all()


def test_daily_variation_is_one_of_daytime_and_larger_in_local_summer():
    site = make_site(BOU, 7, 0)
    summer, winter = (background._daily_variation(site, np.datetime64(day)) for day in ("2021-06-21", "2021-12-21"))
    local_h = (np.arange(1441) / 60 + site.station.longitude_deg / 15) % 24
    night = (local_h < 3) | (local_h > 21)
    assert np.abs(summer[:, night]).max() < 0.05 * np.abs(summer).max()
    assert np.ptp(summer[1]) / np.ptp(winter[1]) == pytest.approx(1.25 / 0.75, rel=0.02)
    equinox = background._daily_variation(site, np.datetime64("2021-03-21"))
    assert 65 < np.ptp(equinox[1]) < 90  # of D; seen in April 2014: 72 to 78 nT, activity included


def test_main_field_drifts_through_a_month_to_the_next():
    site = make_site(BOU, 7, 0)
    first, quiet = np.datetime64("2021-03-01"), np.zeros(1441)
    for day, fraction in ((0, 0.0), (15, 15 / 31), (30, 30 / 31)):
        slow = background._slow_field(site, first + day, quiet, 7, day)
        sq = background._daily_variation(site, first + day)[:, :1] * background._day_factor(7, day)
        march, april = (np.array(main_field(site.station, np.datetime64(m)).hdz) for m in ("2021-03", "2021-04"))
        expected = march * (1 - fraction) + april * fraction + site.bias_nt
        np.testing.assert_allclose(slow[:, 0] - sq[:, 0], expected, atol=1e-6)
