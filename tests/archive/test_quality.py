"""The main field as a judge, and artefacts: what must be refused, found, and left alone."""

import re

import numpy as np
import pytest

from fixtures.archive_files import ALR, DAY_S, day_bytes, day_name, quiet_day
from seismag.archive.inspect import inspect_recording
from seismag.archive.quality import assess_day, compare_with_main_field, main_field
from seismag.config import DataConfig
from seismag.domain import Station
from seismag.recordings import read_recording
from seismag.recordings.frg604rc import BLOCK_BYTES
from seismag.spectrograms.artefacts import FLAT_S, find_artefacts, flat_runs, mask_artefacts
from seismag.spectrograms.compute import masked_frames

SPEC = DataConfig()
DAY = np.datetime64("2025-01-01")


@pytest.fixture(scope="module")
def expected():
    return main_field(ALR, DAY)


@pytest.fixture(scope="module")
def natural():
    return quiet_day(ALR, DAY)


def assess(field, expected):
    return assess_day(field, SPEC, expected, "ALR 2025-01-01")


def columns_of(field):
    """Masked columns of the four windows of a day: {component: [column of the day, ...]}."""
    windows = mask_artefacts(field, SPEC).reshape(3, 4, 21_600)
    masked = masked_frames(windows, SPEC)
    return {c: [(int(w), int(t)) for w, t in zip(*np.nonzero(masked[c]), strict=True)] for c in range(3)}


def touching(sample_from, sample_to):
    """Columns (window, column) whose segment holds a sample of [from, to)."""
    return [
        (w, t)
        for w in range(4)
        for t in range(224)
        if w * 21_600 + t * 94 < sample_to and w * 21_600 + t * 94 + 600 > sample_from
    ]


def test_the_main_field_at_alor_is_that_of_igrf(expected):
    """IGRF-14 at Alor, January 2025: H 37521, Z -23163 nT, F = sqrt(H^2 + Z^2), D 0.93 degrees east."""
    assert expected.hdz[0] == pytest.approx(37_521, abs=5)
    assert expected.hdz[2] == pytest.approx(-23_163, abs=5)
    assert expected.hdz[1] == 0
    assert expected.f_nt == pytest.approx(np.hypot(37_521, 23_163), abs=5)
    assert expected.declination_deg == pytest.approx(0.93, abs=0.05)


def test_the_main_field_turns_with_the_h_axis(expected):
    """A sensor along geographic north measures X = H cos(dec) and Y = H sin(dec)."""
    geographic = main_field(ALR, DAY, 0.0)
    dec = np.radians(expected.declination_deg)
    assert geographic.hdz[0] == pytest.approx(expected.hdz[0] * np.cos(dec))
    assert geographic.hdz[1] == pytest.approx(expected.hdz[0] * np.sin(dec))
    assert geographic.hdz[1] > 0  # declination east
    assert geographic.hdz[2] == expected.hdz[2]
    reverse = main_field(ALR, DAY, 180.0)
    assert reverse.hdz[0] == pytest.approx(-geographic.hdz[0])
    assert main_field(ALR, DAY, expected.declination_deg).hdz[1] == pytest.approx(0, abs=1e-6)


def test_the_vertical_field_points_down_in_the_north_and_up_in_the_south():
    assert main_field(Station("BOU", 40.1, -105.2), DAY).hdz[2] == pytest.approx(46_700, rel=0.02)
    assert main_field(Station("HER", -34.4, 19.2), DAY).hdz[2] < -15_000


def test_a_natural_day_is_good(natural, expected):
    quality = assess(natural, expected)
    assert (quality.verdict, quality.plausible, quality.reasons) == ("good", True, ())
    np.testing.assert_allclose(quality.median_nt, np.median(natural, axis=1))
    np.testing.assert_array_equal(quality.min_nt, natural.min(axis=1))
    np.testing.assert_array_equal(quality.max_nt, natural.max(axis=1))
    assert mask_artefacts(natural, SPEC) is natural


