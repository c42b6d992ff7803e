"""Test fold of each window by each method; a group of windows is tested as a whole, except by naive."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from seismag.archive.stations import read_stations
from seismag.arrays import IntArray
from seismag.config import SplitConfig
from seismag.domain import UsageError
from seismag.splits.exclusions import EVENT_PREFIX, utc_days
from seismag.windows.criteria import EARTH


def folds_of_windows(samples: pd.DataFrame, spec: SplitConfig) -> IntArray:
    """Return the fold in which each window is tested.

    Args:
        samples: sample_id, station, start_utc, split_group, magnitude_class; without locked windows.

    Returns:
        (n,) fold of each window, from 1; every fold from 1 to the largest occurs.

    Raises:
        UsageError: fewer groups, stations, regions or days than folds.
    """
    if spec.method == "loeo":
        fold_of = _assign_groups(group_table(samples), spec)
        return samples["split_group"].map(fold_of).to_numpy(dtype=np.int64)
    if spec.method == "blocked":  # time cut at midnights (UTC) into blocks of about as many windows each
        days, day_index, counts = np.unique(utc_days(samples), return_inverse=True, return_counts=True)
        block = (np.cumsum(counts) - counts) * spec.n_folds // len(samples)
        if len(np.unique(block)) < spec.n_folds:
            raise UsageError(
                f"split.method blocked: {len(samples)} windows on {len(days)} UTC days cannot fill {spec.n_folds} "
                "blocks of time. Lower split.n_folds or prepare a longer archive."
            )
        return np.asarray(block[day_index].astype(np.int64) + 1)
    if spec.method == "naive":  # at random, in the order of names so that the order of rows does not matter
        if len(samples) < spec.n_folds:
            raise UsageError(
                f"{len(samples)} windows cannot fill {spec.n_folds} folds. Lower split.n_folds or add data."
            )
        order = np.argsort(samples["sample_id"].astype(str).to_numpy(), kind="stable")
        folds = np.empty(len(samples), dtype=np.int64)
        folds[order] = np.random.default_rng(spec.seed).permutation(len(samples)) % spec.n_folds + 1
        return folds
    unit = samples["station"].astype(str)
    if spec.method == "region":
        unit = unit.map(regions_of_stations(set(unit), spec))
    elif unit.nunique() < 2:
        raise UsageError(
            f"split.method loso leaves stations out, but all windows are of {unit.iloc[0]}. "
            "Prepare more stations, or set split.method=loeo or blocked."
        )
    return unit.map(_assign_units(unit.value_counts(), spec)).to_numpy(dtype=np.int64)


def group_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row a group: n (windows), label (its commonest class) and cluster ("" for a Normal block)."""
    table = samples.groupby("split_group", sort=True).agg(
        n=("sample_id", "size"), label=("magnitude_class", lambda c: c.value_counts().index[0])
    )
    return table.assign(
        cluster=table.index.str.removeprefix(EVENT_PREFIX).where(table.index.str.startswith(EVENT_PREFIX), "")
    )


def _assign_groups(groups: pd.DataFrame, spec: SplitConfig) -> dict[str, int]:
    """Assign groups to folds, class by class, the largest first to the emptiest fold (ties: at random)."""
    n_events = int((groups["cluster"] != "").sum())
    if n_events < spec.n_folds:
        raise UsageError(
            f"{n_events} earthquake clusters cannot fill {spec.n_folds} folds. "
            "Lower split.n_folds or add data (each fold tests on clusters of its own)."
        )
    rng = np.random.default_rng(spec.seed)
    order = rng.permutation(spec.n_folds)
    clusters = np.zeros(spec.n_folds, dtype=int)  # of all classes; a fold without any comes first
    fold_of: dict[str, int] = {}
    for _, rows in groups.groupby("label", sort=True):
        load = np.zeros(spec.n_folds, dtype=int)
        shuffled = rows.iloc[rng.permutation(len(rows))].sort_values("n", ascending=False, kind="stable")
        for name, size, cluster in zip(shuffled.index, shuffled["n"], shuffled["cluster"], strict=True):
            fold = order[np.lexsort((clusters[order], load[order]))[0]]
            load[fold] += int(size)
            clusters[fold] += cluster != ""
            fold_of[str(name)] = int(fold) + 1
        order = np.roll(order, 1)
    return fold_of


def regions_of_stations(codes: set[str], spec: SplitConfig) -> dict[str, str]:
    """Name the region of each station; no two stations of a region are further apart than ``split.region_km``.

    Agglomerative clustering with complete linkage on geodesic distances (WGS84); a region is named by its stations,
    ``GTO+TND``.

    Raises:
        UsageError: the position of a station is unknown, or all stations are one region.
    """
    stations = read_stations(spec.station_file)
    unknown = sorted(codes - set(stations))
    if unknown:
        raise UsageError(
            f"split.method region: {spec.station_file or 'the shipped list'} has no position of {', '.join(unknown)}. "
            "Name the station file of the archive with --set split.station_file=FILE."
        )
    ordered = sorted(codes)
    labels = np.ones(1, dtype=int)
    if len(ordered) > 1:
        latitude = np.array([stations[code].latitude_deg for code in ordered])
        longitude = np.array([stations[code].longitude_deg for code in ordered])
        first, second = np.meshgrid(np.arange(len(ordered)), np.arange(len(ordered)), indexing="ij")
        metres = np.asarray(EARTH.inv(longitude[first], latitude[first], longitude[second], latitude[second])[2])
        km = metres / 1000
        tree = linkage(squareform((km + km.T) / 2), method="complete")  # symmetric to the last bit
        labels = fcluster(tree, t=spec.region_km, criterion="distance")
    if len(set(labels)) < 2:
        raise UsageError(
            f"split.method region: the {len(ordered)} stations ({', '.join(ordered)}) are one region of "
            f"split.region_km {spec.region_km:g} km. Lower it, prepare more stations, or set split.method=loso."
        )
    members = {label: [c for c, own in zip(ordered, labels, strict=True) if own == label] for label in set(labels)}
    return {code: "+".join(codes) for codes in members.values() for code in codes}


def _assign_units(sizes: pd.Series, spec: SplitConfig) -> dict[str, int]:
    """Assign stations or regions to folds: each its own where there are enough folds, else the largest first."""
    rng = np.random.default_rng(spec.seed)
    names = sizes.sort_index().index
    if len(names) <= spec.n_folds:
        return {str(name): fold for fold, name in enumerate(names, start=1)}
    shuffled = sizes.sort_index().iloc[rng.permutation(len(names))].sort_values(ascending=False, kind="stable")
    load = np.zeros(spec.n_folds, dtype=int)
    fold_of: dict[str, int] = {}
    for name, size in shuffled.items():
        fold = int(load.argmin())
        load[fold] += int(size)
        fold_of[str(name)] = fold + 1
    return fold_of
