"""Null distributions: p by hand, and none of what is undefined."""

import numpy as np
import pytest

from seismag.scoring.null import Null


def test_p_by_hand() -> None:
    null = Null(np.array([0.1, 0.2, 0.3]))
    assert null.p_value(0.3) == pytest.approx(2 / 4)
    assert null.p_value(0.4) == pytest.approx(1 / 4)


@pytest.mark.parametrize(("values", "statistic"), [([0.1, 0.2], np.nan), ([0.1, np.nan], 0.2)])
def test_an_undefined_statistic_has_no_p_value(values: list[float], statistic: float) -> None:
    assert np.isnan(Null(np.array(values)).p_value(statistic))
