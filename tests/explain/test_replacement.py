"""Bins of other windows, and what a model loses without its own."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.band_reader import COMPONENT, ROWS, make_band_reader, make_windows
from seismag.explain.replacement import Windows, choose_replacements, list_occlusions, occlude, predict_windows
from seismag.training.scaling import Scaling

SCALING = Scaling(np.zeros((3, 4), np.float32), np.ones((3, 4), np.float32))


def blank(value: float, phasor: float = 0.0) -> Windows:
    phasors = np.full((1, 3, 2, 4, 5), phasor, dtype=np.float16)
    return Windows(np.full((1, 3, 4, 5), value, dtype=np.float16), phasors, SCALING)


def test_only_the_asked_cells_of_the_asked_component_change() -> None:
    own, other = blank(1.0), blank(2.0, 0.5)
    bins = np.zeros((4, 5), dtype=bool)
    bins[1:3, 2] = True
    changed = own.with_bins_of(other, bins, (0,))
    assert changed.power_db[0, 0].tolist() == np.where(bins, 2.0, 1.0).tolist()
    assert (changed.power_db[0, 1:] == 1.0).all()
    assert (own.power_db == 1.0).all()  # the window itself is left as it is


def test_a_cross_spectrum_goes_with_either_of_its_components() -> None:
    changed = blank(1.0).with_bins_of(blank(2.0, 0.5), np.ones((4, 5), dtype=bool), (2,))  # Z: ZX and ZY, not XY
    assert changed.phasors is not None
    assert [float(changed.phasors[0, pair].max()) for pair in range(3)] == [0.0, 0.5, 0.5]


def test_a_cell_masked_in_either_window_is_masked_afterwards() -> None:
    own, other = blank(1.0), blank(2.0)
    own.power_db[0, 0, :, 0] = np.nan
    other.power_db[0, 0, :, 1] = np.nan
    changed = own.with_bins_of(other, np.ones((1, 4, 5), dtype=bool), (0,)).power_db[0, 0]
    assert np.isnan(changed[:, :2]).all()
    assert (changed[:, 2:] == 2.0).all()


def test_a_donor_is_another_window_of_the_station_and_of_another_event_where_there_is_one(
    rng: np.random.Generator,
) -> None:
    station = np.array(["A", "A", "A", "B", "B", "C"])
    group = np.array(["1", "1", "2", "3", "3", "4"])
    for _ in range(20):
        replacements = choose_replacements(station, group, rng)
        assert replacements[0] == replacements[1] == 2  # the only other event of A
        assert replacements[2] in (0, 1)
        assert (replacements[3], replacements[4]) == (4, 3)  # the same event, but there is no other
        assert replacements[5] == -1


def test_occlusion_finds_the_band_and_component_that_the_model_reads(rng: np.random.Generator) -> None:
    loaded = make_band_reader()
    windows = make_windows(loaded, 20, rng)
    frequency_hz = np.linspace(0.002, 0.2, 32)
    parts = list_occlusions(frequency_hz)
    said = occlude(loaded, windows, parts, np.roll(np.arange(20), 1))  # by windows of the other kind
    plain, _ = predict_windows(loaded, windows)
    read = np.zeros(32, dtype=bool)
    read[ROWS] = True
    for part, occluded in zip(parts, said, strict=True):
        change = np.abs(occluded["magnitude"] - plain["magnitude"]).mean()
        if COMPONENT in part.components and part.rows[ROWS].any():
            assert change > 0.05, (part.band, part.component)
        else:
            assert change == pytest.approx(0, abs=1e-9), (part.band, part.component)


def test_all_exchanged_is_the_answer_to_the_donor(rng: np.random.Generator) -> None:
    loaded = make_band_reader()
    windows = make_windows(loaded, 8, rng)
    replacement = np.roll(np.arange(8), 3)
    parts = [part for part in list_occlusions(np.linspace(0.002, 0.2, 32)) if part.band == part.component == "all"]
    (said,) = occlude(loaded, windows, parts, replacement)
    expected, _ = predict_windows(loaded, windows.of(replacement))
    np.testing.assert_allclose(said["magnitude"], expected["magnitude"], atol=1e-6)
