"""Single wave packets: their hours, bands, polarisation, and that all stations see them at once."""

import cmath
from dataclasses import replace

import numpy as np
import pytest

from seismag.domain import Station
from seismag.simulate import pulsations
from seismag.simulate.pulsations import FAMILIES, add_pulsations
from seismag.simulate.sites import make_site

DAY_S = 86_400
KP = np.full(1441, 2.0)
SITE = replace(make_site(Station("BOU", 40.137, -105.237), 7, 0), z_from_h=cmath.rect(0.3, 1.0), z_from_d=0j)


def packets(monkeypatch, family, days, site=SITE, kp=KP):
    """The days' fields with packets of one family alone."""
    monkeypatch.setattr(pulsations, "FAMILIES", (family,))
    fields = np.zeros((days, 3, DAY_S))
    for day, field in enumerate(fields):
        add_pulsations(field, site, day, kp, 7)
    return fields


@pytest.mark.parametrize("family", FAMILIES)
def test_packets_keep_to_their_local_hours(monkeypatch, family):
    """The hour of the mean power over 40 days, from the station's longitude; amplitude has the stated width."""
    power = (packets(monkeypatch, family, 40)[:, 0] ** 2).mean(axis=0).reshape(1440, 60).mean(axis=1)
    local_h = (np.arange(1440) + 0.5) / 60 + SITE.station.longitude_deg / 15
    turn = np.sum(power * np.exp(2j * np.pi * local_h / 24))
    hour = np.angle(turn) * 12 / np.pi % 24
    assert (hour - family.local_h + 12) % 24 - 12 == pytest.approx(0, abs=1.2)
    away = np.abs((local_h - family.local_h + 12) % 24 - 12) > 2.5 * family.width_h + 1
    assert power[away].sum() < 0.05 * power.sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_packets_lie_in_their_band(monkeypatch, family):
    fields = packets(monkeypatch, family, 20)[:, 0]
    power = (np.abs(np.fft.rfft(fields, axis=-1)) ** 2).mean(axis=0)
    mhz = np.arange(power.size) / DAY_S * 1000
    spread = 2 * 1000 / (60 * family.minutes[0])  # of a short packet
    inside = (mhz > family.band_mhz[0] - spread) & (mhz < family.band_mhz[1] + spread)
    assert power[inside].sum() > 0.97 * power.sum()


def test_packets_are_as_many_as_asked(monkeypatch):
    """Every one seen at some longitude: 200 days over 24 stations around the globe are too slow, so it is counted."""
    calls = []
    monkeypatch.setattr(pulsations, "_add_packet", lambda *arguments: calls.append(arguments[2]))
    for day in range(200):
        add_pulsations(np.zeros((3, 1)), SITE, day, KP, 7)
    for family in FAMILIES:
        assert calls.count(family) / 200 == pytest.approx(family.per_day, rel=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_z_is_induced_and_d_is_a_quarter_period_off(monkeypatch, family):
    """D leads before the family's hour and lags after it: both senses occur. A short train has no sharp line."""
    found = set()
    for field in packets(monkeypatch, family, 12):
        power = (field[0] ** 2).reshape(-1, 3600).mean(axis=1)
        if power.max() < 1e-4:
            continue
        hour = int(power.argmax())
        h, d, z = np.fft.rfft(field[:, hour * 3600 : (hour + 1) * 3600] * np.hanning(3600), axis=-1)
        line = int(np.abs(h).argmax())
        assert z[line] / h[line] == pytest.approx(cmath.rect(0.3, 1.0), abs=0.12 if family.damped else 0.01)
        found.add(int(np.sign((d[line] / h[line]).imag)))
    assert found == {1, -1}


def test_stations_see_the_same_packets_at_once(monkeypatch):
    other = replace(make_site(Station("TUC", 32.2, -105.0), 7, 1), dipole_latitude_deg=SITE.dipole_latitude_deg)
    first, second = (packets(monkeypatch, FAMILIES[0], 3, site)[:, 0] for site in (SITE, other))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.99


def test_amplitude_grows_with_kp_and_latitude(monkeypatch):
    """Decades: (|latitude| - 20) / 48 and 0.15 a unit of Kp."""
    north = replace(SITE, dipole_latitude_deg=SITE.dipole_latitude_deg + 12)
    usual, disturbed, higher = (
        packets(monkeypatch, FAMILIES[1], 6, site, kp).std() for site, kp in ((SITE, KP), (SITE, KP + 2), (north, KP))
    )
    assert disturbed / usual == pytest.approx(10**0.3, rel=0.02)
    assert higher / usual == pytest.approx(10**0.25, rel=0.02)


def test_a_train_of_pi2_begins_at_once_and_decays(monkeypatch):
    single = replace(FAMILIES[2], per_day=3.0)
    for field in packets(monkeypatch, single, 10)[:, 0]:
        seconds = np.flatnonzero(field)
        if seconds.size and np.ptp(seconds) < 600 and seconds[0] > 0:
            packet = field[seconds[0] : seconds[-1]]
            half = packet.size // 2
            assert np.abs(packet[:half]).max() > 3 * np.abs(packet[-half // 2 :]).max()
            return
    pytest.fail("no single packet in ten days")


def test_packets_fade_before_they_end_so_that_no_jump_is_left(monkeypatch):
    for family in FAMILIES:
        field = packets(monkeypatch, family, 3)[:, 0]
        assert np.abs(np.diff(field)).max() < 0.25 * np.abs(field).max()
