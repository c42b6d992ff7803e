"""The Molchan curve beside that of pyCSEP, where it is installed: `pip install pycsep` (tried with 0.8.0)."""

from __future__ import annotations

import re

import numpy as np
import pytest

from seismag.alarms.molchan import alarm_fractions, area_skill, miss_rate

csep = pytest.importorskip("csep")


def test_the_molchan_curve_and_its_area_are_those_of_pycsep(rng: np.random.Generator) -> None:
    """Cells in place of windows, all background time; an event cell is one event. Its area is floored at 1/2."""
    import matplotlib as mpl

    mpl.use("agg")
    from csep.core.catalogs import CSEPCatalog
    from csep.core.forecasts import GriddedForecast
    from csep.core.regions import CartesianGrid2D
    from csep.plots import plot_Molchan_diagram

    lon, lat = (axis.ravel() for axis in np.meshgrid(np.arange(10.0, 18.0), np.arange(40.0, 46.0)))
    region = CartesianGrid2D.from_origins(np.column_stack([lon, lat]), dh=1.0, magnitudes=np.array([4.95]))
    rate = np.round(rng.random(len(lon)), 1) + 0.05  # with ties
    cells = rng.choice(len(lon), 9, replace=False, p=rate / rate.sum())
    forecast = GriddedForecast(data=rate[:, None], region=region, magnitudes=np.array([4.95]), name="rate")
    events = [(str(i), 0, lat[c] + 0.5, lon[c] + 0.5, 10.0, 5.5) for i, c in enumerate(cells)]
    axes = plot_Molchan_diagram(forecast, CSEPCatalog(data=events, region=region), show=False)
    tau, nu = (np.asarray(values, dtype=float) for values in axes.lines[0].get_data())

    fractions = alarm_fractions(rate, np.ones(len(rate)), np.zeros(len(rate), dtype=int))
    weight = np.bincount(cells, minlength=len(rate)) / len(cells)
    np.testing.assert_allclose(miss_rate(fractions, weight, tau), nu, atol=1e-12)
    stated = re.search(r"ASS=([0-9.]+)", axes.lines[0].get_label())
    assert stated is not None
    assert area_skill(fractions, weight) == pytest.approx(float(stated[1]), abs=0.0051)
