"""Differences of directions and their concentration."""

from __future__ import annotations

import numpy as np

from seismag.arrays import FloatArray, ratio


def angular_difference_deg(predicted_deg: FloatArray, true_deg: FloatArray) -> FloatArray:
    """Predicted minus true direction in degrees, in [-180, 180); clockwise is positive.

    Chance: the mean of the absolute value is 90 where either direction is uniform on the circle.

    Source: Mardia & Jupp (2000), Directional Statistics, chapter 2.
    """
    return np.asarray((np.asarray(predicted_deg) - np.asarray(true_deg) + 180.0) % 360.0 - 180.0)


def mean_resultant(cos_sum: FloatArray, sin_sum: FloatArray, n: FloatArray) -> FloatArray:
    """Length (0 to 1) of the mean of n unit vectors; NaN where n is 0.

    Source: Mardia & Jupp (2000), Directional Statistics, chapter 2.
    """
    return ratio(np.hypot(cos_sum, sin_sum), n)
