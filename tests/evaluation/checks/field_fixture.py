"""Small stores of a synthetic field, held in memory, for the tests of the audit. No test in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import AuditConfig
from seismag.data.store import Store

FAST = AuditConfig(permutations=999, placebos=20)
FREQUENCY_HZ = np.arange(1, 61) * 2e-3  # 2 to 120 mHz
TIME_S = np.arange(24) * 900.0 + 450
LONGITUDE_DEG = {"GTO": 123.141, "ALR": 124.59, "SKB": 106.55, "LUT": 112.6}  # about those of the shipped table


def make_samples(stations: list[str], days: int, start: str = "2021-01-01") -> pd.DataFrame:
    """Windows of 6 h from 00 and 12 h UTC of every day; about every third block of three days is an event's."""
    day = np.datetime64(start, "ms") + np.arange(days) * np.timedelta64(1, "D")
    tables = []
    for number, code in enumerate(stations):
        begin = (day[:, None] + np.array([0, 12]) * np.timedelta64(1, "h")).ravel()
        block = np.repeat(np.arange(days) // 3, 2)
        event = (np.random.default_rng(number).random(block.max() + 1) < 0.3)[block]
        normal = [f"normal:{b // 9}" for b in block]
        utc_h = (begin - begin.astype("datetime64[D]")) / np.timedelta64(1, "h") + 3
        tables.append(
            pd.DataFrame(
                {
                    "sample_id": [f"{code}-{np.datetime_as_string(t, 'h')}" for t in begin],
                    "station": code,
                    "start_utc": begin,
                    "end_utc": begin + np.timedelta64(6, "h"),
                    "local_hour": np.mod(utc_h + LONGITUDE_DEG[code] / 15, 24),
                    "kp_max": np.nan,
                    "split_group": np.where(event, [f"event:{code}{b}" for b in block], normal),
                    "magnitude_class": np.where(event, "Medium", "Normal"),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def make_store(samples: pd.DataFrame, power_db: np.ndarray, **attributes: Any) -> Store:
    """A store whose arrays lie in memory."""
    return Store(
        Path("memory"), samples, power_db.astype(np.float16), None, FREQUENCY_HZ, TIME_S,  # type: ignore[arg-type]
        {"origin": "simulated", "dataset_id": "memory", **attributes},
    )  # fmt: skip


def make_field(
    samples: pd.DataFrame, rng: np.random.Generator, wave_db: float = 4.0, shift_h: np.ndarray | None = None
):
    """Power (n, 3, 60, 24) in dB: a falling spectrum, a daily wave that peaks at 11 h local time, each cell's scatter.

    shift_h: (n,) by which the time stamps of a window are ahead of the true time.
    """
    scatter = 10 * np.log10(rng.standard_exponential((len(samples), 3, len(FREQUENCY_HZ), len(TIME_S))))
    level = rng.normal(0, 2.0, (len(samples), 1, 1, 1))
    stamped = samples["local_hour"].to_numpy()[:, None] - 3 + TIME_S / 3600
    true = stamped - (0 if shift_h is None else shift_h[:, None])
    wave = wave_db * np.cos(2 * np.pi / 24 * (true - 11))
    spectrum = -30 * np.log10(FREQUENCY_HZ / 0.01)
    return scatter + level + wave[:, None, None, :] + spectrum[None, None, :, None]
