"""``Recording`` as pandas, xarray and a figure."""

import numpy as np
import pandas as pd
import pytest

from seismag.recordings import Recording

START = np.datetime64("2023-01-01T10:00", "ms")


def recording(rate_hz=1.0, n=5):
    field_nt = np.arange(3.0 * n).reshape(3, n)
    field_nt[1, 2] = np.nan
    return Recording("LUT", START, rate_hz, field_nt, "FRG-604RC", "abc", h_axis_deg=1.5)


def test_the_text_names_station_time_rate_and_format():
    assert repr(recording()) == "Recording(LUT, 2023-01-01T10:00:00 to 2023-01-01T10:00:05 UTC, 1 Hz, FRG-604RC)"
    assert "0.01667 Hz" in repr(recording(1 / 60))


@pytest.mark.parametrize(("rate_hz", "last"), [(1.0, "10:00:04"), (10.0, "10:00:00.4"), (1 / 60, "10:04:00")])
def test_a_table_has_the_components_and_a_utc_index(rate_hz, last):
    table = recording(rate_hz).to_pandas()
    assert list(table.columns) == ["H", "D", "Z"]
    assert (table.index[0], table.index[-1]) == (pd.Timestamp("2023-01-01T10:00Z"), pd.Timestamp(f"2023-01-01T{last}Z"))
    np.testing.assert_array_equal(table.to_numpy().T, recording().field_nt)


def test_an_array_has_axes_and_units():
    field = recording().to_xarray()
    assert (field.dims, field.attrs["units"], field.attrs["h_axis_deg"]) == (("component", "time"), "nT", 1.5)
    assert float(field.sel(component="Z", time="2023-01-01T10:00:03")) == 13.0
    assert int(field.isnull().sum()) == 1


def test_a_figure_shows_the_three_components(tmp_path):
    figure = recording().plot()
    assert [len(axes.lines[0].get_ydata()) for axes in figure.axes] == [5, 5, 5]
    figure.savefig(tmp_path / "day.png")
    assert (tmp_path / "day.png").stat().st_size > 1000