@pytest.mark.real
def test_a_real_storm_day_fits_and_holds_no_artefact(real_data, expected):
    recording = read_recording(real_data / "bmkg" / "S250101.ALR")
    quality = assess(recording.field_nt, expected)
    assert quality.plausible is True
    assert (quality.spikes, quality.steps) == (0, 0)
    assert quality.verdict == "usable"  # the 64 s gap
    assert quality.missing.tolist() == [64, 64, 64]
    assert "64 s missing" in " ".join(quality.reasons)


WRONG = {
    "H and Z swapped": lambda f: f[[2, 1, 0]],
    "cyclic order": lambda f: f[[1, 2, 0]],
    "Z positive up": lambda f: f * np.array([[1], [1], [-1]]),
    "H reversed": lambda f: f * np.array([[-1], [1], [1]]),
    "ten times too large": lambda f: f * 10,
    "ten times too small, 3 % below the main field": lambda f: f * 0.097,
    "Z ten times too small": lambda f: f * np.array([[1], [1], [0.1]]),
    "H without its baseline": lambda f: f - np.array([[37_500], [0], [0]]),
    "an offset of a tenth of F": lambda f: f + np.array([[4_400], [0], [0]]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_that_is_not_the_earths_is_refused(name, natural, expected):
    quality = assess(WRONG[name](natural), expected)
    assert (quality.plausible, quality.verdict) == (False, "refused")
    assert "not the Earth's field" in quality.reasons[0]


def decode_wrongly(payload, baselines, scale=0.1):
    """The earlier decoder: int16 from a 32-byte header, then invented baselines (science, section 1)."""
    bodies = [payload[k * BLOCK_BYTES + 32 : (k + 1) * BLOCK_BYTES] for k in range(144)]
    length = 17 * 599  # the last record lacks its end
    values = np.concatenate(
        [np.frombuffer(b[:length], "u1").reshape(599, 17)[:, :6].copy().view("<i2") for b in bodies]
    )
    values = np.concatenate([values, values[-(DAY_S - len(values)) :]])
    return values.T * scale + np.array(baselines)[:, None]


@pytest.fixture(scope="module")
def true_bytes(natural):
    return day_bytes(ALR, DAY, natural)


def test_the_earlier_decoders_days_are_refused_by_inspect(tmp_path, true_bytes):
    path = tmp_path / day_name(ALR, DAY)
    path.write_bytes(day_bytes(ALR, DAY, decode_wrongly(true_bytes, (40_000, 0, 30_000))))
    facts = inspect_recording(path, {"ALR": ALR}, SPEC)
    assert (facts.plausible, facts.verdict) == (False, "refused")
    assert re.search(r"Z \d{5} nT where the main field has -23163", facts.reasons[0])
    right = tmp_path / "right" / path.name
    right.parent.mkdir()
    right.write_bytes(true_bytes)
    assert inspect_recording(right, {"ALR": ALR}, SPEC).plausible is True


def test_noise_around_well_guessed_baselines_is_refused_too(natural, expected):
    """Invented baselines can be right by luck; second-to-second differences of 1000 nT never are."""
    rng = np.random.default_rng(1)
    quality = assess(np.array(expected.hdz)[:, None] + rng.normal(0, 1_000, natural.shape), expected)
    assert quality.plausible is False
    assert quality.verdict == "refused"


def test_variations_without_a_baseline_are_usable_but_unchecked(natural, expected):
    quality = assess(natural - np.array(expected.hdz)[:, None], expected)
    assert quality.plausible is None
    assert quality.verdict == "usable"
    assert "without a baseline" in quality.reasons[0]


def test_an_unknown_position_leaves_the_level_unchecked(natural):
    quality = assess(natural, None)
    assert (quality.plausible, quality.verdict) == (None, "usable")
    assert "position is unknown" in quality.reasons[0]


@pytest.mark.parametrize(("share", "plausible"), [(0.049, True), (0.051, False), (-0.049, True), (-0.051, False)])
@pytest.mark.parametrize("component", [0, 1, 2])
def test_the_tolerance_is_a_share_of_the_total_field_on_each_component(component, share, plausible, expected):
    median = np.array(expected.hdz)
    median[component] += share * expected.f_nt
    verdict, sentence = compare_with_main_field(median, SPEC, expected, "ALR")
    assert verdict is plausible
    assert ("HDZ"[component] + " ") in sentence or plausible


def test_an_empty_day_and_a_dead_component_are_refused(natural, expected):
    quality = assess(np.full((3, DAY_S), np.nan), expected)
    assert (quality.verdict, quality.plausible) == ("refused", None)
    assert "no value at all in H, D, Z" in quality.reasons[0]
    dead = natural.copy()
    dead[1] = np.nan
    quality = assess(dead, expected)
    assert quality.verdict == "refused"
    assert "no value at all in D" in quality.reasons[0]


def test_a_spike_is_found_once_and_masks_only_the_columns_that_it_touches(natural, expected):
    field = natural.copy()
    field[1, 40_000] += 50.0
    quality = assess(field, expected)
    assert (quality.spikes, quality.steps) == (1, 0)
    assert find_artefacts(field).spikes.tolist() == [[1, 40_000]]
    assert quality.verdict == "usable"
    columns = columns_of(field)
    assert columns[0] == columns[2] == []
    assert set(touching(40_000, 40_001)) <= set(columns[1]) <= set(touching(39_998, 40_003))


def test_a_step_is_found_and_masks_only_the_columns_that_it_touches(natural, expected):
    field = natural.copy()
    field[2, 30_000:] -= 25.0
    quality = assess(field, expected)
    assert (quality.spikes, quality.steps) == (0, 1)
    assert find_artefacts(field).steps.tolist() == [[2, 30_000]]
    columns = columns_of(field)
    assert columns[0] == columns[1] == []
    assert columns[2] == touching(29_999, 30_001)


def test_a_spike_beside_a_gap_is_found(natural, expected):
    field = natural.copy()
    field[0, 20_000:20_100] = np.nan
    field[0, 20_101] += 60.0
    assert assess(field, expected).spikes >= 1
    assert set(touching(20_101, 20_102)) <= set(columns_of(field)[0])


def test_fast_but_natural_changes_are_no_artefacts(natural, expected):
    """A sudden commencement: 60 nT within 30 s, and a Pc5 of 100 nT: at most 3 nT/s."""
    field = natural.copy()
    seconds = np.arange(DAY_S)
    field[0] += 30 * np.tanh((seconds - 40_000) / 10.0) + 100 * np.sin(2 * np.pi * seconds / 200)
    quality = assess(field, expected)
    assert (quality.spikes, quality.steps) == (0, 0)


def test_flat_runs_are_counted_and_masked(natural, expected):
    field = natural.copy()
    field[2, 50_000 : 50_000 + FLAT_S] = field[2, 50_000]
    quality = assess(field, expected)
    assert quality.flat_s[2] in (FLAT_S, FLAT_S + 1)  # the next natural value may be the same by chance
    assert "Z does not change for 60" in " ".join(quality.reasons)
    columns = columns_of(field)
    assert columns[0] == columns[1] == []
    assert set(touching(50_000, 50_600)) <= set(columns[2]) <= set(touching(49_999, 50_602))
    field[2, 50_300] += 0.01
    assert assess(field, expected).reasons == ()
    assert columns_of(field)[2] == []


def test_flat_runs_by_hand():
    values = np.array([1.0, 1.0, 2.0, 3.0, 3.0, 3.0, np.nan, np.nan, 4.0])
    assert flat_runs(values, 2).tolist() == [[0, 2], [3, 6]]
    assert flat_runs(values, 3).tolist() == [[3, 6]]


def test_short_gaps_are_bridged_before_jumps_are_looked_for(natural, expected):
    field = natural.copy()
    field[:, 10_000:10_003] = np.nan
    quality = assess(field, expected)
    assert quality.missing.tolist() == [3, 3, 3]
    assert (quality.spikes, quality.steps) == (0, 0)
    assert not np.isnan(mask_artefacts(field, SPEC)).any()
    assert np.isnan(field[:, 10_000:10_003]).all()  # the input is left alone


def test_minute_means_are_not_searched_for_jumps(natural, expected):
    minutes = natural[:, ::60].copy()
    minutes[0, 700] += 50
    quality = assess_day(minutes, SPEC, expected, "ALR", rate_hz=1 / 60)
    assert (quality.spikes, quality.steps) == (0, 0)
    assert quality.flat_s.tolist() == [0, 0, 0]
