"""Random tables of windows for the tests of splits, and slow answers to compare with."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import Phase
from hypothesis import strategies as st

REACH_H = 54.0
CLASSES = ("Moderate", "Medium", "Large")
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # the tables are small, and shrinking takes minutes
SIDES = (("train", "test"), ("val", "test"), ("train", "val"))


@st.composite
def sample_tables(draw: st.DrawFn, most_windows: int = 50) -> pd.DataFrame:
    """Windows of some stations within some days, some of which see several earthquake clusters."""
    n_clusters = draw(st.integers(3, 9))
    kinds = draw(st.lists(st.sampled_from(CLASSES), min_size=n_clusters, max_size=n_clusters))
    slots = draw(
        st.lists(
            st.tuples(st.sampled_from("ABC"), st.integers(0, 4 * 60)), min_size=8, max_size=most_windows, unique=True
        )
    )
    rows = []
    for station, slot in sorted(slots):
        start = np.datetime64("2021-01-01", "ms") + slot * np.timedelta64(6, "h")
        clusters = draw(st.lists(st.integers(0, n_clusters - 1), max_size=3, unique=True))
        rows.append(
            {
                "sample_id": f"{station}-{slot}",
                "station": station,
                "start_utc": start,
                "split_group": f"event:c{clusters[0]}" if clusters else f"normal:{slot // 108}",
                "cluster_ids": sorted(f"c{c}" for c in clusters),
                "magnitude_class": kinds[clusters[0]] if clusters else "Normal",
            }
        )
    return pd.DataFrame(rows)


def count_clusters(samples: pd.DataFrame) -> int:
    return len({g for g in samples["split_group"] if g.startswith("event:")})


def overlaps_by_force(
    samples: pd.DataFrame, roles: dict[str, str], sides: tuple[tuple[str, str], ...] = SIDES
) -> dict[str, int]:
    """Count what stands on two sides: every window against every other one."""
    rows = samples.to_dict("records")
    found = {"groups": 0, "clusters": 0, "events": 0, "close_windows": 0}
    for kept, held in sides:
        inner = [row for row in rows if roles[row["sample_id"]] == kept]
        outer = [row for row in rows if roles[row["sample_id"]] == held]
        shared = {row["split_group"] for row in inner} & {row["split_group"] for row in outer}
        found["groups"] += len(shared)
        found["clusters"] += sum(name.startswith("event:") for name in shared)
        for one in inner:
            clusters = {f"event:{c}" for c in one["cluster_ids"]}
            found["events"] += any(other["split_group"] in clusters for other in outer)
            found["close_windows"] += any(
                other["station"] == one["station"]
                and abs(other["start_utc"] - one["start_utc"]) <= pd.Timedelta(hours=REACH_H)
                for other in outer
            )
    return found


def touched_by_force(samples: pd.DataFrame, held: set[str]) -> set[str]:
    """Windows that must leave when the windows ``held`` are held out."""
    rows = samples.to_dict("records")
    outer = [row for row in rows if row["sample_id"] in held]
    return {
        one["sample_id"]
        for one in rows
        if any(
            other["split_group"] in {f"event:{c}" for c in one["cluster_ids"]}
            or (
                other["station"] == one["station"]
                and abs(other["start_utc"] - one["start_utc"]) <= pd.Timedelta(hours=REACH_H)
            )
            for other in outer
        )
    }


def line_of_events(n_clusters: int = 6, kinds: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    """Two event windows for each cluster, one cluster every 10 days, and a Normal window every 30 days."""
    rows = []
    for number in range(n_clusters):
        for hours in (0, 6):
            start = np.datetime64("2021-01-01", "ms") + np.timedelta64(240 * number + hours, "h")
            kind = kinds[number % len(kinds)]
            rows.append((f"A-e{number}-{hours}", "A", start, f"event:c{number}", [f"c{number}"], kind))
        start = np.datetime64("2021-01-05", "ms") + np.timedelta64(30 * number, "D")
        rows.append((f"A-n{number}", "A", start, f"normal:{number}", [], "Normal"))
    columns = ["sample_id", "station", "start_utc", "split_group", "cluster_ids", "magnitude_class"]
    return pd.DataFrame(rows, columns=columns).astype({"start_utc": "datetime64[ms]"})
