"""Constants of places and instruments: those measured, those drawn, and the noise that follows from them."""

import numpy as np
import pytest

from seismag.archive.quality import main_field
from seismag.domain import Station
from seismag.simulate.sites import _MEASURED, dipole_latitude_deg, floor_density, make_site, noisier
from seismag.simulate.spectral_model import natural_density

BOU = Station("BOU", 40.137, -105.237)


def drawn(index, seed=7):
    return make_site(Station("XYZ", 0.0, 120.0), seed, index)


def test_geomagnetic_latitude_is_ninety_at_the_pole_and_known_at_observatories():
    """Boulder 48, Guam 5.6, San Juan 28 degrees (INTERMAGNET's lists)."""
    assert dipole_latitude_deg(80.65, -72.68) == pytest.approx(90, abs=1e-3)
    assert dipole_latitude_deg(-80.65, 107.32) == pytest.approx(-90, abs=1e-3)
    for latitude, longitude, expected in ((40.14, -105.24, 48.0), (13.59, 144.87, 5.6), (18.11, -66.15, 27.7)):
        assert dipole_latitude_deg(latitude, longitude) == pytest.approx(expected, abs=0.8)


@pytest.mark.parametrize("code", sorted(_MEASURED))
def test_measured_stations_have_the_measured_share_of_power_in_z(code):
    """Z over H + D in the band of Pc3, where D has 0.6 of the power of H: the third column of the table."""
    site = make_site(Station(code, 40.0, 0.0), 7, 0)
    follows = (abs(site.z_from_h) ** 2 + 0.6 * abs(site.z_from_d) ** 2) / 1.6
    assert follows + site.z_own == pytest.approx(_MEASURED[code][2][0], rel=1e-9)
    assert site.z_own >= 0


def test_floor_by_hand():
    """BOU, H: pink 3.0e-4 at 100 mHz plus white 0.1e-4; at 200 mHz the pink part is 2^-0.7 of it."""
    site = make_site(BOU, 7, 0)
    h = floor_density(site, np.array([0.1, 0.2]))[0]
    np.testing.assert_allclose(h, [3.1e-4, 3.0e-4 * 2**-0.7 + 0.1e-4])
    traffic = floor_density(make_site(Station("FRD", 38.2, -77.4), 7, 0), np.array([0.01, 0.02, 0.05]))[1]
    assert traffic[2] == pytest.approx(1150e-4 + 18e-4 * 0.5**-0.7 + 8.9e-4)
    assert traffic[0] - traffic[1] < 0.01 * traffic[1]  # flat below 20 mHz, but for the pink noise
    swell = floor_density(make_site(Station("HON", 21.3, -158.0), 7, 0), np.array([0.235]))[0]
    assert swell[0] == pytest.approx(12e-4 + 3.6e-4 * 2.35**-0.7 + 2.1e-4)


def test_another_sensor_has_its_noise_and_nothing_else_changed():
    site = make_site(Station("FRD", 38.2, -77.4), 7, 0)
    other = noisier(site, 6.0)
    np.testing.assert_allclose(other.pink, 6 * site.pink)
    np.testing.assert_allclose(other.white, 6 * site.white)
    for name in ("traffic", "swell", "gain", "bias_nt", "z_from_h", "z_from_d", "station"):
        assert getattr(other, name) is getattr(site, name)


def test_drawn_constants_are_alike_in_size_to_those_measured():
    """300 stations: sensor noise within the range seen, Z follows H or its reverse, half each, amplitude below 0.65."""
    sites = [drawn(index) for index in range(300)]
    pink = np.array([site.pink for site in sites])
    assert np.median(pink) == pytest.approx(3.2e-4, rel=0.1)
    assert (pink > 0.5e-4).all()
    assert (pink < 20e-4).all()
    transfer = np.array([site.z_from_h for site in sites])
    assert np.median(abs(transfer)) == pytest.approx(0.25, rel=0.15)
    assert abs(transfer).max() <= 0.65 + 1e-9
    assert 0.4 < (transfer.real > 0).mean() < 0.6
    assert np.abs([site.bias_nt for site in sites]).max() < 900  # 5 % of the weakest main field is 1100 nT


def test_stations_side_by_side_share_a_cell_and_cells_are_never_negative():
    assert make_site(BOU, 7, 0).cell == make_site(Station("BDT", 40.14, -105.23), 7, 1).cell
    assert make_site(BOU, 7, 0).cell != make_site(Station("TUC", 32.2, -110.7), 7, 1).cell
    assert min(make_site(Station("XYZ", -89.0, -179.9), 7, 0).cell) >= 0


def test_h_lies_along_magnetic_north():
    day = np.datetime64("2021-03-05")
    assert make_site(BOU, 7, 0).h_axis_deg(day) == main_field(BOU, day).declination_deg


def test_the_transfer_fades_in_the_law_as_in_the_waves():
    """Drawn stations lose a quarter of the amplitude of Z between 30 and 60 mHz."""
    site = drawn(0)
    h, d, z = natural_density(site, np.array([0.02, 0.08]), 2.0, np.arange(24.0))
    follows = abs(site.z_from_h) ** 2 * h + abs(site.z_from_d) ** 2 * d + site.z_own * (h + d)
    np.testing.assert_allclose(z / follows, [1, 0.75**2])
