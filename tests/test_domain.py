"""Class boundaries, and the errors' exit codes."""

import numpy as np
import pytest

from seismag.domain import (
    AZIMUTH_CLASSES,
    MAGNITUDE_CLASSES,
    DataError,
    SeismagError,
    UsageError,
    azimuth_classes,
    magnitude_classes,
)


def test_the_order_of_the_classes_is_the_contract():
    assert MAGNITUDE_CLASSES == ("Normal", "Moderate", "Medium", "Large")
    assert AZIMUTH_CLASSES == ("Normal", "N", "NE", "E", "SE", "S", "SW", "W", "NW")


@pytest.mark.parametrize(
    ("magnitude", "name"),
    [(4.0, "Moderate"), (4.999, "Moderate"), (5.0, "Medium"), (5.999, "Medium"), (6.0, "Large"), (9.5, "Large")],
)
def test_a_boundary_belongs_to_the_class_above_it(magnitude, name):
    assert magnitude_classes(magnitude).tolist() == [name]


@pytest.mark.parametrize("magnitude", [3.999, 0.0, -1.0, np.nan])
def test_a_magnitude_without_a_class_is_an_error(magnitude):
    with pytest.raises(ValueError, match=r"below 4.0 \(or missing\)"):
        magnitude_classes([5.0, magnitude])


@pytest.mark.parametrize(
    ("azimuth", "name"),
    [(0, "N"), (22.499, "N"), (22.5, "NE"), (45, "NE"), (67.5, "E"), (112.5, "SE"), (157.5, "S"), (202.5, "SW"),
     (247.5, "W"), (292.5, "NW"), (337.499, "NW"), (337.5, "N"), (360, "N"), (-22.5, "N"), (-22.6, "NW"), (405, "NE")],
)  # fmt: skip
def test_sectors_of_45_degrees_are_centred_on_north(azimuth, name):
    assert azimuth_classes(azimuth).tolist() == [name]


def test_the_sectors_are_equally_wide_and_follow_the_compass():
    names = azimuth_classes(np.arange(0, 360, 0.5))
    assert {str(name): int((names == name).sum()) for name in np.unique(names)} == dict.fromkeys(
        AZIMUTH_CLASSES[1:], 90
    )
    assert azimuth_classes(np.arange(0, 360, 45)).tolist() == list(AZIMUTH_CLASSES[1:])


def test_a_tiny_negative_azimuth_is_north():
    """mod(-1e-15 + 22.5, 360) stays in the first sector; mod may also give 360 itself by rounding."""
    assert azimuth_classes([-1e-15, -22.5 - 1e-15, 337.5 - 1e-13]).tolist()[0] == "N"
    assert set(azimuth_classes(-22.5 - np.logspace(-20, -10, 50))) <= {"N", "NW"}


@pytest.mark.parametrize("azimuth", [np.nan, np.inf])
def test_a_missing_azimuth_is_an_error(azimuth):
    with pytest.raises(ValueError, match="missing azimuth"):
        azimuth_classes([10.0, azimuth])


def test_many_values_keep_their_shape():
    assert magnitude_classes([4.1, 5.1, 6.1]).tolist() == ["Moderate", "Medium", "Large"]
    assert len(azimuth_classes([])) == 0


def test_errors_carry_their_exit_code_and_reason():
    assert (SeismagError("x").exit_code, UsageError("x").exit_code, DataError("x").exit_code) == (1, 2, 1)
    assert DataError("x").reason == "unreadable"
    assert DataError("x", "gaps").reason == "gaps"
