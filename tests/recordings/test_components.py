import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings.components import (
    ARCMIN_DEG,
    DEGREE_DEG,
    DeclinationScale,
    blank_fill_values,
    to_hdz,
    wrap_deg,
)

# A field of 20,000 nT at 9.3 degrees east of north, 47,000 nT down.
H, DECLINATION_DEG, Z = 20_000.0, 9.3, 47_000.0
NORTH, EAST = H * np.cos(np.radians(DECLINATION_DEG)), H * np.sin(np.radians(DECLINATION_DEG))


def turned(scale=None, **recorded):
    warnings: list[str] = []
    arrays = {letter: np.atleast_1d(np.asarray(value, float)) for letter, value in recorded.items()}
    result = to_hdz(arrays, scale or DeclinationScale(), "file", warnings)
    return result.field_nt, result.h_axis_deg, warnings


def geographic(field_nt, h_axis_deg):
    """North and east from H, D along an axis: the independent way back."""
    axis = np.radians(h_axis_deg)
    return field_nt[0] * np.cos(axis) - field_nt[1] * np.sin(axis), field_nt[0] * np.sin(axis) + field_nt[1] * np.cos(
        axis
    )


def test_x_y_z_are_h_d_z_on_the_geographic_axis():
    field, axis, warnings = turned(X=NORTH, Y=EAST, Z=Z, F=51_000)
    np.testing.assert_array_equal(field, [[NORTH], [EAST], [Z]])
    assert axis == 0.0
    assert warnings == []


def test_h_e_z_take_the_baseline_declination_as_axis():
    assert turned(DeclinationScale(baseline_deg=5527 / 600), H=H, E=-86.8, Z=Z)[1] == pytest.approx(9.2117, abs=1e-4)
    assert np.isnan(turned(H=H, E=-86.8, Z=Z)[1])


@pytest.mark.parametrize("baseline_deg", [5527 / 600, np.nan, 0.0])
def test_d_as_an_angle_gives_the_same_geographic_field_relative_or_absolute(baseline_deg):
    relative = 0 if np.isnan(baseline_deg) else baseline_deg
    field, axis, _ = turned(DeclinationScale(ARCMIN_DEG, baseline_deg), H=H, D=(DECLINATION_DEG - relative) * 60, Z=Z)
    np.testing.assert_allclose(geographic(field, axis), [[NORTH], [EAST]], atol=1e-8)
    assert axis == (baseline_deg if relative else 9.0)


def test_absolute_d_beside_a_baseline_is_recognised():
    """552.7 lies nearer to DECBAS / 10 = 552.7 than to zero: it is no difference from it."""
    field, axis, _ = turned(DeclinationScale(ARCMIN_DEG, 5527 / 600), H=H, D=DECLINATION_DEG * 60, Z=Z)
    assert axis == 9.0
    np.testing.assert_allclose(geographic(field, axis), [[NORTH], [EAST]], atol=1e-8)


def test_d_in_degrees_and_in_minutes_agree():
    minutes = turned(DeclinationScale(ARCMIN_DEG), H=H, D=DECLINATION_DEG * 60, Z=Z)
    degrees = turned(DeclinationScale(DEGREE_DEG), H=H, D=DECLINATION_DEG, Z=Z)
    np.testing.assert_allclose(minutes[0], degrees[0])
    assert minutes[1] == degrees[1] == 9.0


def test_a_baseline_counted_eastward_to_360_degrees_is_a_western_declination():
    """Fredericksburg: DECBAS 209690 is 349.48 degrees, so -10.52."""
    field, axis, _ = turned(DeclinationScale(ARCMIN_DEG, 209_690 / 600), H=21_457.2, D=3.37, Z=46_087.0)
    assert axis == pytest.approx(-10.5167, abs=1e-4)
    assert field[1, 0] == pytest.approx(21.03, abs=0.01)  # 21457.2 x sin(3.37')


def test_small_swings_of_d_become_the_eastward_field():
    """One minute of arc at 20,000 nT is 5.818 nT."""
    field, _, _ = turned(DeclinationScale(baseline_deg=9.0), H=[H, H], D=[0.0, 1.0], Z=[Z, Z])
    assert field[1, 1] - field[1, 0] == pytest.approx(H * np.pi / 10_800, rel=1e-6)


def test_an_angle_without_the_field_it_belongs_to_is_no_nt():
    field, _, warnings = turned(H=12.0, D=3.0, Z=-4.0)
    assert np.isnan(field[1]).all()
    np.testing.assert_array_equal(field[[0, 2], 0], [12.0, -4.0])
    assert "no baseline" in warnings[0]


def test_near_a_magnetic_pole_a_small_h_is_still_a_field():
    field, _, warnings = turned(H=500.0, D=60.0, Z=58_000.0)
    assert np.isfinite(field).all()
    assert warnings == []


def test_the_sensors_own_axes_have_no_direction():
    field, axis, warnings = turned(U=1, V=2, W=3, NUL=np.nan)
    np.testing.assert_array_equal(field[:, 0], [1, 2, 3])
    assert np.isnan(axis)
    assert "sensor" in warnings[0]


def test_missing_samples_stay_missing():
    field, axis, _ = turned(H=[H, np.nan, H], D=[558.0, 558.0, np.nan], Z=[Z, Z, Z])
    np.testing.assert_array_equal(np.isnan(field), [[0, 1, 1], [0, 1, 1], [0, 0, 0]])
    assert axis == 9.0
    assert np.isnan(turned(H=[H], D=[np.nan], Z=[Z])[1])


@pytest.mark.parametrize("letters", ["F", "HZ", "HDF", ""])
def test_fewer_than_three_components_are_refused(letters):
    with pytest.raises(DataError, match="three components") as caught:
        turned(**dict.fromkeys(letters, 1.0))
    assert caught.value.reason == "components_missing"


def test_fill_values_become_nan_and_real_values_do_not():
    marks = np.array([99999.0, 99999.9, 99999.99, 999999.0, -99999.0, 88888.0, 88888.88, -1e31])
    real = np.array([0.0, -63_434.13, 64_079.23, 78_126.3, 88_887.9, 88_889.0, -21_600.0])
    values = np.concatenate([marks, real])
    blank_fill_values(values, "file")
    assert np.isnan(values[: marks.size]).all()
    np.testing.assert_array_equal(values[marks.size :], real)


@pytest.mark.parametrize("value", [100_000.0, -2_088_660.0, 1e30, np.inf])
def test_numbers_that_no_field_has_are_refused(value):
    with pytest.raises(DataError, match="100000 is the limit"):
        blank_fill_values(np.array([[1.0, value, 99999.0]]), "file")


@pytest.mark.parametrize(("angle", "expected"), [(254.75, -105.25), (180.0, -180.0), (-180.0, -180.0), (0.1, 0.1)])
def test_angles_are_wrapped_around_zero(angle, expected):
    assert wrap_deg(angle) == expected
